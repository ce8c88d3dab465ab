"""An agent's next certificate, over its live connection. One for each admitted session, made by `session`.

As with the courier, the wire's reader puts things down here and waits for nobody; the own task takes them to the service.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog
from skerry.agent.v1 import link_pb2

from controlplane.domain.clock import Clock
from controlplane.domain.clusters import AgentIdentity
from controlplane.domain.errors import AgentRefused, SkerryError

log = structlog.get_logger(__name__)

# Signing costs a write to the database: an agent that asks in a loop is answered no more often than this.
_PAUSE_SECONDS = 1.0


class GivenCertificate(Protocol):
    """What `services.agent_identities.Renewal` says."""

    @property
    def certificate_der(self) -> bytes: ...
    @property
    def ca_certificates_der(self) -> tuple[bytes, ...]: ...
    @property
    def generation(self) -> int: ...


class Identities(Protocol):
    """What renewing needs of `services.agent_sessions`; see there."""

    async def renew(
        self, identity: AgentIdentity, epoch: int, csr_der: bytes
    ) -> GivenCertificate | None: ...

    async def certificate_stored(self, cluster_uid: str, epoch: int, generation: int) -> None: ...

    async def renewal_reason(self, cluster_uid: str) -> str: ...


class Renewals:
    """`send` queues a frame for the agent, `refuse` ends the connection because the identity is worth nothing any more."""

    def __init__(
        self,
        identities: Identities,
        clock: Clock,
        *,
        identity: AgentIdentity,
        epoch: int,
        send: Callable[[link_pb2.Frame], None],
        refuse: Callable[[str], None],
    ) -> None:
        self._identities = identities
        self._clock = clock
        self._identity = identity
        self._epoch = epoch
        self._send = send
        self._refuse = refuse
        self._work = asyncio.Event()
        self._request: link_pb2.RenewRequest | None = None
        self._stored = 0
        self._said_stored = 0

    def take(self, kind: str, frame: link_pb2.Frame) -> None:
        """Put down what the agent said; a newer request replaces an older one."""
        if kind == "renew_request":
            self._request = frame.renew_request
        else:
            self._stored = max(self._stored, frame.renew_stored.generation)
        self._work.set()

    def ask(self, reason: str) -> None:
        """Ask the agent to renew now."""
        self._send(link_pb2.Frame(renew_now=link_pb2.RenewNow(reason=reason)))

    async def answer(self, request: link_pb2.RenewRequest) -> link_pb2.RenewResult | None:
        """The certificate; None for a superseded connection. Raises AgentRefused."""
        try:
            given = await self._identities.renew(self._identity, self._epoch, request.csr)
        except AgentRefused:
            raise
        except SkerryError as error:
            log.warning("renewal_failed", cluster=str(self._identity.cluster), error=error.message)
            status = link_pb2.Status(
                code=error.code, reason=error.reason, message=error.message[:1000]
            )
            return link_pb2.RenewResult(error=status)
        if given is None:
            return None
        return link_pb2.RenewResult(
            certificate=given.certificate_der,
            ca_certificates=given.ca_certificates_der,
            generation=given.generation,
        )

    async def run(self) -> None:
        """Carry what was put down to the service until cancelled."""
        self._work.set()
        asked = False
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                if not asked:
                    if reason := await self._identities.renewal_reason(self._identity.cluster_uid):
                        self.ask(reason)
                    asked = True
                await self._step()
            except AgentRefused as error:
                self._refuse(error.message)
            except (
                SkerryError
            ) as error:  # the database does not answer: what was put down stays there
                log.warning("renewal_waits", error=error.message)
                self._work.set()
            await self._clock.sleep(_PAUSE_SECONDS)

    async def _step(self) -> None:
        if (stored := self._stored) > self._said_stored:
            await self._identities.certificate_stored(
                self._identity.cluster_uid, self._epoch, stored
            )
            self._said_stored = stored
        if (request := self._request) is not None:
            self._request = None
            if (result := await self.answer(request)) is not None:
                self._send(link_pb2.Frame(renew_result=result))
