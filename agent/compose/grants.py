"""Configs and secrets of a service → file mounts, one for each.

Each is mounted by itself with a sub-path: a volume at /run/secrets would hide what others put
there.
"""

from __future__ import annotations

from typing import Any

from agent.compose.assembly import Assembly
from agent.compose.config import content_of
from agent.compose.diagnostics import Report
from agent.compose.metadata import Metadata, volume_name
from agent.compose.model import Grant, Project
from agent.compose.names import unique_label
from agent.compose.yaml_nodes import shorten


def mount_grants(assembly: Assembly, project: Project, metadata: Metadata, report: Report) -> None:
    """Mount the configs and secrets of a service, each as one file."""
    service, volumes = assembly.service, assembly.volumes
    for kind, grants in (("config", service.configs), ("secret", service.secrets)):
        known = project.configs if kind == "config" else project.secrets
        for grant in grants:
            file = known.get(grant.source)
            if file is None:
                report.error(
                    "CMP140",
                    grant.origin,
                    grant.path,
                    f'there is no {kind} "{shorten(grant.source)}"',
                    f'Add it below the top-level "{kind}s:".',
                )
                continue
            name = file.external or metadata.name(kind, unique_label(grant.source))
            if file.external:
                file.fields.warning(
                    "CMP344",
                    "external",
                    f"a {'ConfigMap' if kind == 'config' else 'Secret'} "
                    f'"{shorten(name)}" with a key "{shorten(grant.source)}" must exist',
                )
            volumes.contents.append(content_of(file))
            _mount_grant(assembly, grant, kind, name, bool(file.external), report)


def _mount_grant(
    assembly: Assembly, grant: Grant, kind: str, name: str, external: bool, report: Report
) -> None:
    volumes = assembly.volumes
    if any(mount["mountPath"] == grant.target for mount in volumes.mounts):
        report.warning(
            "CMP341", grant.origin, grant.path,
            f"{shorten(grant.target)} is mounted twice; the first mount counts",
        )  # fmt: skip
        return
    key = grant.source if external else "content"
    item: dict[str, Any] = {"key": key, "path": "content"}
    if grant.mode is not None:
        item["mode"] = grant.mode
    mode = "" if grant.mode is None else f"{grant.mode:o}"
    volume = volume_name(kind, unique_label(grant.source), *([mode] if mode else []))
    source = (
        {"secret": {"secretName": name, "items": [item]}}
        if kind == "secret"
        else {"configMap": {"name": name, "items": [item]}}
    )
    if not any(known["name"] == volume for known in volumes.volumes):
        volumes.volumes.append({"name": volume, **source})
    volumes.mounts.append(
        {
            "name": volume,
            "mountPath": grant.target,
            "subPath": "content",
            "readOnly": True,
        }
    )
