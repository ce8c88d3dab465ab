"""A control plane's agent port and an agent's link, both real, over TLS on the loopback.

The only double is `Sessions`: the services behind the link, in memory, so that a test can make the
database fail and see what is handed over. A TCP proxy in between can freeze or cut the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from skerry.agent.v1 import enrollment_pb2_grpc, link_pb2_grpc
from skerry.wire.limits import Limits

from agent.link import (
    CommandHandlers,
    Identity,
    IdentityStore,
    Journal,
    Link,
    ReportBoard,
    StreamHandlers,
)
from agent.link.backoff import Backoff
from controlplane.domain.clock import SystemClock
from controlplane.domain.clusters import AgentIdentity, Enrolment
from controlplane.domain.commands import (
    Command,
    CommandBody,
    CommandOutcome,
    CommandProgress,
    RetryAddOn,
)
from controlplane.domain.errors import CredentialsInvalid, StorageUnavailable
from controlplane.domain.names import ClusterName
from controlplane.domain.reports import Report
from controlplane.link.admission import HandshakeGate
from controlplane.link.enrollment import EnrollmentServicer
from controlplane.link.registry import AgentRegistry
from controlplane.link.servicer import LinkServicer
from controlplane.link.transport import SERVER_OPTIONS
from controlplane.pki.authority import CertificateAuthority
from controlplane.pki.errors import InvalidCertificate
from controlplane.services.agent_identities import Renewal

UID = "01hxcluster"
CLUSTER = "clusters/lab"
PATIENCE = 60.0


async def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Wait for something that is not told by an event. Fails after `PATIENCE` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < deadline, f"waited {PATIENCE} s for {what}"
        await asyncio.sleep(0.005)


class Sessions:
    """The services behind the link, in memory (double of `services.agent_sessions`)."""

    def __init__(self, authority: CertificateAuthority) -> None:
        self._authority = authority
        self.epoch = 0
        self.live: set[int] = set()
        self.outbox: dict[int, Command] = {}
        self.cancels: set[int] = set()
        self.acknowledged_seq = 0
        self.progress: list[CommandProgress] = []
        self.outcomes: list[CommandOutcome] = []
        self.reports: list[Report] = []
        self.sent: list[int] = []
        self.round_trips: list[timedelta | None] = []
        self.storage_fails = False
        self.failures = 0
        self.refused = ""
        self.poisoned: dict[int, str] = {}
        """Messages of results, by number, that cannot be recorded."""
        self.renewals = 0
        self.stored: list[int] = []

    def add(self, body: CommandBody, deadline: datetime | None = None) -> Command:
        seq = len(self.outbox) + 1
        command = Command(seq, f"command-{seq}", UID, deadline, body)
        self.outbox[seq] = command
        return command

    async def authenticate(self, certificate_der: bytes) -> AgentIdentity:
        if self.refused:
            raise CredentialsInvalid(self.refused)
        try:
            verified = self._authority.verify_agent(certificate_der)
        except InvalidCertificate as error:
            raise CredentialsInvalid(str(error)) from error
        return AgentIdentity(
            verified.cluster_uid, ClusterName.parse(CLUSTER, "name"), verified.public_key_der
        )

    async def connected(self, identity: AgentIdentity, *, agent_version: str, boot_id: str) -> int:
        self._check()
        self.epoch += 1
        self.live.add(self.epoch)
        return self.epoch

    def seen(self, cluster_uid: str, epoch: int, round_trip: timedelta | None) -> None:
        self.round_trips.append(round_trip)

    async def renew(self, identity: AgentIdentity, epoch: int, csr_der: bytes) -> Renewal | None:
        self.renewals += 1
        issued = self._authority.sign_agent(
            csr_der, cluster_uid=UID, ttl=timedelta(days=1), generation=self.renewals
        )
        return Renewal(issued.certificate_der, (self._authority.certificate_der,), self.renewals)

    async def certificate_stored(self, cluster_uid: str, epoch: int, generation: int) -> None:
        self.stored.append(generation)

    async def renewal_reason(self, cluster_uid: str) -> str:
        return ""

    async def disconnected(self, cluster_uid: str, epoch: int, reason: str) -> None:
        self.live.discard(epoch)

    async def pending_commands(self, cluster_uid: str, after_seq: int) -> Sequence[Command]:
        self._check()
        ended = {outcome.seq for outcome in self.outcomes}
        found = [
            command
            for seq, command in sorted(self.outbox.items())
            if seq > after_seq and seq not in ended
        ]
        self.sent.extend(command.seq for command in found)
        return found

    async def pending_cancels(self, cluster_uid: str) -> Sequence[int]:
        return sorted(self.cancels)

    async def acknowledged(self, cluster_uid: str, epoch: int, seq: int) -> None:
        self.acknowledged_seq = max(self.acknowledged_seq, seq)

    async def progressed(self, cluster_uid: str, epoch: int, progress: CommandProgress) -> None:
        self.progress.append(progress)

    async def finished(self, cluster_uid: str, epoch: int, outcome: CommandOutcome) -> None:
        self._check()
        if self.poisoned.get(outcome.seq) == outcome.message:
            raise ValueError("this cannot be recorded")
        if all(known.seq != outcome.seq for known in self.outcomes):
            self.outcomes.append(outcome)

    async def reported(self, cluster_uid: str, epoch: int, report: Report) -> bool:
        self._check()
        self.reports.append(report)
        return True

    def _check(self) -> None:
        if self.storage_fails:
            self.failures += 1
            raise StorageUnavailable("the disk of the database is full")


class Enrolments:
    """Double of `services.enrolment`: one secret, one certificate."""

    def __init__(self, authority: CertificateAuthority, secret: bytes) -> None:
        self._authority = authority
        self._secret = secret

    async def enroll(self, secret: bytes, csr_der: bytes, agent_version: str) -> Enrolment:
        assert secret == self._secret
        issued = self._authority.sign_agent(csr_der, cluster_uid=UID, ttl=timedelta(days=1))
        return Enrolment(
            issued.certificate_der,
            (self._authority.certificate_der,),
            ClusterName.parse(CLUSTER, "name"),
            UID,
            issued.expire_time,
        )


class Proxy:
    """A TCP proxy that can stop forwarding without closing anything, and cut everything."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def stop(self) -> None:
        self.thaw()
        self.cut()
        assert self._server is not None
        self._server.close()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, upstream[1]), (upstream[0], writer)):
            pump = asyncio.ensure_future(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._writers.add(sink)
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(sink)
            sink.close()


@dataclass
class Plane:
    """A running agent port."""

    sessions: Sessions
    registry: AgentRegistry
    authority: CertificateAuthority
    port: int
    server: grpc.aio.Server
    limits: Limits = field(default_factory=Limits)
    gate: HandshakeGate = field(default_factory=HandshakeGate)

    async def restart(self) -> None:
        """Stop and start on the same port, as a new process would."""
        await self.server.stop(None)
        self.registry = AgentRegistry()
        self.server = _server(self)
        await self.server.start()


PING_SECONDS = 0.5


def _server(plane: Plane) -> grpc.aio.Server:
    identity = plane.authority.issue_server(["127.0.0.1", "localhost"], ttl=timedelta(days=1))
    server = grpc.aio.server(options=SERVER_OPTIONS)
    link_pb2_grpc.add_LinkServiceServicer_to_server(
        LinkServicer(
            sessions=plane.sessions,
            registry=plane.registry,
            clock=SystemClock(),
            ping_seconds=PING_SECONDS,
            limits=plane.limits,
            gate=plane.gate,
        ),
        server,
    )
    enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server(
        EnrollmentServicer(Enrolments(plane.authority, bytes(32))), server
    )
    credentials = grpc.ssl_server_credentials([(identity.key_pem, identity.chain_pem)])
    plane.port = server.add_secure_port(f"127.0.0.1:{plane.port}", credentials)
    return server


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    """The control plane's agent port."""
    authority = CertificateAuthority.open(tmp_path / "pki", clock=lambda: datetime.now(UTC))
    plane = Plane(Sessions(authority), AgentRegistry(), authority, 0, None)  # type: ignore[arg-type]
    plane.server = _server(plane)
    await plane.server.start()
    yield plane
    await plane.server.stop(None)


def new_identity(authority: CertificateAuthority, port: int) -> Identity:
    """What enrolment would give."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(key, hashes.SHA256())
    )
    issued = authority.sign_agent(
        request.public_bytes(serialization.Encoding.DER), cluster_uid=UID, ttl=timedelta(days=1)
    )
    return Identity(
        f"127.0.0.1:{port}", CLUSTER, UID, issued.certificate_der, (authority.certificate_der,), key
    )


@dataclass
class Agent:
    """A running agent."""

    link: Link
    board: ReportBoard
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


class Agents:
    """Starts agents and stops them at the end of the test."""

    def __init__(self, plane: Plane, state_dir: Path) -> None:
        self._plane = plane
        self._state_dir = state_dir
        self.identity = new_identity(plane.authority, plane.port)
        self._running: list[Agent] = []
        self._journals: list[Journal] = []

    def start(
        self,
        *,
        streams: StreamHandlers | None = None,
        commands: CommandHandlers | None = None,
        port: int | None = None,
        identity: Identity | None = None,
        state: str = "a",
        backoff: Backoff | None = None,
        board: ReportBoard | None = None,
    ) -> Agent:
        identity = identity or self.identity
        if port is not None:
            identity = replace(identity, address=f"127.0.0.1:{port}")
        journal = Journal(self._state_dir / state / "journal.db", cluster_uid=UID)
        self._journals.append(journal)
        board = board or ReportBoard()
        link = Link(
            identity=identity,
            store=IdentityStore(self._state_dir / state),
            journal=journal,
            board=board,
            stream_handlers=streams or {},
            command_handlers=commands or {},
            agent_version="test",
            boot_id="boot",
            backoff=backoff or Backoff(random.Random(1), low=0.01, high=0.05),
        )
        agent = Agent(link, board, asyncio.ensure_future(link.run()))
        self._running.append(agent)
        return agent

    async def stop(self) -> None:
        for agent in self._running:
            if not agent.task.done():
                await agent.stop()
        for journal in self._journals:
            journal.close()


@pytest.fixture
async def agents(plane: Plane, tmp_path: Path) -> AsyncIterator[Agents]:
    """Agents of the control plane."""
    agents = Agents(plane, tmp_path / "agents")
    yield agents
    await agents.stop()


@pytest.fixture
async def proxy(plane: Plane) -> AsyncIterator[tuple[Proxy, int]]:
    """A proxy in front of the agent port, and its port."""
    proxy = Proxy(plane.port)
    port = await proxy.start()
    yield proxy, port
    await proxy.stop()


def retry_add_on(name: str = "garage") -> RetryAddOn:
    """A small command."""
    return RetryAddOn(name)
