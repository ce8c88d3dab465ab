"""The whole control plane on the loopback, and a real agent link whose handlers the tests script.

Nothing of the control plane is replaced. The agent's link, identity and journal are real too; only what would talk to
Kubernetes is a double: `Worker` does what a test says.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from skerry.agent.v1 import command_pb2, link_pb2, stream_pb2
from skerry.platform.v1 import (
    app_pb2,
    cluster_pb2,
    cluster_pb2_grpc,
    environment_pb2,
    environment_pb2_grpc,
    project_pb2,
    project_pb2_grpc,
)
from skerry.wire.join_token import JoinToken

from agent.handlers.check import ComposeSchemaHandler
from agent.link import Identity, IdentityStore, Journal, Link, ReportBoard, Stream, enrol
from agent.link.backoff import Backoff
from controlplane import app
from controlplane.domain.clock import SystemClock
from controlplane.settings import load

PATIENCE = 45.0
ORGANIZATION = "organizations/default"


class FastClock(SystemClock):
    """The machine's clock, but waits pass fifty times as fast: fifteen seconds to a heartbeat are 0.3."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 50)


class MovableClock(SystemClock):
    """The machine's clock, ahead by as much as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


class Plane:
    """A running control plane and a client's view of it."""

    def __init__(self, running: app.Running, token: str, data_dir: Path) -> None:
        self.running = running
        self.token = token
        self.data_dir = data_dir
        credentials = grpc.ssl_channel_credentials(running.ca_pem)
        self.channel = grpc.aio.secure_channel(f"localhost:{running.api_port}", credentials)

    @property
    def auth(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)

    def stub(self, stub: Callable[[Any], Any]) -> "Client":
        """A stub whose calls carry the token."""
        return Client(stub(self.channel), self.auth)

    async def get(self, path: str) -> tuple[int, str]:
        """GET on the edge."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.running.edge_port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        await writer.wait_closed()
        head, _, body = answer.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body


class Client:
    """Calls a stub with a token and a deadline."""

    def __init__(self, stub: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)

        def call(request: Any, **options: Any) -> Any:
            return method(request, **{"metadata": self._metadata, "timeout": PATIENCE, **options})

        return call


@contextlib.asynccontextmanager
async def control_plane(
    data_dir: Path, *, fast: bool = False, clock: SystemClock | None = None, **settings: Any
) -> AsyncIterator[Plane]:
    """A control plane on free ports, and its first admin token."""
    token_file = data_dir.with_name(f"{data_dir.name}-admin-token")
    defaults = {
        "data_dir": data_dir,
        "api_listen": "127.0.0.1:0",
        "agent_listen": "127.0.0.1:0",
        "edge_listen": "127.0.0.1:0",
        "admin_token_file": token_file,
        "drain_timeout": "2s",
    }
    loaded = load(**{**defaults, **settings})
    clock = clock or (FastClock() if fast else SystemClock())
    async with app.running(loaded, clock=clock) as running:
        token = loaded.admin_token_file.read_text().strip() if loaded.admin_token_file else ""
        plane = Plane(running, token, data_dir)
        try:
            yield plane
        finally:
            await plane.channel.close()


@dataclass
class Failure:
    """A failed call: code, reason, and the details by type name."""

    code: grpc.StatusCode
    message: str
    reason: str
    details: dict[str, Any]


async def failure(call: Any) -> Failure:
    """Awaits a call that must fail."""
    try:
        if hasattr(call, "__aiter__"):
            async for _message in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return decoded(error)
    raise AssertionError("the call succeeded")


def decoded(error: grpc.aio.AioRpcError) -> Failure:
    details: dict[str, Any] = {}
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for packed in status_pb2.Status.FromString(value).details:
                name = packed.TypeName().rpartition(".")[2]
                details[name] = getattr(error_details_pb2, name)()
                packed.Unpack(details[name])
    reason = details["ErrorInfo"].reason if "ErrorInfo" in details else ""
    return Failure(error.code(), error.details() or "", reason, details)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that no event tells of."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < deadline, f"waited {PATIENCE} s for {what}"
        await asyncio.sleep(0.005)


@dataclass
class Worker:
    """What an agent would do in its cluster (double of `agent.handlers`): commands succeed, streams do as scripted."""

    commands: list[command_pb2.Command] = field(default_factory=list)
    log_lines: Iterable[bytes] = (b"2030-01-01T00:00:00.000000001Z hello\n",)
    plan: stream_pb2.PlanResult = field(default_factory=stream_pb2.PlanResult)
    check: stream_pb2.CheckResult = field(default_factory=stream_pb2.CheckResult)
    checked: list[stream_pb2.OpenCheck] = field(default_factory=list)
    check_cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: command_pb2.CommandResult = field(default_factory=command_pb2.CommandResult)
    hold: asyncio.Event | None = None

    async def work(self, command: command_pb2.Command, progress: Any) -> command_pb2.CommandResult:
        self.commands.append(command)
        result = command_pb2.CommandResult()
        result.CopyFrom(self.outcome)
        if command.WhichOneof("kind") == "deploy_app":
            service = command_pb2.ServiceStatus(service="web", state="READY", desired=1, ready=1)
            progress("starting pods", command_pb2.DeployProgress(phase="ROLLING_OUT"))
            if self.hold:
                await self.hold.wait()
            phase = "FAILED" if result.code else "READY"
            result.deploy.CopyFrom(
                command_pb2.DeployProgress(
                    phase=phase, services=[service], objects_applied=2, objects_total=2
                )
            )
        return result

    async def logs(self, _open: link_pb2.Open, stream: Stream) -> None:
        about = {"service": "web", "pod": "web-1", "pod_uid": "u1", "container": "web"}
        await stream.send_message(stream_pb2.LogEvent(started=True, **about).SerializeToString())
        for line in self.log_lines:
            await stream.send_message(stream_pb2.LogEvent(lines=line, **about).SerializeToString())
        if _open.logs.follow:
            await asyncio.Event().wait()
        await stream.send_message(stream_pb2.LogEvent(ended="done", **about).SerializeToString())

    async def exec(self, _open: link_pb2.Open, stream: Stream) -> None:
        """Echoes standard input until it ends; says resizes; ends with exit code 7."""
        running = stream_pb2.ExecStatus(
            running=stream_pb2.ExecRunning(pod="web-1", container="web")
        )
        await stream.send_message(running.SerializeToString(), link_pb2.CHANNEL_CONTROL)
        while (data := await stream.receive()) is not None:
            if data.channel == link_pb2.CHANNEL_STDIN:
                await stream.send(data.payload, link_pb2.CHANNEL_STDOUT)
                continue
            control = stream_pb2.ExecControl.FromString(data.payload)
            if control.WhichOneof("kind") == "stdin_eof":
                break
            size = f"{control.resize.rows}x{control.resize.columns}"
            await stream.send(size.encode(), link_pb2.CHANNEL_STDERR)
        ended = stream_pb2.ExecStatus(ended=stream_pb2.ExecEnded(exit_code=7))
        await stream.send_message(ended.SerializeToString(), link_pb2.CHANNEL_CONTROL)

    async def planned(self, _open: link_pb2.Open, stream: Stream) -> None:
        await stream.send(self.plan.SerializeToString())

    async def answer_check(self, open_: link_pb2.Open, stream: Stream) -> None:
        self.checked.append(open_.check)
        try:
            if self.hold:
                await self.hold.wait()
        except asyncio.CancelledError:
            self.check_cancelled.set()
            raise
        await stream.send(self.check.SerializeToString())


@dataclass
class RunningAgent:
    """Its reports, and the task of its link, which ends when the control plane will not have it back."""

    board: ReportBoard
    task: asyncio.Task[None]
    link: Link


async def join_token(plane: Plane, cluster: str = "home") -> JoinToken:
    """Makes the cluster and a token to join it."""
    clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
    await clusters.CreateCluster(cluster_pb2.CreateClusterRequest(cluster_id=cluster))
    answer = await clusters.CreateJoinToken(
        cluster_pb2.CreateJoinTokenRequest(parent=f"clusters/{cluster}")
    )
    return JoinToken.decode(answer.token)


@contextlib.asynccontextmanager
async def agent(plane: Plane, worker: Worker, state: Path) -> AsyncIterator[RunningAgent]:
    """A connected agent of `clusters/home`."""
    identity = await enrol(await join_token(plane), IdentityStore(state), agent_version="test")
    async with linked(plane, worker, identity, state) as running:
        yield running


@contextlib.asynccontextmanager
async def linked(
    plane: Plane, worker: Worker, identity: Identity, state: Path
) -> AsyncIterator[RunningAgent]:
    """An agent with this identity; online inside the block."""
    kinds = [item.name for item in command_pb2.Command.DESCRIPTOR.oneofs_by_name["kind"].fields]
    journal = Journal(state / "journal.db", cluster_uid=identity.cluster_uid)
    board = ReportBoard()
    link = Link(
        identity=identity,
        store=IdentityStore(state),
        journal=journal,
        board=board,
        stream_handlers={
            "logs": worker.logs,
            "exec": worker.exec,
            "plan": worker.planned,
            "check": worker.answer_check,
            "compose_schema": ComposeSchemaHandler(),
        },
        command_handlers=dict.fromkeys(kinds, worker.work),
        agent_version="test",
        boot_id="boot",
        backoff=Backoff(random.Random(1), low=0.01, high=0.05),
    )
    task = asyncio.create_task(link.run(), name="agent")
    try:
        await until(
            lambda: link.state == "connected" or task.done(), f"the agent: {link.last_error}"
        )
        if task.done():
            task.result()  # the control plane does not want it: raises LinkRefused
        yield RunningAgent(board, task, link)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        journal.close()


async def environment(plane: Plane, cluster: str = "clusters/home") -> str:
    """Makes project shop with environment prod; its name."""
    projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
    environments = plane.stub(environment_pb2_grpc.EnvironmentServiceStub)
    await projects.CreateProject(
        project_pb2.CreateProjectRequest(parent=ORGANIZATION, project_id="shop")
    )
    created = await environments.CreateEnvironment(
        environment_pb2.CreateEnvironmentRequest(
            parent=f"{ORGANIZATION}/projects/shop", environment_id="prod", cluster=cluster
        )
    )
    name: str = created.environment.name
    return name


def bundle(text: str = "services: {web: {image: nginx}}\n") -> app_pb2.Bundle:
    return app_pb2.Bundle(
        compose_files=["compose.yml"],
        files=[app_pb2.BundleFile(path="compose.yml", content=text.encode())],
    )
