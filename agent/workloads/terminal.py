"""Running a command in an app's container: which pod, which shell, and that it really ends.

A container runtime lets a command run on when its connection is cut. So each command is started
with a mark in its environment, and when its session is given up everything that carries the mark
is hung up, as a closed terminal would do; what ignores that in a session without terminal is
killed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from agent.compose.names import dns_label
from agent.kube import ExecSession, KubeClient, Manifest, TerminalSize
from agent.kube.errors import KubeError
from agent.workloads.errors import FAILED_PRECONDITION, INVALID_ARGUMENT, WorkloadError
from agent.workloads.labels import SERVICE, app_selector, label

log = structlog.get_logger(__name__)

_MARK = "SKERRY_EXEC"
_START = f'{_MARK}="$0" exec "$@"'
_LOGIN_SHELL = (
    f'export {_MARK}="$0"; if command -v bash >/dev/null 2>&1; then exec bash -l; fi; exec sh -l'
)
# $0 is the mark, $1 the first signal; with a second argument survivors are killed.
_END = f"""
marked() {{
  for p in /proc/[0-9]*; do
    grep -qs "{_MARK}=$0" "$p/environ" && echo "${{p#/proc/}}"
  done
}}
pids=$(marked)
[ -n "$pids" ] || exit 0
kill "-$1" $pids 2>/dev/null
[ -n "$2" ] || exit 0
sleep 1
pids=$(marked)
[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
exit 0
"""
_END_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class ExecQuery:
    """What to run where. Without a pod the newest ready one; without a command a login shell."""

    namespace: str
    app: str
    service: str = ""
    pod: str = ""
    command: tuple[str, ...] = ()
    tty: bool = False
    stdin: bool = False
    size: TerminalSize | None = None


class Terminal:
    """One running command."""

    def __init__(
        self, kube: KubeClient, query: ExecQuery, pod: str, container: str, mark: str
    ) -> None:
        self._kube = kube
        self._query = query
        self._mark = mark
        self.pod = pod
        self.container = container
        self.session: ExecSession

    async def start(self) -> None:
        """Raises KubeError."""
        query = self._query
        command = (
            ["sh", "-c", _START, self._mark, *query.command]
            if query.command
            else ["sh", "-c", _LOGIN_SHELL, self._mark]
        )
        self.session = await self._open(command, tty=query.tty, stdin=query.stdin)

    async def start_without_shell(self) -> None:
        """For an image without `sh`: the command runs unmarked and cannot be ended from here."""
        query = self._query
        self.session = await self._open(list(query.command), tty=query.tty, stdin=query.stdin)

    async def end(self) -> None:
        """Hang up on whatever of the command still runs. Never raises: it is the last thing done
        for a session that nobody waits for."""
        signals = ["HUP"] if self._query.tty else ["TERM", "kill"]
        try:
            async with asyncio.timeout(_END_TIMEOUT):
                session = await self._open(["sh", "-c", _END, self._mark, *signals])
                try:
                    async for _ in session.output():
                        pass
                finally:
                    await session.close()
        except (KubeError, TimeoutError) as error:
            log.info("exec_not_ended", pod=self.pod, error=str(error))

    async def _open(
        self, command: Sequence[str], *, tty: bool = False, stdin: bool = False
    ) -> ExecSession:
        return await self._kube.exec(
            *(self._query.namespace, self.pod, self.container, command),
            tty=tty,
            stdin=stdin,
            size=self._query.size if tty else None,
        )


async def open_terminal(
    kube: KubeClient, query: ExecQuery, new_mark: Callable[[], str]
) -> Terminal:
    """Choose the pod and start the command.

    Raises WorkloadError (INVALID_FIELD: no such service, or one must be named; NO_RUNNING_POD) and
    KubeError.
    """
    pods = await kube.list("v1", "Pod", query.namespace, app_selector(query.app))
    pod = choose_pod(pods, query)
    name = pod["metadata"]["name"]
    terminal = Terminal(kube, query, name, main_container(pod), new_mark())
    await terminal.start()
    return terminal


def choose_pod(pods: Sequence[Manifest], query: ExecQuery) -> Manifest:
    """The pod named, else the newest ready one, else the newest running one, of the service."""
    running = [pod for pod in pods if _is_running(pod)]
    if query.pod:
        named = [pod for pod in running if pod["metadata"]["name"] == query.pod]
        if named:
            return named[0]
        raise _no_pod(f"pod {query.pod} is not running, or is none of {query.app}'s", running)
    # What has ended or is ending cannot be meant: a job that is done, a service that a deploy just removed.
    candidates = _services(running or pods)
    service = dns_label(query.service) if query.service else ""
    if not service and len(candidates) > 1:
        raise WorkloadError(
            *(INVALID_ARGUMENT, "INVALID_FIELD"),
            f"{query.app} has several services; name one of {', '.join(candidates)}",
        )
    services = _services(pods)
    if service and pods and service not in services:
        raise WorkloadError(
            *(INVALID_ARGUMENT, "INVALID_FIELD"),
            f"{query.app} has no service {query.service} with pods; there are "
            f"{', '.join(services)}",
        )
    wanted = [p for p in running if not service or label(p, SERVICE) == service]
    if not wanted:
        raise _no_pod(f"no pod of {query.service or query.app} is running", running)
    return max(wanted, key=lambda pod: (_is_ready(pod), pod["metadata"]["creationTimestamp"]))


def main_container(pod: Manifest) -> str:
    """The app's own container: the one named like its service, else the first."""
    names = [str(one["name"]) for one in pod["spec"]["containers"]]
    service = label(pod, SERVICE)
    return service if service in names else names[0]


def has_no_shell(message: str) -> bool:
    """Whether the runtime refused a command because the image has no `sh`."""
    return bool(re.search(r'exec: "sh": executable file not found', message))


def _no_pod(message: str, running: Sequence[Manifest]) -> WorkloadError:
    names = ", ".join(sorted(pod["metadata"]["name"] for pod in running))
    hint = f"; running: {names}" if names else "; see `skerry status` for the reason"
    return WorkloadError(FAILED_PRECONDITION, "NO_RUNNING_POD", message + hint)


def _services(pods: Sequence[Manifest]) -> list[str]:
    return sorted({label(pod, SERVICE) for pod in pods} - {""})


def _is_running(pod: Manifest) -> bool:
    running = pod.get("status", {}).get("phase") == "Running"
    return running and "deletionTimestamp" not in pod["metadata"]


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
