"""Canonical document → model: the project, its volumes, networks, configs and secrets."""

from __future__ import annotations

import re

from agent.compose.context import Context
from agent.compose.diagnostics import Report
from agent.compose.fields import Fields
from agent.compose.model import ConfigFile, Network, Project, Service, Volume
from agent.compose.names import is_dns_label
from agent.compose.nodes import MappingNode
from agent.compose.paths import ProjectFiles
from agent.compose.service_reader import read_service
from agent.compose.sizes import volume_size
from agent.compose.yaml_nodes import shorten

_SIZE_LABEL = "kompose.volume.size"
_SERVICE_NAME = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)
_PROJECT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)


def read_project(
    document: MappingNode, context: Context, files: ProjectFiles, report: Report
) -> Project:
    """The whole application. `context.variables` must be the interpolation environment."""
    root = Fields(document, "", report)
    name = root.text("name", context.app)
    if root.has("name") and _PROJECT_NAME.fullmatch(name) is None:
        root.error(
            "CMP006",
            "name",
            f'"{shorten(name)}" is not a project name',
            "Use lower-case letters, digits, - and _.",
        )
    services: dict[str, Service] = {}
    for service_name, fields in root.children("services"):
        if _SERVICE_NAME.fullmatch(service_name) is None:
            report.error(
                "CMP007",
                root.node.entries["services"].value.origin,
                f"services.{shorten(service_name)}",
                "the name of a service has letters, digits, dots, - and _ only",
            )
            continue
        if len(services) == context.limits.services:
            root.error("CMP008", "services", f"there are more than {len(services)} services")
            break
        services[service_name] = read_service(service_name, fields, context, files)
    if not services and not report.rejected:
        root.error("CMP005", "services", "there is no service", 'Add one below "services:".')
    return Project(
        name=name,
        services=services,
        volumes={n: _read_volume(n, f) for n, f in root.children("volumes")},
        networks={n: _read_network(n, f) for n, f in root.children("networks")},
        configs={n: _read_config(n, f, context, files) for n, f in root.children("configs")},
        secrets={n: _read_config(n, f, context, files) for n, f in root.children("secrets")},
    )


def _read_volume(name: str, fields: Fields) -> Volume:
    settings = fields.child("x-skerry")
    size = settings.text("size") if settings else ""
    if not size:
        labels = {label: node.text for label, node, _ in fields.pairs("labels")}
        size = labels.get(_SIZE_LABEL, "")
    if any(label != _SIZE_LABEL for label, _, _ in fields.pairs("labels")):
        fields.info("CMP407", "labels", "labels are for the Docker host's tools")
    if size and not (found := volume_size(size)):
        place = settings if settings is not None and settings.has("size") else fields
        place.error(
            "CMP501",
            "size" if place is settings else "labels",
            f'"{shorten(size)}" is not a size of a volume',
            "Write it as 10Gi.",
        )
        size = ""
    elif size:
        size = found
    storage_class = settings.text("storage_class") if settings else ""
    if settings is not None and storage_class and not is_dns_label(storage_class):
        settings.error(
            "CMP501", "storage_class", f'"{shorten(storage_class)}" is not a storage class'
        )
    external, external_name = _external(fields)
    return Volume(
        name=name,
        claim=external_name or fields.text("name") or name,
        fields=fields,
        external=external,
        size=size,
        storage_class=storage_class or None,
    )


def _read_network(name: str, fields: Fields) -> Network:
    external, _ = _external(fields)
    return Network(name, fields, external, fields.flag("internal"))


def _external(fields: Fields) -> tuple[bool, str]:
    below = fields.child("external")
    if below is not None:
        return True, below.text("name")
    return fields.flag("external"), ""


def _read_config(name: str, fields: Fields, context: Context, files: ProjectFiles) -> ConfigFile:
    external, external_name = _external(fields)
    if external:
        return ConfigFile(name, fields, external_name or fields.text("name") or name, None)
    content: bytes | None = None
    if fields.has("content"):
        content = fields.text("content").encode()
    elif fields.has("environment"):
        variable = fields.text("environment")
        value = context.variables.get(variable)
        if value is None:
            fields.error(
                "CMP120",
                "environment",
                f"variable {shorten(variable)} is not set",
                "Set it in the project's variables.",
            )
        content = (value or "").encode()
    elif fields.has("file"):
        path = fields.text("file")
        content = files.get(path)
        if content is None:
            fields.error(
                "CMP212",
                "file",
                f'"{shorten(path)}" is not in the bundle',
                "Add the file, or write its text with content:.",
            )
    else:
        fields.report.error(
            "CMP213", fields.node.origin, fields.path, "there is no content",
            "Give file:, content: or environment:.",
        )  # fmt: skip
    return ConfigFile(name, fields, "", content)
