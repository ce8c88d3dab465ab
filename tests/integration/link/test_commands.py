"""Commands and reports through both real ends: delivered, resumed, cancelled, acknowledged after commit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from skerry.agent.v1 import command_pb2, report_pb2

from agent.link import Progress, ReportBoard
from controlplane.domain.commands import DeployApp, EnvironmentSpec
from controlplane.domain.errors import StatusCode
from tests.integration.link.conftest import UID, Agents, Plane, Proxy, retry_add_on, until

ENVIRONMENT = EnvironmentSpec("ns", "env", "o", "p", "e")


def deploy(app: str, revision: int = 1) -> DeployApp:
    return DeployApp(ENVIRONMENT, app, f"uid-{app}", revision, "d", (), (), {}, 600)


class Handler:
    """Counts what it was asked to do; goes on when told to."""

    def __init__(self, *, wait: bool = False) -> None:
        self.done: list[int] = []
        self.begun: list[int] = []
        self.go = asyncio.Event()
        if not wait:
            self.go.set()

    async def __call__(
        self, command: command_pb2.Command, progress: Progress
    ) -> command_pb2.CommandResult:
        self.begun.append(command.seq)
        progress("working", None)
        await self.go.wait()
        self.done.append(command.seq)
        return command_pb2.CommandResult(message="done")


async def test_commands_waiting_in_the_outbox_are_done_in_order(
    plane: Plane, agents: Agents
) -> None:
    for _ in range(200):
        plane.sessions.add(retry_add_on())
    handler = Handler()
    agents.start(commands={"retry_add_on": handler})
    await until(lambda: len(plane.sessions.outcomes) == 200, "all outcomes")
    assert handler.done == list(range(1, 201))
    assert plane.sessions.acknowledged_seq == 200


async def test_wake_sends_what_is_new(plane: Plane, agents: Agents) -> None:
    handler = Handler()
    agents.start(commands={"retry_add_on": handler})
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    plane.sessions.add(retry_add_on())
    plane.registry.wake(UID)
    await until(lambda: len(plane.sessions.outcomes) == 1, "the outcome")
    assert any(progress.message == "working" for progress in plane.sessions.progress)


async def test_work_goes_on_without_a_link_and_the_result_comes_later(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    plane.sessions.add(retry_add_on())
    handler = Handler(wait=True)
    agents.start(commands={"retry_add_on": handler}, port=proxy[1])
    await until(lambda: handler.begun == [1], "the work to begin")
    await until(lambda: plane.sessions.acknowledged_seq == 1, "the acknowledgement")
    proxy[0].freeze()
    await until(lambda: not plane.registry.is_connected(UID), "the cut")
    handler.go.set()
    await until(lambda: handler.done == [1], "the work")
    assert plane.sessions.outcomes == []
    proxy[0].cut()
    proxy[0].thaw()
    await until(lambda: len(plane.sessions.outcomes) == 1, "the outcome")
    assert handler.begun == [1]


async def test_a_result_is_acknowledged_only_when_it_is_stored(
    plane: Plane, agents: Agents
) -> None:
    handler = Handler(wait=True)
    agent = agents.start(commands={"retry_add_on": handler})
    plane.sessions.add(retry_add_on())
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    plane.registry.wake(UID)
    await until(lambda: handler.begun == [1], "the work")
    plane.sessions.storage_fails = True
    handler.go.set()
    await until(lambda: plane.sessions.failures > 0, "the result to fail")
    await agent.stop()
    plane.sessions.storage_fails = False
    assert plane.sessions.outcomes == []
    agents.start(commands={"retry_add_on": handler})
    await until(lambda: len(plane.sessions.outcomes) == 1, "the outcome")
    assert handler.begun == [1], "the journal had the result; the command must not run again"


async def test_an_interrupted_command_runs_again_after_a_restart(
    plane: Plane, agents: Agents
) -> None:
    plane.sessions.add(retry_add_on())
    handler = Handler(wait=True)
    agent = agents.start(commands={"retry_add_on": handler})
    await until(lambda: handler.begun == [1], "the work")
    await agent.stop()
    handler.go.set()
    agents.start(commands={"retry_add_on": handler})
    await until(lambda: len(plane.sessions.outcomes) == 1, "the outcome")
    assert handler.done == [1]
    assert handler.begun == [1, 1]


async def test_cancel_stops_the_work_and_says_so(plane: Plane, agents: Agents) -> None:
    plane.sessions.add(retry_add_on())
    handler = Handler(wait=True)
    agents.start(commands={"retry_add_on": handler})
    await until(lambda: handler.begun == [1], "the work")
    plane.registry.cancel(UID, 1)
    await until(lambda: len(plane.sessions.outcomes) == 1, "the outcome")
    assert plane.sessions.outcomes[0].code is StatusCode.CANCELLED
    assert handler.done == []


async def test_a_cancel_asked_for_while_the_agent_was_away_is_heard(
    plane: Plane, agents: Agents
) -> None:
    plane.sessions.add(retry_add_on())
    handler = Handler(wait=True)
    agent = agents.start(commands={"retry_add_on": handler})
    await until(lambda: handler.begun == [1], "the work")
    await agent.stop()
    plane.sessions.cancels.add(1)
    agents.start(commands={"retry_add_on": handler})
    await until(lambda: len(plane.sessions.outcomes) == 1, "the outcome")
    assert plane.sessions.outcomes[0].code is StatusCode.CANCELLED


async def test_a_newer_deploy_supersedes_and_other_apps_go_on(plane: Plane, agents: Agents) -> None:
    handler = Handler(wait=True)
    plane.sessions.add(deploy("web", 1))
    plane.sessions.add(deploy("shop", 1))
    agents.start(commands={"deploy_app": handler})
    await until(lambda: sorted(handler.begun) == [1, 2], "both to begin")
    plane.sessions.add(deploy("web", 2))
    plane.registry.wake(UID)
    await until(lambda: 3 in handler.begun, "the newer one")
    handler.go.set()
    await until(lambda: len(plane.sessions.outcomes) == 3, "all outcomes")
    reasons = {outcome.seq: outcome.reason for outcome in plane.sessions.outcomes}
    assert reasons == {1: "SUPERSEDED", 2: "", 3: ""}
    assert sorted(handler.done) == [2, 3]


async def test_a_command_past_its_deadline_is_not_begun(plane: Plane, agents: Agents) -> None:
    plane.sessions.add(retry_add_on(), deadline=datetime.now(UTC) - timedelta(seconds=1))
    handler = Handler()
    agents.start(commands={"retry_add_on": handler})
    await until(lambda: len(plane.sessions.outcomes) == 1, "the outcome")
    assert plane.sessions.outcomes[0].code is StatusCode.DEADLINE_EXCEEDED
    assert handler.begun == []


async def test_a_poison_result_holds_up_no_other_and_ends_as_failed(
    plane: Plane, agents: Agents
) -> None:
    plane.sessions.poisoned = {1: "done"}
    for _ in range(3):
        plane.sessions.add(retry_add_on())
    agents.start(commands={"retry_add_on": Handler()})
    await until(lambda: len(plane.sessions.outcomes) == 3, "all outcomes")
    ended = {outcome.seq: outcome for outcome in plane.sessions.outcomes}
    assert (ended[1].code, ended[1].reason) == (StatusCode.INTERNAL, "INTERNAL")
    assert ended[2].code is ended[3].code is StatusCode.OK


async def test_reports_are_said_until_acknowledged_and_only_the_newest(
    plane: Plane, agents: Agents
) -> None:
    board = ReportBoard()
    for count in range(50):
        board.put("facts", report_pb2.ClusterFacts(kubernetes_version=f"v{count}"))
    board.put("addons/garage", report_pb2.AddOnStatus(name="garage", state="READY"))
    agents.start(board=board)
    await until(lambda: not board.pending(), "the acknowledgements")
    assert {report.key: report.version for report in plane.sessions.reports} == {
        "facts": 50,
        "addons/garage": 1,
    }
    board.delete("addons/garage")
    await until(lambda: plane.sessions.reports[-1].deleted, "the deletion")


async def test_reports_wait_for_the_database(plane: Plane, agents: Agents) -> None:
    board = ReportBoard()
    agents.start(board=board)
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    plane.sessions.storage_fails = True
    board.put("facts", report_pb2.ClusterFacts(kubernetes_version="v1"))
    await until(lambda: plane.sessions.failures > 0, "the report to fail")
    assert board.pending()
    plane.sessions.storage_fails = False
    await until(lambda: not board.pending(), "the acknowledgement")
    assert [report.key for report in plane.sessions.reports] == ["facts"]
