"""Doubles of the ports that `controlplane.link` and `controlplane.pki` implement: agents whose streams tests write by hand."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta

from controlplane.domain.clock import Clock
from controlplane.domain.commands import DeployApp
from controlplane.domain.errors import (
    AgentOffline,
    CredentialsInvalid,
    InvalidField,
    SkerryError,
)
from controlplane.domain.link_health import LinkSample
from controlplane.domain.logs import LogEvent, LogsRequest
from controlplane.domain.terminals import ExecEvent, ExecRequest, WindowSize
from controlplane.domain.workloads import CheckResult, PlanResult
from controlplane.services.ports import SignedCertificate, VerifiedCertificate

EMPTY_PLAN = PlanResult(False, ())
EMPTY_CHECK = CheckResult(False, ())


class FakeStream:
    """A log stream: `say` puts events in, `cut` breaks it, `end` finishes it."""

    def __init__(self, request: LogsRequest) -> None:
        self.request = request
        self.ended = asyncio.Event()
        self._events: asyncio.Queue[LogEvent | SkerryError | None] = asyncio.Queue()

    def say(self, *events: LogEvent) -> None:
        for event in events:
            self._events.put_nowait(event)

    def cut(self, error: SkerryError | None = None) -> None:
        self._events.put_nowait(error or AgentOffline("the link was cut"))

    def end(self) -> None:
        self._events.put_nowait(None)

    async def receive(self) -> LogEvent | None:
        event = await self._events.get()
        if isinstance(event, SkerryError):
            raise event
        return event

    @property
    def closed(self) -> bool:
        return self.ended.is_set()

    async def close(self) -> None:
        self.ended.set()


class FakeExec:
    """A command: `say` puts its events in; what the service sends is kept."""

    def __init__(self, request: ExecRequest) -> None:
        self.request = request
        self.stdin = bytearray()
        self.stdin_closed = False
        self.sizes: list[WindowSize] = []
        self.ended = asyncio.Event()
        self.received = 0
        self._events: asyncio.Queue[ExecEvent | SkerryError | None] = asyncio.Queue()

    def say(self, *events: ExecEvent | SkerryError | None) -> None:
        for event in events:
            self._events.put_nowait(event)

    async def receive(self) -> ExecEvent | None:
        event = await self._events.get()
        self.received += 1
        if isinstance(event, SkerryError):
            raise event
        return event

    async def send_stdin(self, data: bytes) -> None:
        self.stdin += data

    async def close_stdin(self) -> None:
        self.stdin_closed = True

    async def resize(self, size: WindowSize) -> None:
        self.sizes.append(size)

    @property
    def closed(self) -> bool:
        return self.ended.is_set()

    async def close(self) -> None:
        self.ended.set()


class FakeAgents:
    """Implements `controlplane.services.ports.Agents`."""

    def __init__(self) -> None:
        self.online: set[str] = set()
        self.links: dict[str, LinkSample] = {}
        self.woken: list[str] = []
        self.cancelled: list[tuple[str, int]] = []
        self.disconnected: list[str] = []
        self.asked_to_renew: list[str] = []
        self.planned: list[DeployApp] = []
        self.plan_result = EMPTY_PLAN
        self.checked: list[tuple[DeployApp, tuple[str, ...]]] = []
        self.check_result = EMPTY_CHECK
        self.schema = "{}"
        self.streams: list[FakeStream] = []
        self.commands: list[FakeExec] = []
        self.opened = asyncio.Event()

    def is_connected(self, cluster_uid: str) -> bool:
        return cluster_uid in self.online

    def link(self, cluster_uid: str) -> LinkSample | None:
        return self.links.get(cluster_uid)

    def wake(self, cluster_uid: str) -> None:
        self.woken.append(cluster_uid)

    def cancel(self, cluster_uid: str, seq: int) -> None:
        self.cancelled.append((cluster_uid, seq))

    async def open_logs(self, cluster_uid: str, request: LogsRequest) -> FakeStream:
        self._need(cluster_uid)
        self.streams.append(FakeStream(request))
        self.opened.set()
        return self.streams[-1]

    async def open_exec(self, cluster_uid: str, request: ExecRequest) -> FakeExec:
        self._need(cluster_uid)
        self.commands.append(FakeExec(request))
        self.opened.set()
        return self.commands[-1]

    async def plan(self, cluster_uid: str, deploy: DeployApp) -> PlanResult:
        self._need(cluster_uid)
        self.planned.append(deploy)
        return self.plan_result

    async def check(
        self, cluster_uid: str, deploy: DeployApp, profiles: Sequence[str]
    ) -> CheckResult:
        self._need(cluster_uid)
        self.checked.append((deploy, tuple(profiles)))
        return self.check_result

    async def compose_schema(self, cluster_uid: str) -> str:
        self._need(cluster_uid)
        return self.schema

    def ask_to_renew(self, cluster_uid: str, reason: str) -> None:
        del reason
        self.asked_to_renew.append(cluster_uid)

    async def disconnect(self, cluster_uid: str, reason: str) -> None:
        del reason
        self.online.discard(cluster_uid)
        self.disconnected.append(cluster_uid)

    def _need(self, cluster_uid: str) -> None:
        if cluster_uid not in self.online:
            raise AgentOffline("the agent is not connected")


class FakeAuthority:
    """Implements `CertificateAuthority`: a certificate is `cert:{uid}:{generation}:{end}:{csr}`, a request anything beginning with `csr`."""

    def __init__(self, clock: Clock, before_signing: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self.before_signing = before_signing
        self.ttl = timedelta(days=2)
        self.grace = timedelta(days=30)

    @property
    def ca_certificates_der(self) -> tuple[bytes, ...]:
        return (b"ca",)

    def requested_key(self, csr_der: bytes) -> bytes:
        self.before_signing()
        if not csr_der.startswith(b"csr"):
            raise InvalidField.of("csr", "is not a certificate signing request")
        return csr_der

    def sign(self, csr_der: bytes, *, cluster_uid: str, generation: int) -> SignedCertificate:
        end = self._clock.now() + self.ttl
        head = f"cert:{cluster_uid}:{generation}:{end.timestamp()}:"
        certificate = head.encode() + self.requested_key(csr_der)
        return SignedCertificate(
            certificate, b"authority", (b"ca",), hashlib.sha256(certificate).digest(), end
        )

    def verify(self, certificate_der: bytes) -> VerifiedCertificate:
        kind, *rest = certificate_der.split(b":", 4)
        if kind != b"cert":
            raise CredentialsInvalid("not signed by this CA")
        uid, generation, end, key = rest
        late = self._clock.now().timestamp() - float(end)
        if late > self.grace.total_seconds():
            raise CredentialsInvalid("expired too long ago")
        return VerifiedCertificate(
            uid.decode(),
            hashlib.sha256(certificate_der).digest(),
            key,
            int(generation),
            b"authority",
            late > 0,
        )
