"""The agent's next certificate, in time: asked for over the live link, on disk before it is used. Owned by `link`.

The rule that the control plane relies on: a certificate is used, and said to be stored, only after it is safe on the disk.
So the disk never holds an older one than the control plane has seen, unless it is a copy. Each certificate gets a new key;
asked again for the same key, because an answer was lost or the disk was full, the control plane gives the same certificate.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from skerry.agent.v1 import link_pb2

from agent.link.backoff import Backoff
from agent.link.errors import IdentityError
from agent.link.identity import Identity, IdentityStore

log = structlog.get_logger(__name__)

_ANSWER_SECONDS = 30.0
_LOOK_SECONDS = 60.0  # how often the wall clock is looked at: it may jump
_DUE = (
    0.60,
    2 / 3,
)  # share of the life after which it is time; drawn, so that agents do not come in step


class Outbox(Protocol):
    """A live connection."""

    def renewal(self, frame: link_pb2.Frame) -> None:
        """Send a frame of the renewal."""
        ...


class Renewer:
    """Keeps the identity young. `identity` is always the one on the disk."""

    def __init__(
        self,
        identity: Identity,
        store: IdentityStore,
        *,
        rng: random.Random,
        now: Callable[[], datetime],
        backoff: Backoff | None = None,
    ) -> None:
        self._identity = identity
        self._store = store
        self._rng = rng
        self._now = now
        self._backoff = backoff or Backoff(rng, low=5.0, high=600.0)
        self._outbox: Outbox | None = None
        self._asked = False
        self._news = asyncio.Event()
        self._request: tuple[ec.EllipticCurvePrivateKey, bytes] | None = None
        self._answer: link_pb2.RenewResult | None = None
        self._due = self._draw()
        self.renewals = 0
        """How often it worked since the start."""
        self.last_error = ""
        """Why the last try failed; empty after one that worked."""

    @property
    def identity(self) -> Identity:
        """Who we are."""
        return self._identity

    # From the connection; these do not wait

    def attach(self, outbox: Outbox) -> None:
        """The control plane let us in."""
        self._outbox = outbox
        self._news.set()

    def detach(self, outbox: Outbox) -> None:
        """The connection has ended."""
        if self._outbox is outbox:
            self._outbox = None

    def ask(self, reason: str) -> None:
        """The control plane wants us to renew now, with a new key."""
        log.info("renewal_asked_for", reason=reason)
        self._asked = True
        self._request = None
        self._news.set()

    def answered(self, result: link_pb2.RenewResult) -> None:
        """The control plane has answered; `run` looks at it."""
        self._answer = result
        self._news.set()

    def for_hello(self, control_plane_now: datetime) -> link_pb2.RenewRequest | None:
        """What Hello must carry because the certificate has ended, by the control plane's clock or ours."""
        if self._identity.expire_time > max(control_plane_now, self._now()):
            return None
        return self._frame().renew_request

    # The own task

    async def run(self) -> None:
        """Renew whenever it is time, until cancelled."""
        while True:
            if self._answer is not None:
                await self._take_answer()
            if self._outbox is not None and (self._asked or self._now() >= self._due):
                await self._renew()
            else:
                await self._wait(_LOOK_SECONDS)

    async def _renew(self) -> None:
        outbox = self._outbox
        while self._outbox is not None and self._outbox is outbox:
            self._asked = False
            outbox.renewal(self._frame())
            if await self._answer_within(_ANSWER_SECONDS) and await self._take_answer():
                return
            if self._asked:
                continue  # with another key
            if not self.last_error:
                self.last_error = "the control plane did not answer"
            wait = self._backoff.after(0)
            log.warning("renewal_failed", error=self.last_error, retry_seconds=round(wait, 1))
            await self._answer_within(wait)

    async def _answer_within(self, seconds: float) -> bool:
        """Wait for an answer; also ends when the connection is another one or a new key is wanted."""
        outbox = self._outbox
        deadline = asyncio.get_running_loop().time() + seconds
        while self._answer is None and self._outbox is outbox and not self._asked:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await self._wait(min(left, 1.0))
        return self._answer is not None

    async def _take_answer(self) -> bool:
        """Store what came and use it. False, and `last_error`, when it cannot be used."""
        answer, self._answer = self._answer, None
        if answer is None or self._request is None:
            return False
        try:
            identity = self._next(answer)
            await asyncio.to_thread(self._store.save, identity)
        except (IdentityError, ValueError) as error:
            self.last_error = str(error)
            return False
        self._identity = identity
        self._request = None
        self._due = self._draw()
        self._backoff.after(float("inf"))
        self.renewals += 1
        self.last_error = ""
        log.info(
            "certificate_renewed",
            generation=answer.generation,
            expires=identity.expire_time.isoformat(),
        )
        if self._outbox is not None:
            stored = link_pb2.RenewStored(generation=answer.generation)
            self._outbox.renewal(link_pb2.Frame(renew_stored=stored))
        return True

    def _next(self, answer: link_pb2.RenewResult) -> Identity:
        """Raises ValueError."""
        if not answer.certificate:
            raise ValueError(answer.error.message or "the control plane gave no certificate")
        key = self._request[0] if self._request else None
        certificate = x509.load_der_x509_certificate(answer.certificate)
        if key is None or certificate.public_key() != key.public_key():
            raise ValueError("the control plane certified another key than the one asked for last")
        for der in answer.ca_certificates:
            x509.load_der_x509_certificate(der)
        return replace(
            self._identity,
            certificate_der=answer.certificate,
            ca_certificates_der=tuple(answer.ca_certificates) or self._identity.ca_certificates_der,
            key=key,
        )

    def _frame(self) -> link_pb2.Frame:
        if self._request is None:
            key = ec.generate_private_key(ec.SECP256R1())
            self._request = (key, signing_request(key))
        request = link_pb2.RenewRequest(csr=self._request[1], generation=self._identity.generation)
        return link_pb2.Frame(renew_request=request)

    def _draw(self) -> datetime:
        """When the certificate is to be renewed."""
        begin, end = self._identity.not_before, self._identity.expire_time
        return begin + timedelta(seconds=(end - begin).total_seconds() * self._rng.uniform(*_DUE))

    async def _wait(self, seconds: float) -> None:
        """Until there is news, at most so long."""
        try:
            async with asyncio.timeout(
                min(seconds, max(0.01, (self._due - self._now()).total_seconds()))
                if self._now() < self._due
                else seconds
            ):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()


def signing_request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A PKCS #10 request, DER, for this key; the control plane ignores its names."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skerry-agent")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)
