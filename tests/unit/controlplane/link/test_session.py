"""One agent's connection on the control plane's side, against an agent played frame by frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import CollectorRegistry
from skerry.agent.v1 import link_pb2
from skerry.wire.limits import Limits

from controlplane.domain.apps import SourceFile
from controlplane.domain.clusters import AgentIdentity
from controlplane.domain.commands import (
    Command,
    CommandOutcome,
    CommandProgress,
    DeployApp,
    EnvironmentSpec,
    RetryAddOn,
)
from controlplane.domain.errors import AgentRefused, InvalidField, StatusCode, StorageUnavailable
from controlplane.domain.names import ClusterName
from controlplane.domain.reports import Report
from controlplane.link.admission import HandshakeGate
from controlplane.link.metrics import PrometheusLinkMetrics
from controlplane.link.registry import AgentRegistry
from controlplane.link.session import AgentSession
from controlplane.services.agent_identities import Renewal

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)
NONCE = bytes(32)


class Pipe:
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        self.inbound: asyncio.Queue[link_pb2.ConnectRequest | None] = asyncio.Queue()
        self.frames: list[link_pb2.Frame] = []
        self.changed = asyncio.Event()

    async def read(self) -> link_pb2.ConnectRequest | None:
        return await self.inbound.get()

    async def write(self, message: link_pb2.ConnectResponse) -> None:
        self.frames.extend(message.frames)
        self.changed.set()

    async def finish_writing(self) -> bool:
        return False

    def cancel(self) -> None:
        self.inbound.put_nowait(None)

    def say(self, *frames: link_pb2.Frame) -> None:
        self.inbound.put_nowait(link_pb2.ConnectRequest(frames=frames))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def kinds(self) -> list[str | None]:
        return [frame.WhichOneof("kind") for frame in self.frames]

    def of(self, kind: str) -> list[link_pb2.Frame]:
        return [frame for frame in self.frames if frame.WhichOneof("kind") == kind]


class Clock:
    """The wall clock stands still; retries come at once."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        if seconds == 1.0:  # the retry after a failed write
            await asyncio.sleep(0)
        else:
            await asyncio.Event().wait()


class Sessions:
    """Double of `services.agent_sessions`."""

    def __init__(self) -> None:
        self.epochs = iter(range(1, 100))
        self.pending: list[Command] = []
        self.outcomes: list[CommandOutcome] = []
        self.reports: list[Report] = []
        self.progress: list[CommandProgress] = []
        self.failures_left = 0
        self.gone: list[int] = []
        self.renewed: list[bytes] = []
        self.stored: list[int] = []
        self.reason = ""
        self.expired = False
        self.authenticated = 0

    async def authenticate(self, certificate_der: bytes) -> AgentIdentity:
        self.authenticated += 1
        name = ClusterName.parse("clusters/lab", "name")
        return AgentIdentity("uid", name, PUBLIC, expired=self.expired)

    async def connected(self, identity: AgentIdentity, *, agent_version: str, boot_id: str) -> int:
        return next(self.epochs)

    def seen(self, cluster_uid: str, epoch: int, round_trip: timedelta | None) -> None: ...

    async def disconnected(self, cluster_uid: str, epoch: int, reason: str) -> None:
        self.gone.append(epoch)

    async def pending_commands(self, cluster_uid: str, after_seq: int) -> Sequence[Command]:
        return [command for command in self.pending if command.seq > after_seq]

    async def pending_cancels(self, cluster_uid: str) -> Sequence[int]:
        return []

    async def acknowledged(self, cluster_uid: str, epoch: int, seq: int) -> None: ...

    async def renew(self, identity: AgentIdentity, epoch: int, csr_der: bytes) -> Renewal | None:
        if csr_der == b"bad":
            raise InvalidField.of("csr", "is no request")
        if csr_der == b"revoked":
            raise AgentRefused("it was revoked")
        self.renewed.append(csr_der)
        return Renewal(b"certificate", (b"ca",), len(self.renewed))

    async def certificate_stored(self, cluster_uid: str, epoch: int, generation: int) -> None:
        self.stored.append(generation)

    async def renewal_reason(self, cluster_uid: str) -> str:
        return self.reason

    async def progressed(self, cluster_uid: str, epoch: int, progress: CommandProgress) -> None:
        self.progress.append(progress)

    async def finished(self, cluster_uid: str, epoch: int, outcome: CommandOutcome) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise StorageUnavailable("the disk is full")
        self.outcomes.append(outcome)

    async def reported(self, cluster_uid: str, epoch: int, report: Report) -> bool:
        self.reports.append(report)
        return epoch == 1


