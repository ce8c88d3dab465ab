"""What the services need from rooms above or beside them: live agents (`link`) and certificates (`pki`).

`controlplane.link` and `controlplane.pki` implement these; `app.py` binds them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controlplane.domain.commands import DeployApp
from controlplane.domain.link_health import LinkSample
from controlplane.domain.logs import LogEvent, LogsRequest
from controlplane.domain.terminals import ExecEvent, ExecRequest, WindowSize
from controlplane.domain.workloads import CheckResult, PlanResult


class LogStream(Protocol):
    """An open log stream of one agent. One consumer; reading grants the agent credit for more."""

    async def receive(self) -> LogEvent | None:
        """The next event; None when the agent has said all there is.

        Raises AgentOffline when the link was cut, another SkerryError when the agent ended the stream with a status.
        """
        ...

    async def close(self) -> None:
        """Stop it; harmless when it has ended."""
        ...


class ExecSession(Protocol):
    """A command running in a container. One reader and one writer may use it at the same time."""

    async def receive(self) -> ExecEvent | None:
        """The next event: ExecRunning first, ExecEnded last, then None.

        Raises AgentOffline when the link was cut, another SkerryError when the agent refused or ended it with a status.
        """
        ...

    async def send_stdin(self, data: bytes) -> None:
        """Pass input on; waits for credit. Raises as `receive` when the session is gone."""
        ...

    async def close_stdin(self) -> None:
        """Say that input has ended."""
        ...

    async def resize(self, size: WindowSize) -> None:
        """Change the window."""
        ...

    async def close(self) -> None:
        """End the command; harmless when it has ended."""
        ...


class Agents(Protocol):
    """The live agents. Calls that need one raise AgentOffline at once when it is not connected."""

    def is_connected(self, cluster_uid: str) -> bool:
        """Whether a link of this cluster is up."""
        ...

    def link(self, cluster_uid: str) -> LinkSample | None:
        """What the live connection says of itself; None when there is none."""
        ...

    def wake(self, cluster_uid: str) -> None:
        """Commands are waiting in the outbox: fetch them. Nothing happens when the agent is away."""
        ...

    def cancel(self, cluster_uid: str, seq: int) -> None:
        """Ask the agent to stop working on a command. Nothing happens when it is away: it is asked again on reconnect."""
        ...

    async def open_logs(self, cluster_uid: str, request: LogsRequest) -> LogStream:
        """Open a log stream."""
        ...

    async def open_exec(self, cluster_uid: str, request: ExecRequest) -> ExecSession:
        """Run a command; returns once the stream is open, before the command runs."""
        ...

    async def plan(self, cluster_uid: str, deploy: DeployApp) -> PlanResult:
        """What this deploy would do. Raises DeadlineExceeded when the agent takes too long."""
        ...

    async def check(
        self, cluster_uid: str, deploy: DeployApp, profiles: Sequence[str]
    ) -> CheckResult:
        """What there is to say about this compose project. Raises DeadlineExceeded when the agent takes too long."""
        ...

    async def compose_schema(self, cluster_uid: str) -> str:
        """The JSON Schema of compose files. Raises DeadlineExceeded when the agent takes too long."""
        ...

    def ask_to_renew(self, cluster_uid: str, reason: str) -> None:
        """Ask for a new certificate now. Nothing happens when the agent is away: it is asked when it is back."""
        ...

    async def disconnect(self, cluster_uid: str, reason: str) -> None:
        """Cut the link because the agent's identity is no longer valid; the agent is told not to come back with it."""
        ...


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """A certificate just signed for an agent. `authority` is the SHA-256 of the CA certificate."""

    certificate_der: bytes
    authority: bytes
    ca_certificates_der: tuple[bytes, ...]
    fingerprint: bytes
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class VerifiedCertificate:
    """What a certificate says after its chain was checked. `fingerprint` is SHA-256 of the DER.

    `expired` says that its life has ended, within the grace window. `generation` is 0 when it carries none.
    """

    cluster_uid: str
    fingerprint: bytes
    public_key_der: bytes
    generation: int
    authority: bytes
    expired: bool


class CertificateAuthority(Protocol):
    """Signs and checks agents' certificates. All is CPU work of about a millisecond."""

    @property
    def ca_certificates_der(self) -> tuple[bytes, ...]:
        """What agents are to trust."""
        ...

    def requested_key(self, csr_der: bytes) -> bytes:
        """The public key (SPKI DER) of a signing request.

        Raises InvalidField (`csr`) when the request is malformed, its signature wrong or its key too weak.
        """
        ...

    def sign(self, csr_der: bytes, *, cluster_uid: str, generation: int) -> SignedCertificate:
        """A client certificate for `spiffe://{trust domain}/clusters/{uid}`, whatever names the request holds.

        Raises as `requested_key`.
        """
        ...

    def verify(self, certificate_der: bytes) -> VerifiedCertificate:
        """Check issuer, validity and name. Raises CredentialsInvalid with what is wrong."""
        ...
