"""Kubeconfig files with everything inline, so that each can be copied anywhere and still works."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import yaml


def write(path: Path, *, server: str, pki: Path, leaf: str) -> bool:
    """Write a kubeconfig that logs in as `leaf`; True when the file's content changed."""

    def inline(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    name = "skerry-dev"
    content = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {"server": server, "certificate-authority-data": inline("ca.crt")},
                }
            ],
            "users": [
                {
                    "name": leaf,
                    "user": {
                        "client-certificate-data": inline(f"{leaf}.crt"),
                        "client-key-data": inline(f"{leaf}.key"),
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": leaf}}],
            "current-context": name,
        },
        sort_keys=False,
    )
    if path.exists() and path.read_text() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    temporary.replace(path)
    return True
