"""The outbox under everything at once: deploys, cancels, lost acknowledgements, cut links, restarts on both sides.

The agent here keeps a journal as the real one does: a command is carried out once, its result is said until the control plane
acknowledges it. Whatever the order of events, each command's effect is recorded once, an app's commands arrive in order, and
when all is said nothing is left open.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controlplane.domain.apps import DeployStarted
from controlplane.domain.commands import Command, DeployApp
from controlplane.domain.deployments import ENDED, DeploymentPhase
from controlplane.domain.errors import StatusCode
from controlplane.domain.requests import PageRequest
from tests.unit.controlplane.services.world import PROD, Agent, World, bundle

T = TypeVar("T")
APPS = st.sampled_from(["web", "api"])
CODES = st.sampled_from([StatusCode.OK, StatusCode.ABORTED])


class OutboxMachine(RuleBasedStateMachine):
    """The control plane's outbox against an agent that may do anything an agent may do."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.journal: dict[int, Command] = {}
        self.results: dict[str, StatusCode] = {}
        self.acknowledged: set[str] = set()
        self.carried_out: Counter[str] = Counter()
        self.started: list[DeployStarted] = []
        self.ends: dict[str, DeploymentPhase] = {}
        self.connected = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        async def begin() -> tuple[World, Agent]:
            world = World(Path(self.folder.name) / "skerry.db")
            await world.start()
            agent = await world.joined_cluster()
            await world.environment()
            return world, agent

        self.world, self.agent = self.run(begin())

    @rule(app=APPS)
    def deploy(self, app: str) -> None:
        self.started.append(self.run(self.world.apps.deploy_app(PROD, app, bundle())))

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        started = data.draw(st.sampled_from(self.started))
        self.run(self.world.operations.cancel_operation(started.operation.name))

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        commands = self.run(self.agent.connect(after_seq=max(self.journal, default=0)))
        self.connected = True
        self.take(commands)

    @precondition(lambda self: self.connected)
    @rule()
    def fetch(self) -> None:
        self.take(self.run(self.agent.take()))

    def take(self, commands: Any) -> None:
        for command in commands:
            assert command.seq > max(self.journal, default=0), "order, and nothing twice"
            self.journal[command.seq] = command

    @precondition(lambda self: self.connected)
    @rule()
    def lose_what_was_sent(self) -> None:
        """The control plane hands commands out, and the link is cut before the agent has them."""
        self.run(self.agent.take())
        self.run(self.agent.disconnect())
        self.connected = False

    @precondition(lambda self: self.connected and self.journal)
    @rule()
    def acknowledge(self) -> None:
        self.run(
            self.world.sessions.acknowledged(self.agent.uid, self.agent.epoch, max(self.journal))
        )

    @precondition(lambda self: self.connected and self.journal)
    @rule(data=st.data(), version=st.integers(1, 3))
    def progress(self, data: st.DataObject, version: int) -> None:
        command = data.draw(st.sampled_from(list(self.journal.values())))
        phase = data.draw(st.sampled_from(list(DeploymentPhase)))
        self.run(self.agent.progress(command, phase, version))

    @precondition(lambda self: self.journal)
    @rule(data=st.data(), code=CODES)
    def carry_out(self, data: st.DataObject, code: StatusCode) -> None:
        command = data.draw(st.sampled_from(list(self.journal.values())))
        if command.command_id not in self.results:
            self.carried_out[command.command_id] += 1
            self.results[command.command_id] = code

    @precondition(lambda self: self.connected and self.results)
    @rule(data=st.data(), lost=st.booleans())
    def say_result(self, data: st.DataObject, lost: bool) -> None:
        """The result arrives; its acknowledgement may not, and then it is said again."""
        command_id = data.draw(st.sampled_from(sorted(self.results)))
        [command] = [c for c in self.journal.values() if c.command_id == command_id]
        self.run(self.agent.finish(command, self.results[command_id]))
        if not lost:
            self.acknowledged.add(command_id)

    @precondition(lambda self: self.connected)
    @rule()
    def cut(self) -> None:
        self.run(self.agent.disconnect())
        self.connected = False

    @rule()
    def restart_control_plane(self) -> None:
        self.world = self.run(self.world.restarted())
        self.agent.world = self.world
        self.connected = False

    @invariant()
    def ends_stay(self) -> None:
        """A deployment that ended keeps its end, and of each app at most one is under way."""
        under_way: Counter[str] = Counter()
        for started in self.started:
            deployment = self.run(self.world.deployments.get_deployment(started.deployment))
            uid = started.deployment.deployment
            if deployment.phase in ENDED:
                assert self.ends.setdefault(uid, deployment.phase) is deployment.phase
            else:
                assert uid not in self.ends
                under_way[started.deployment.parent.app] += 1
            operation = self.run(self.world.operations.get_operation(started.operation.name))
            assert operation.done is (deployment.phase in ENDED)
        assert all(count == 1 for count in under_way.values())
        assert all(count == 1 for count in self.carried_out.values())

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.run(self.converge())
            self.run(self.world.stop())
        self.loop.close()
        self.folder.cleanup()

    async def converge(self) -> None:
        """The agent comes back and does all it was given: nothing may stay open."""
        for command in await self.agent.connect(after_seq=max(self.journal, default=0)):
            self.journal[command.seq] = command
        for command in self.journal.values():
            code = self.results.setdefault(command.command_id, StatusCode.OK)
            await self.agent.finish(command, code)
        assert await self.agent.connect(after_seq=0) == []
        assert await self.world.sessions.pending_cancels(self.agent.uid) == []
        page = await self.world.operations.list_operations(PageRequest(), active_only=True)
        assert page.items == ()
        newest = {started.deployment.parent.app: started for started in self.started}
        for started in newest.values():
            deployment = await self.world.deployments.get_deployment(started.deployment)
            [command] = [
                command
                for command in self.journal.values()
                if isinstance(command.body, DeployApp)
                and command.body.deployment == started.deployment.deployment
            ] or [None]
            if command is not None and deployment.phase is not DeploymentPhase.CANCELLED:
                ok = self.results[command.command_id] is StatusCode.OK
                assert deployment.phase is (DeploymentPhase.READY if ok else DeploymentPhase.FAILED)


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    # A step is a few real transactions: making a failure smaller would take longer than a test may. The steps are few as it is.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
