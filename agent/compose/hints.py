"""What labels for other tools say about a service.

Taken: traefik's port, host and whether it is public; kompose's exposure and schedule. Labels of
kompose that would reach the node are refused, its other ones are reported with what to use instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent.compose.fields import Fields
from agent.compose.model import Service
from agent.compose.ports import MAX_PORT
from agent.compose.yaml_nodes import shorten

_TRAEFIK_PORT = re.compile(r"traefik\.(http|tcp)\.services\.[^.]+\.loadbalancer\.server\.port")
_TRAEFIK_RULE = re.compile(r"traefik\.http\.routers\.[^.]+\.rule")
_NUMBER = re.compile(r"\d{1,5}", re.ASCII)
_HOST_RULE = re.compile(r"Host\(`([a-z0-9.-]{1,253})`\)")
_REFUSED = frozenset(
    {
        "kompose.serviceaccount-name",
        "kompose.controller.port.expose",
        "kompose.service.nodeport.port",
    }
)


_TAKEN = frozenset({"kompose.service.expose", "kompose.cronjob.schedule"})
_INSTEAD = {
    "kompose.volume.": "Set x-skerry.size and x-skerry.storage_class of the volume.",
    "kompose.service.healthcheck.": "Use healthcheck:.",
    "kompose.image-pull-policy": "Use pull_policy:.",
    "kompose.security-context.fsgroup": "Use user: UID:GID.",
    "kompose.init.": "Use a service and depends_on with service_completed_successfully.",
    "kompose.service.group": "Services reach each other by name.",
    "kompose.service.expose.": "The platform terminates TLS.",
}


@dataclass(slots=True)
class Hints:
    ports: list[int] = field(default_factory=list)
    public: bool | None = None
    host: str = ""
    schedule: str = ""


def read_hints(service: Fields) -> Hints:
    """The hints of a service's labels and of its deploy.labels."""
    hints = Hints()
    for fields in (service, service.child("deploy")):
        if fields is None:
            continue
        for name, node, _ in fields.pairs("labels"):
            value = node.text.strip()
            if _TRAEFIK_PORT.fullmatch(name) and _NUMBER.fullmatch(value):
                hints.ports += [int(value)] if 0 < int(value) <= MAX_PORT else []
            elif name == "traefik.enable":
                hints.public = value.lower() == "true"
            elif _TRAEFIK_RULE.fullmatch(name) and (match := _HOST_RULE.search(value)):
                hints.host = match.group(1)
            elif name == "kompose.service.expose" and value:
                hints.public = value.lower() != "false"
                hints.host = value if "." in value and " " not in value else ""
            elif name == "kompose.cronjob.schedule":
                hints.schedule = value
    return hints


def check_labels(service: Service) -> None:
    """Report labels of kompose that reach the node."""
    for name, node, origin in service.fields.pairs("labels"):
        host_path = name == "kompose.volume.type" and node.text.lower() == "hostpath"
        node_port = name == "kompose.service.type" and node.text.lower() == "nodeport"
        if name in _REFUSED or host_path or node_port:
            service.fields.report.error(
                "CMP324",
                origin,
                f"{service.fields.at('labels')}.{shorten(name)}",
                "what this label asks for reaches the node",
                "Remove the line.",
            )
        elif name.startswith("kompose.") and name not in _TAKEN:
            instead = (text for start, text in _INSTEAD.items() if name.startswith(start))
            service.fields.report.warning(
                "CMP325",
                origin,
                f"{service.fields.at('labels')}.{shorten(name)}",
                "this label of kompose has no effect here",
                next(instead, ""),
            )
