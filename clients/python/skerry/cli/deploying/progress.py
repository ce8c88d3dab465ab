"""A rollout in lines, one for each change: for logs, pipes and CI."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from skerry.cli.deploying import diagnostics
from skerry.cli.output import words
from skerry.cli.output.text import first_line, one_line
from skerry.cli.run import Run
from skerry.platform.v1 import app_pb2, deployment_pb2, state_pb2


class PlainProgress:
    """Says on stderr what is new since the last update."""

    def __init__(self, run: Run, *, silent: bool = False) -> None:
        self._run = run
        self._silent = silent
        self._diagnostics = 0
        self._said: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def update(self, deployment: deployment_pb2.Deployment) -> None:
        """The rollout has moved."""
        diagnostics.show(self._run, deployment.diagnostics[self._diagnostics :])
        self._diagnostics = len(deployment.diagnostics)
        if self._silent:
            return
        self._say("", headline(deployment))
        for service in deployment.services:
            self._say(service.service, service_line(service))
            for pod in service.pods:
                if pod.message and pod.message not in service.message:
                    self._say(pod.pod, f"  {pod.pod}: {one_line(pod.message)}")

    def _say(self, key: str, text: str) -> None:
        if self._said.get(key) != text:
            self._said[key] = text
            self._run.out.say(text)


def headline(deployment: deployment_pb2.Deployment) -> str:
    """`revision 3: applying 2/7: waiting for db`."""
    phase, _ = words.phase(deployment.phase)
    objects = ""
    if deployment.phase == deployment_pb2.DEPLOYMENT_PHASE_APPLYING and deployment.objects_total:
        objects = f" {deployment.objects_applied}/{deployment.objects_total}"
    # Why it failed is said at the end, by the error.
    failed = deployment.phase == deployment_pb2.DEPLOYMENT_PHASE_FAILED
    message = "" if failed else first_line(deployment.message)
    return f"revision {deployment.revision}: {phase}{objects}{f': {message}' if message else ''}"


def service_line(service: app_pb2.ServiceStatus) -> str:
    """`web: progressing, 0/1 ready: pulling the image`."""
    state, _ = words.state(service.state)
    if service.state == state_pb2.STATE_READY and service.ready == service.desired:
        return f"{service.service}: {state} ({service.ready}/{service.desired})"
    message = f": {one_line(service.message)}" if service.message else ""
    return f"{service.service}: {state}, {service.ready}/{service.desired} ready{message}"
