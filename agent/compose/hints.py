"""What labels for other tools say about a service.

Taken: traefik's port, host and whether it is public; what kompose's labels ask for, where that is
possible. Labels of kompose that would reach the node are refused, its other ones are reported with
what to use instead. Called by the reader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from agent.compose.cron import parse_schedule
from agent.compose.fields import Fields
from agent.compose.labels import Label
from agent.compose.model import Hints, Hook
from agent.compose.names import is_dns_label
from agent.compose.nodes import ScalarNode
from agent.compose.ports import MAX_PORT
from agent.compose.sizes import volume_size
from agent.compose.words import split_words

_TRAEFIK_PORT = re.compile(
    r"traefik\.(?:(http|tcp)\.services\.[^.]+\.loadbalancer\.server\.port|port)"
)
_TRAEFIK_RULE = re.compile(r"traefik\.(?:http\.routers\.[^.]+\.rule|frontend\.rule)")
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_HOST_RULE = re.compile(r"Host(?:\(\s*[`\"']|:\s*)([A-Za-z0-9.-]{1,253})")
_REFUSED = frozenset(
    {
        "kompose.serviceaccount-name",
        "kompose.controller.port.expose",
        "kompose.service.nodeport.port",
    }
)
_CONCURRENCY = {word.lower(): word for word in ("Allow", "Forbid", "Replace")}
_PULL = {"always": "Always", "ifnotpresent": "IfNotPresent"}
_INSTEAD = {
    "kompose.volume.": "Set x-skerry.size and x-skerry.storage_class of the volume.",
    "kompose.service.healthcheck.": "Use healthcheck:.",
    "kompose.image-pull-policy": "Use pull_policy:.",
    "kompose.image-pull-secret": "Registry credentials are the project's.",
    "kompose.security-context.fsgroup": "Use user: UID:GID.",
    "kompose.init.": "Use pre_start:.",
    "kompose.service.group": "Use network_mode: service:NAME for one pod.",
    "kompose.service.expose.": "The platform terminates TLS.",
    "kompose.service.type": "Use x-skerry.public.",
    "kompose.hpa.": "Use deploy.replicas.",
    "kompose.controller.type": "Every service that stays up is a Deployment.",
}


def read_hints(labels: Mapping[str, Label], fields: Fields) -> Hints:
    """The hints of a service's labels; labels that ask for the impossible are reported."""
    hints = Hints()
    for name, label in labels.items():
        if name.startswith("traefik."):
            _read_traefik(hints, name, label.value.strip())
        elif name.startswith("kompose."):
            _read_kompose(hints, name, label, fields)
    _read_init(hints, labels, fields)
    return hints


def _read_traefik(hints: Hints, name: str, value: str) -> None:
    if _TRAEFIK_PORT.fullmatch(name) and _NUMBER.fullmatch(value):
        hints.ports += [int(value)] if 0 < int(value) <= MAX_PORT else []
    elif name == "traefik.enable":
        hints.public = value.lower() == "true"
    elif _TRAEFIK_RULE.fullmatch(name) and (match := _HOST_RULE.search(value)):
        hints.host = hints.host or match.group(1).lower()


def _read_kompose(hints: Hints, name: str, label: Label, fields: Fields) -> None:
    value = label.value.strip()
    lower = value.lower()
    if (
        name in _REFUSED
        or (name == "kompose.volume.type" and lower == "hostpath")
        or (name == "kompose.service.type" and lower == "nodeport")
    ):
        fields.report.error(
            "CMP324", label.origin, label.path, "what this label asks for reaches the node",
            "Remove the line.",
        )  # fmt: skip
    elif name == "kompose.image-pull-policy" and lower == "never":
        fields.report.error(
            "CMP319", label.origin, label.path,
            '"never" would run whatever another tenant left on the node', "Remove the line.",
        )  # fmt: skip
    elif not _take(hints, name, value, label):
        instead = (text for start, text in _INSTEAD.items() if name.startswith(start))
        fields.report.warning(
            "CMP325", label.origin, label.path, "this label of kompose has no effect here",
            next(instead, ""),
        )  # fmt: skip


def _take(hints: Hints, name: str, value: str, label: Label) -> bool:
    """Whether the label is one that is understood, with a value that is."""
    number = int(value) if _NUMBER.fullmatch(value) else None
    lower = value.lower()
    match name.removeprefix("kompose."):
        case "service.expose":
            if value:
                hints.public = lower != "false"
                hints.host = value if "." in value and " " not in value else ""
            return True
        case "service.type":
            hints.headless = lower == "headless"
            return lower in ("headless", "clusterip")
        case "service.name_override":
            hints.name = ScalarNode(value, label.origin, plain=False)
            return bool(value)
        case "controller.type":
            return lower == "deployment"
        case "cronjob.schedule":
            hints.schedule = value
            return True
        case "cronjob.concurrency_policy":
            hints.concurrency = _CONCURRENCY.get(lower, "")
            return bool(hints.concurrency)
        case "cronjob.backoff_limit":
            hints.attempts = number
            return number is not None
        case "image-pull-policy":
            hints.pull_policy = _PULL.get(lower, "")
            return bool(hints.pull_policy)
        case "security-context.fsgroup":
            hints.group = number
            return number is not None
        case "volume.size":
            hints.volume_size = volume_size(value)
            return bool(hints.volume_size)
        case "volume.storage-class-name":
            hints.storage_class = value
            return is_dns_label(value)
        case "volume.subpath":
            hints.volume_subpath = value
            return bool(value)
        case "volume.type":
            return lower == "persistentvolumeclaim"
        case "init.containers.name" | "init.containers.image" | "init.containers.command":
            return True
        case _:
            return False


def _read_init(hints: Hints, labels: Mapping[str, Label], fields: Fields) -> None:
    """kompose's one init container is a pre_start hook."""
    image = labels.get("kompose.init.containers.image")
    command = labels.get("kompose.init.containers.command")
    if image is None and command is None:
        return
    label = command or image
    assert label is not None  # noqa: S101 - one of the two is there
    words: tuple[str, ...] = ()
    try:
        text = command.value.strip() if command else ""
        listed = json.loads(text) if text.startswith("[") else None
        words = tuple(map(str, listed)) if isinstance(listed, list) else split_words(text)
    except ValueError as error:
        fields.report.error(
            "CMP221", label.origin, label.path, f"the command cannot be read: {error}",
            'Write it as ["a", "b"].',
        )  # fmt: skip
        return
    if not words and not (image and image.value):
        return
    hints.init.append(
        Hook(
            command=words,
            origin=label.origin,
            path=label.path,
            fields=fields,
            environment={},
            image=image.value.strip() if image else "",
        )
    )


def read_schedule(fields: Fields, key: str, schedule: str) -> str:
    """The schedule if it is one, else empty and reported."""
    if not schedule:
        return ""
    try:
        return parse_schedule(schedule)
    except ValueError as error:
        fields.error("CMP501", key, str(error), 'Write "0 3 * * *".')
        return ""
