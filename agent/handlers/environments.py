"""Commands about environments: `ensure_environment` and `delete_environment`."""

from __future__ import annotations

from skerry.agent.v1 import command_pb2

from agent.handlers.messages import environment_from, outcome_to
from agent.kube.errors import KubeError
from agent.link.handlers import Progress
from agent.workloads.environments import Environments
from agent.workloads.errors import WorkloadError, outcome_of
from agent.workloads.model import Outcome


class EnsureEnvironmentHandler:
    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    async def __call__(
        self, command: command_pb2.Command, progress: Progress
    ) -> command_pb2.CommandResult:
        spec = environment_from(command.ensure_environment.environment)
        progress(f"preparing namespace {spec.namespace}", None)
        try:
            await self._environments.ensure(spec)
        except (WorkloadError, KubeError) as error:
            return outcome_to(outcome_of(error))
        return outcome_to(Outcome(0, "", f"namespace {spec.namespace} is ready"))


class DeleteEnvironmentHandler:
    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    async def __call__(
        self, command: command_pb2.Command, progress: Progress
    ) -> command_pb2.CommandResult:
        spec = environment_from(command.delete_environment.environment)
        try:
            await self._environments.delete(spec, lambda message: progress(message, None))
        except (WorkloadError, KubeError) as error:
            return outcome_to(outcome_of(error))
        return outcome_to(Outcome(0, "", f"namespace {spec.namespace} is gone"))
