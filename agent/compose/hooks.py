"""Lifecycle hooks and the stop signal → init containers and the container's `lifecycle`.

Kubernetes has one handler for each event, so several commands are joined in a shell; a single plain
command is run as it is. Lifecycle commands are not expanded by Kubernetes, arguments of init
containers are.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from agent.compose.durations import ceil_seconds
from agent.compose.model import Hook, Service

DEFAULT_GRACE = 30
"""Seconds Kubernetes lets a pod stop; compose's ten are not asked for by anyone."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SIGNAL = re.compile(r"(?:SIG)?([A-Z]{2,6}[0-9]?(?:[+-]\d{1,2})?)|(\d{1,2})", re.ASCII)
_PLAIN_STOP = frozenset({"TERM", "15"})


def lifecycle(service: Service, shares_processes: bool) -> dict[str, Any]:
    """`lifecycle` of the container; empty without hooks."""
    found: dict[str, Any] = {}
    started = _joined(service.post_start)
    if started:
        found["postStart"] = {"exec": {"command": started}}
    stopping = _joined(service.pre_stop)
    signal = _signal_script(service, shares_processes)
    if signal:
        before = f"{_script(service.pre_stop)}; " if service.pre_stop else ""
        stopping = ["/bin/sh", "-c", before + signal]
    if stopping:
        found["preStop"] = {"exec": {"command": stopping}}
    return found


def grace_seconds(service: Service) -> int:
    """How long the service asks for to stop."""
    grace = service.fields.duration("stop_grace_period")
    return DEFAULT_GRACE if grace is None else ceil_seconds(grace)


def _joined(hooks: list[Hook]) -> list[str]:
    if len(hooks) == 1 and not hooks[0].environment and not hooks[0].working_dir:
        return list(hooks[0].command)
    return ["/bin/sh", "-c", _script(hooks)] if hooks else []


def _script(hooks: list[Hook]) -> str:
    return " && ".join(f"( {_line(hook)} )" if len(hooks) > 1 else _line(hook) for hook in hooks)


def _line(hook: Hook) -> str:
    command = shlex.join(hook.command)
    if hook.environment:
        pairs = [f"{name}={value}" for name, value in hook.environment.items()]
        if all(_NAME.fullmatch(name) for name in hook.environment):
            quoted = " ".join(
                f"{name}={shlex.quote(value)}" for name, value in hook.environment.items()
            )
            command = f"{quoted} {command}"
        else:
            command = f"env {shlex.join(pairs)} {command}"
    return f"cd {shlex.quote(hook.working_dir)} && {command}" if hook.working_dir else command


def _signal_script(service: Service, shares_processes: bool) -> str:
    """A shell line that sends the stop signal and waits; empty where SIGTERM is meant.

    Kubernetes' own stopSignal is not in every cluster yet. The container's end ends the wait too.
    """
    text = service.fields.text("stop_signal").strip().upper()
    match = _SIGNAL.fullmatch(text)
    if not text:
        return ""
    if match is None:
        service.fields.error(
            "CMP004", "stop_signal", f'"{text[:20]}" is not a signal', "Write SIGQUIT."
        )
        return ""
    name, number = match.groups()
    if (name or number) in _PLAIN_STOP or shares_processes:
        return ""
    flag = f"-s {name}" if name else f"-{number}"
    return f"kill {flag} 1; sleep {max(1, grace_seconds(service) - 2)}"
