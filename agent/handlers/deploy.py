"""Commands about apps: `deploy_app` and `delete_app`."""

from __future__ import annotations

from skerry.agent.v1 import command_pb2

from agent.handlers.messages import deploy_from, outcome_to, progress_to, remove_from
from agent.handlers.redaction import Redaction
from agent.link.handlers import Progress
from agent.workloads.deploy import Deployer
from agent.workloads.model import DeployProgress
from agent.workloads.removal import Remover


class DeployAppHandler:
    def __init__(self, deployer: Deployer) -> None:
        self._deployer = deployer

    async def __call__(
        self, command: command_pb2.Command, progress: Progress
    ) -> command_pb2.CommandResult:
        redaction = Redaction.of(command.deploy_app)

        def report(message: str, state: DeployProgress | None) -> None:
            said = progress_to(state) if state is not None else None
            if said is not None:
                redaction.apply(said)
            progress(redaction.text(message), said)

        outcome = await self._deployer.deploy(deploy_from(command.deploy_app), report)
        result = outcome_to(outcome)
        redaction.apply(result)
        return result


class DeleteAppHandler:
    def __init__(self, remover: Remover) -> None:
        self._remover = remover

    async def __call__(
        self, command: command_pb2.Command, progress: Progress
    ) -> command_pb2.CommandResult:
        outcome = await self._remover.remove(
            remove_from(command.delete_app), lambda message: progress(message, None)
        )
        return outcome_to(outcome)
