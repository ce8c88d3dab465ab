"""Environments, configs and secrets → Secrets and ConfigMaps."""

from __future__ import annotations

from collections.abc import Collection

from agent.compose.assembly import Assembly
from agent.compose.config import config_data, content_of, encode
from agent.compose.metadata import Metadata
from agent.compose.model import Project
from agent.compose.names import unique_label
from agent.compose.result import Manifest


def config_manifests(
    assemblies: Collection[Assembly], project: Project, metadata: Metadata
) -> list[Manifest]:
    """A Secret for each environment, and the configs and secrets that are used."""
    found = [
        metadata.manifest(
            "v1",
            "Secret",
            assembly.env_secret,
            assembly.name,
            body={"data": {k: encode(v.encode()) for k, v in assembly.environment.items()}},
        )
        for assembly in assemblies
        if assembly.env_secret
    ]
    used_configs = {g.source for a in assemblies for g in a.service.configs}
    used_secrets = {g.source for a in assemblies for g in a.service.secrets}
    for name, file in project.configs.items():
        if name in used_configs and not file.external:
            body = config_data(content_of(file))
            found.append(
                metadata.manifest(
                    "v1", "ConfigMap", metadata.name("config", unique_label(name)), body=body
                )
            )
    for name, file in project.secrets.items():
        if name in used_secrets and not file.external:
            data = {"data": {"content": encode(content_of(file))}}
            found.append(
                metadata.manifest(
                    "v1", "Secret", metadata.name("secret", unique_label(name)), body=data
                )
            )
    return found
