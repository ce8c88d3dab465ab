"""A rollout on a terminal, redrawn in place. Loaded by `rollout` only there."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from skerry.cli.deploying import diagnostics
from skerry.cli.deploying.progress import headline
from skerry.cli.output import words
from skerry.cli.output.board import Board
from skerry.cli.output.tables import Tables
from skerry.cli.output.text import clean, one_line
from skerry.cli.run import Run
from skerry.platform.v1 import deployment_pb2


class LiveProgress:
    """A headline, the services, and the pods that are not ready with their reasons."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._board = Board(color=run.out.color_err, on_stderr=True)
        self._diagnostics = 0

    def __enter__(self) -> Self:
        self._board.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._board.__exit__(kind, error, traceback)

    def update(self, deployment: deployment_pb2.Deployment) -> None:
        """The rollout has moved."""
        diagnostics.show(self._run, deployment.diagnostics[self._diagnostics :])
        self._diagnostics = len(deployment.diagnostics)
        services = Tables(self._run.around.now()).services
        waiting = [
            f"  {pod.pod}: {clean(one_line(pod.message))}"
            for service in deployment.services
            for pod in service.pods
            if pod.message and not pod.ready and pod.message not in service.message
        ]
        _, tone = words.phase(deployment.phase)
        self._board.show_parts(
            clean(headline(deployment)),
            tone,
            services.headings,
            services.rows(deployment.services),
            waiting,
        )
