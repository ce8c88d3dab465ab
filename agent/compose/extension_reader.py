"""`x-skerry` of a service → model, validated in full. Called by `service_reader`."""

from __future__ import annotations

import re

from agent.compose.durations import SECOND
from agent.compose.fields import Fields
from agent.compose.hints import read_schedule
from agent.compose.model import Extension, Hints, Port
from agent.compose.ports import MAX_PORT, PortSyntaxError, check_protocol, pair
from agent.compose.result import DataService
from agent.compose.yaml_nodes import shorten

_HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_USES = {f"shared-{kind}": kind for kind in DataService}
_PROVIDERS = {f"skerry-{kind}": kind for kind in DataService}
_SHORTEST_SLEEP = 60
_LONGEST_SLEEP = 30 * 86_400


def read_extension(fields: Fields, hints: Hints, limit: int) -> Extension:
    """The settings of a service; `limit` is the most ports it may have."""
    below = fields.child("x-skerry")
    uses = _read_provider(fields)
    if below is None:
        return Extension(cron=read_schedule(fields, "labels", hints.schedule), uses=uses)
    schedule = below.text("cron")
    extension = Extension(
        cron=read_schedule(below, "cron", schedule)
        if schedule
        else read_schedule(fields, "labels", hints.schedule),
        liveness=below.flag("liveness"),
        ports=read_expose(below, "ports", limit),
        uses=_read_use(below) or uses,
    )
    _read_sleep(below, extension)
    public = below.child("public")
    if public is not None:
        extension.public = True
        port = public.whole("port")
        if port is not None and not 1 <= port <= MAX_PORT:
            public.error("CMP501", "port", f"{port} is not a port")
            port = None
        extension.public_port = port
        extension.public_host = public.text("host")
        if public.has("host") and _HOST.fullmatch(extension.public_host) is None:
            public.error("CMP501", "host", f'"{shorten(extension.public_host)}" is not a host name')
    elif below.has("public"):
        extension.public = below.flag("public")
    return extension


def read_expose(fields: Fields, key: str, limit: int) -> list[Port]:
    """Ports as `expose` lists them, ranges counted out."""
    ports: list[Port] = []
    for index, node in enumerate(fields.texts(key)):
        value, _, protocol = node.text.partition("/")
        try:
            name = check_protocol(protocol or "tcp")
            pairs = pair(value, "")
        except PortSyntaxError as error:
            fields.report.error("CMP231", node.origin, f"{fields.at(key)}[{index}]", str(error))
            continue
        ports += [Port(target, name, node.origin) for target, _ in pairs[: limit + 1]]
        if len(ports) > limit:
            fields.error("CMP231", key, f"these are more than {limit} ports")
            break
    return ports[:limit]


def _read_sleep(below: Fields, extension: Extension) -> None:
    """`false` keeps it awake; a duration is the idle time before it sleeps."""
    node = below.scalar("sleep")
    if node is None:
        return
    if node.go_text in ("true", "false"):
        extension.sleep = 0 if node.go_text == "false" else None
        return
    idle = below.duration("sleep")
    if idle is None:
        return
    seconds = idle // SECOND
    if not _SHORTEST_SLEEP <= seconds <= _LONGEST_SLEEP:
        below.error(
            "CMP501",
            "sleep",
            f'"{shorten(node.text)}" is not between a minute and thirty days',
            "Write it as 30m, or false.",
        )
        return
    extension.sleep = seconds


def _read_use(below: Fields) -> DataService | None:
    name = below.text("use")
    if name and name not in _USES:
        below.error(
            "CMP501", "use", f'"{shorten(name)}" is not one of {", ".join(_USES)}',
            "Remove it to run the service itself.",
        )  # fmt: skip
    return _USES.get(name)


def _read_provider(fields: Fields) -> DataService | None:
    provider = fields.child("provider")
    if provider is None:
        return None
    name = provider.text("type")
    if name not in _PROVIDERS:
        provider.error(
            "CMP162", "type", f'the provider "{shorten(name)}" is not known here',
            f"Known are {' and '.join(_PROVIDERS)}.",
        )  # fmt: skip
    for option in provider.pairs("options"):
        provider.warning("CMP162", "options", f'the option "{shorten(option[0])}" has no effect')
    return _PROVIDERS.get(name)
