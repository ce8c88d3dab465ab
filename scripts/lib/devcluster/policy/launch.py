"""How the enforcer is started; `up` calls this."""

from __future__ import annotations

import sys

from devcluster.process import Program
from devcluster.settings import REPOSITORY, Settings


def program(settings: Settings, api_port: int) -> Program:
    pki = settings.state / "pki"
    sources = sorted((REPOSITORY / "scripts/lib/devcluster/policy").glob("*.py"))
    return Program(
        "network-policy",
        (
            sys.executable,
            "-m",
            "devcluster.policy",
            f"--server=https://127.0.0.1:{api_port}",
            f"--pki={pki}",
        ),
        version="1",
        env={"PYTHONPATH": str(REPOSITORY / "scripts/lib"), "PYTHONUNBUFFERED": "1"},
        # Its own source and certificate decide whether a running one is still the right one.
        config="".join(file.read_text() for file in (pki / "policy.crt", *sources)),
    )