def hello(protocol: int = 1, last_command_seq: int = 0) -> link_pb2.Frame:
    signature = KEY.sign(b"skerry-link-v1" + NONCE, ec.ECDSA(hashes.SHA256()))
    return link_pb2.Frame(
        hello=link_pb2.Hello(
            protocol_min=protocol,
            protocol_max=protocol,
            certificate=b"c",
            signature=signature,
            last_command_seq=last_command_seq,
        )
    )


class World:
    """A session being served, and the agent's end of its pipe."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        self.registry = AgentRegistry()
        self.gate = HandshakeGate()
        self.tasks: list[asyncio.Task[None]] = []
        self.prometheus = CollectorRegistry()
        self.metrics = PrometheusLinkMetrics(self.prometheus)

    def connect(self) -> Pipe:
        pipe = Pipe()
        session = AgentSession(
            pipe,
            sessions=self.sessions,
            directory=self.registry,
            clock=Clock(),
            metrics=self.metrics,
            ping_seconds=10,
            limits=Limits(),
            gate=self.gate,
            new_nonce=lambda: NONCE,
        )
        self.tasks.append(asyncio.ensure_future(session.serve()))
        return pipe

    async def admitted(self, **fields: int) -> Pipe:
        pipe = self.connect()
        pipe.say(hello(**fields))
        await pipe.until(lambda: "welcome" in pipe.kinds())
        return pipe


@pytest.fixture
async def world() -> World:
    return World()


async def ended(world: World) -> None:
    await asyncio.wait_for(asyncio.gather(*world.tasks), 20)


def command(seq: int) -> Command:
    return Command(seq, f"c{seq}", "uid", None, RetryAddOn("garage"))


def result(seq: int) -> link_pb2.Frame:
    frame = link_pb2.Frame()
    frame.command_result.seq = seq
    return frame


async def test_the_challenge_comes_first_and_welcome_names_the_epoch(world: World) -> None:
    pipe = await world.admitted()
    assert pipe.kinds()[:2] == ["challenge", "welcome"]
    assert pipe.frames[0].challenge.nonce == NONCE
    assert pipe.frames[1].welcome.epoch == 1
    pipe.inbound.put_nowait(None)
    await ended(world)
    assert world.sessions.gone == [1]
    assert not world.registry.is_connected("uid")


async def test_no_protocol_in_common_is_said(world: World) -> None:
    pipe = world.connect()
    pipe.say(hello(protocol=9))
    await ended(world)
    (frame,) = pipe.of("go_away")
    assert frame.go_away.reason == link_pb2.GO_AWAY_REASON_INCOMPATIBLE
    assert "9 to 9" in frame.go_away.message


async def test_frames_before_hello_break_the_protocol(world: World) -> None:
    pipe = world.connect()
    pipe.say(result(1))
    await ended(world)
    (frame,) = pipe.of("go_away")
    assert frame.go_away.reason == link_pb2.GO_AWAY_REASON_PROTOCOL_ERROR


async def test_a_second_hello_breaks_the_protocol(world: World) -> None:
    pipe = await world.admitted()
    pipe.say(hello())
    await ended(world)
    assert pipe.of("go_away")[0].go_away.reason == link_pb2.GO_AWAY_REASON_PROTOCOL_ERROR


async def test_commands_go_out_in_order_behind_what_the_agent_has(world: World) -> None:
    world.sessions.pending = [command(seq) for seq in (3, 4, 7)]
    pipe = await world.admitted(last_command_seq=3)
    await pipe.until(lambda: len(pipe.of("command")) == 2)
    assert [frame.command.seq for frame in pipe.of("command")] == [4, 7]


async def test_a_long_outbox_is_sent_as_the_agent_acknowledges(world: World) -> None:
    world.sessions.pending = [command(seq) for seq in range(1, 201)]
    pipe = await world.admitted()
    await pipe.until(lambda: len(pipe.of("command")) == 64)
    sent = 64
    while sent < 200:
        frame = link_pb2.Frame()
        frame.command_ack.seq = sent
        pipe.say(frame)
        sent = min(sent + 64, 200)
        await pipe.until(lambda: len(pipe.of("command")) == sent)  # noqa: B023
    assert [frame.command.seq for frame in pipe.of("command")] == list(range(1, 201))


async def test_a_cancel_follows_its_command(world: World) -> None:
    pipe = await world.admitted()
    world.registry.cancel("uid", 1)
    world.sessions.pending = [command(1)]
    world.registry.wake("uid")
    await pipe.until(lambda: bool(pipe.of("command_cancel")))
    kinds = [kind for kind in pipe.kinds() if kind in ("command", "command_cancel")]
    assert kinds == ["command", "command_cancel"]


async def test_a_result_is_acknowledged_when_it_is_stored_at_last(world: World) -> None:
    world.sessions.failures_left = 3
    pipe = await world.admitted()
    pipe.say(result(1))
    await pipe.until(lambda: bool(pipe.of("result_ack")))
    assert world.sessions.failures_left == 0
    assert [outcome.seq for outcome in world.sessions.outcomes] == [1]
    assert len(pipe.of("result_ack")) == 1


async def test_a_report_not_recorded_is_not_acknowledged(world: World) -> None:
    next(world.sessions.epochs)
    pipe = await world.admitted()
    report = link_pb2.Frame()
    report.report.key = "facts"
    pipe.say(report, result(1))
    pipe.say(result(2))
    await pipe.until(lambda: len(pipe.of("result_ack")) == 2)
    pipe.say(result(3))
    await pipe.until(lambda: len(pipe.of("result_ack")) == 3)
    assert world.sessions.reports
    assert not pipe.of("report_ack")


async def test_a_command_too_large_for_the_link_ends_with_a_reason(world: World) -> None:
    spec = EnvironmentSpec("ns", "e", "o", "p", "env")
    body = DeployApp(spec, "web", "u", 1, "d", ("c",), (SourceFile("c", bytes(9_000_000)),), {}, 60)
    world.sessions.pending = [Command(1, "c1", "uid", None, body), command(2)]
    pipe = await world.admitted()
    await pipe.until(lambda: bool(pipe.of("command")))
    assert [frame.command.seq for frame in pipe.of("command")] == [2]
    (outcome,) = world.sessions.outcomes
    assert outcome.code is StatusCode.RESOURCE_EXHAUSTED


async def test_the_newer_epoch_wins_even_when_it_arrives_first(world: World) -> None:
    world.sessions.epochs = iter([5, 4])
    newer = await world.admitted()
    older = world.connect()
    older.say(hello())
    await older.until(lambda: bool(older.of("go_away")))
    assert older.of("go_away")[0].go_away.reason == link_pb2.GO_AWAY_REASON_SUPERSEDED
    assert not newer.of("go_away")
    assert world.registry.is_connected("uid")
    await asyncio.wait({world.tasks[1]}, timeout=20)
    assert world.prometheus.get_sample_value("skerry_link_sessions") == 1


async def test_streams_of_agents_are_refused(world: World) -> None:
    pipe = await world.admitted()
    pipe.say(link_pb2.Frame(stream_id=1, open=link_pb2.Open()))
    await pipe.until(lambda: bool(pipe.of("reset")))
    assert pipe.of("reset")[0].reset.status.code == 12


async def test_cancelling_the_call_ends_the_session(world: World) -> None:
    await world.admitted()
    (task,) = world.tasks
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.sessions.gone == [1]
    assert not world.registry.is_connected("uid")


def renew_request(csr: bytes) -> link_pb2.Frame:
    return link_pb2.Frame(renew_request=link_pb2.RenewRequest(csr=csr))


async def test_a_certificate_is_renewed_over_the_connection(world: World) -> None:
    pipe = await world.admitted()
    pipe.say(renew_request(b"csr"))
    await pipe.until(lambda: "renew_result" in pipe.kinds())
    [frame] = pipe.of("renew_result")
    assert (frame.renew_result.certificate, frame.renew_result.generation) == (b"certificate", 1)
    pipe.say(link_pb2.Frame(renew_stored=link_pb2.RenewStored(generation=1)), renew_request(b"2"))
    await pipe.until(lambda: len(pipe.of("renew_result")) == 2)
    assert world.sessions.stored == [1]


async def test_a_bad_renewal_request_is_answered_with_the_reason(world: World) -> None:
    pipe = await world.admitted()
    pipe.say(renew_request(b"bad"))
    await pipe.until(lambda: "renew_result" in pipe.kinds())
    [frame] = pipe.of("renew_result")
    assert not frame.renew_result.certificate
    assert frame.renew_result.error.reason == "INVALID_FIELD"


async def test_renewing_a_revoked_identity_ends_the_connection(world: World) -> None:
    pipe = await world.admitted()
    pipe.say(renew_request(b"revoked"))
    await pipe.until(lambda: "go_away" in pipe.kinds())
    [frame] = pipe.of("go_away")
    assert frame.go_away.reason == link_pb2.GO_AWAY_REASON_REVOKED
    assert frame.go_away.message == "it was revoked"


async def test_a_wanted_renewal_is_asked_for_after_the_welcome(world: World) -> None:
    world.sessions.reason = "an operator asked for it"
    pipe = await world.admitted()
    await pipe.until(lambda: "renew_now" in pipe.kinds())


async def test_an_expired_certificate_gets_in_only_by_renewing(world: World) -> None:
    world.sessions.expired = True
    pipe = world.connect()
    pipe.say(hello())
    await pipe.until(lambda: "go_away" in pipe.kinds())
    assert pipe.of("go_away")[0].go_away.reason == link_pb2.GO_AWAY_REASON_UNAUTHENTICATED
    frame = hello()
    frame.hello.renewal.csr = b"csr"
    pipe = world.connect()
    pipe.say(frame)
    await pipe.until(lambda: "welcome" in pipe.kinds())
    assert pipe.of("welcome")[0].welcome.renewal.certificate == b"certificate"
    frame.hello.renewal.csr = b"bad"
    pipe = world.connect()
    pipe.say(frame)
    await pipe.until(lambda: "go_away" in pipe.kinds())
    assert "could not be renewed" in pipe.of("go_away")[0].go_away.message


async def test_who_comes_too_early_is_sent_away_before_anything_is_checked(world: World) -> None:
    world.gate = HandshakeGate(per_second=0.01, at_once=1, under_way=9)
    await world.admitted()
    pipe = world.connect()
    pipe.say(hello())
    await pipe.until(lambda: "go_away" in pipe.kinds())
    away = pipe.of("go_away")[0].go_away
    assert away.reason == link_pb2.GO_AWAY_REASON_RETRY_AFTER
    assert 0 < away.reconnect_min_ms < away.reconnect_max_ms
    assert world.sessions.authenticated == 1
    refused = world.prometheus.get_sample_value(
        "skerry_link_handshakes_refused_total", {"reason": "RATE"}
    )
    assert refused == 1


async def test_a_handshake_that_fails_makes_room_for_the_next(world: World) -> None:
    world.gate = HandshakeGate(under_way=1)
    for _ in range(3):
        pipe = world.connect()
        message = hello()
        message.hello.signature = b"wrong"
        pipe.say(message)
        await pipe.until(lambda pipe=pipe: "go_away" in pipe.kinds())
        assert pipe.of("go_away")[0].go_away.reason == link_pb2.GO_AWAY_REASON_UNAUTHENTICATED
    await world.admitted()
