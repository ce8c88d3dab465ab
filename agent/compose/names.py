"""Names Kubernetes accepts, made from compose names: total, stable, collisions reported.

A Service's name is its DNS name, so it stays the compose name wherever that is allowed; its
Deployment has the same name. Claims, Secrets and ConfigMaps carry the app's name in front.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from agent.compose.diagnostics import Report
from agent.compose.model import Service
from agent.compose.yaml_nodes import shorten

MAX_LABEL = 63
_OTHER = re.compile(r"[^a-z0-9]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def dns_label(name: str) -> str:
    """The name as an RFC 1123 label; unchanged where it is one already."""
    label = _OTHER.sub("-", name.lower()).strip("-")
    if not label:
        return f"x-{_digest(name)}"
    return _bounded(label, MAX_LABEL)


def service_label(name: str) -> str:
    """The name as an RFC 1035 label, which Services need: it starts with a letter."""
    label = dns_label(name)
    return label if label[0].isalpha() else _bounded(f"s-{label}", MAX_LABEL)


def object_name(*parts: str) -> str:
    """A name for an object that is not resolved by DNS: the parts joined by dashes."""
    return _bounded("-".join(dns_label(part) for part in parts), MAX_LABEL)


def unique_label(name: str) -> str:
    """The name as a label, with a hash where making it one has changed it (`a.b` is not `a-b`)."""
    label = dns_label(name)
    return label if label == name else _bounded(f"{label[:50]}-{checksum(name.encode(), 6)}", 63)


def is_dns_label(name: str) -> bool:
    return _LABEL.fullmatch(name) is not None


def is_dns_name(name: str) -> bool:
    """Whether it is an RFC 1123 subdomain: labels with dots between them."""
    return 0 < len(name) <= 253 and all(is_dns_label(part) for part in name.split("."))


def is_label_value(value: str) -> bool:
    return _LABEL_VALUE.fullmatch(value) is not None


def checksum(content: bytes, length: int = 16) -> str:
    """A short stable hash for names and rollout annotations."""
    return hashlib.sha256(content).hexdigest()[:length]


def name_services(services: Iterable[Service], report: Report) -> dict[str, str]:
    """DNS name of every service by compose name; two that become one are an error naming both."""
    names: dict[str, str] = {}
    taken: dict[str, Service] = {}
    for service in services:
        name = service_label(service.name)
        other = taken.setdefault(name, service)
        if other is not service:
            report.error(
                "CMP130",
                service.origin,
                service.path,
                f'services "{shorten(other.name)}" (line {other.origin.line}) and '
                f'"{shorten(service.name)}" both become "{name}"',
                "Rename one of them.",
            )
        names[service.name] = name
        if name != service.name:
            report.info(
                "CMP131",
                service.origin,
                service.path,
                f'the service is called "{name}" in the cluster',
            )
    return names


def _bounded(label: str, length: int) -> str:
    if len(label) <= length:
        return label
    return f"{label[: length - 9].rstrip('-')}-{_digest(label)}"


def _digest(text: str) -> str:
    return checksum(text.encode(), 8)
