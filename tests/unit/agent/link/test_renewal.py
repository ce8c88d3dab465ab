"""Renewal: in time, on disk before it is used, tried again, and never with a key that was not asked for."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from skerry.agent.v1 import link_pb2

from agent.link.backoff import Backoff
from agent.link.errors import IdentityError
from agent.link.identity import Identity, IdentityStore
from agent.link.renewal import Renewer, signing_request

CA = ec.generate_private_key(ec.SECP256R1())
LIFE = timedelta(hours=48)


def certify(csr: bytes, generation: int, begin: datetime) -> bytes:
    request = x509.load_der_x509_csr(csr)
    name = x509.Name([x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, str(generation))])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(request.public_key())
        .serial_number(generation)
        .not_valid_before(begin)
        .not_valid_after(begin + LIFE)
        .sign(CA, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


class Clock:
    def __init__(self) -> None:
        self.time = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.time


class Plane:
    """A connection whose control plane is the test."""

    def __init__(self) -> None:
        self.requests: list[link_pb2.RenewRequest] = []
        self.stored: list[int] = []
        self.on_request: Callable[[link_pb2.RenewRequest], None] = lambda _: None

    def renewal(self, frame: link_pb2.Frame) -> None:
        if frame.HasField("renew_request"):
            self.requests.append(frame.renew_request)
            self.on_request(frame.renew_request)
        else:
            self.stored.append(frame.renew_stored.generation)


class World:
    def __init__(self, state: Path) -> None:
        self.clock = Clock()
        self.store = IdentityStore(state)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = certify(signing_request(key), 1, self.clock.time)
        self.store.save(
            Identity("cp:7071", "clusters/lab", "uid", certificate, (certificate,), key)
        )
        self.plane = Plane()
        self.renewer = self.restarted()

    def restarted(self) -> Renewer:
        identity = self.store.load()
        assert identity is not None
        rng = random.Random(1)
        return Renewer(
            identity, self.store, rng=rng, now=self.clock, backoff=Backoff(rng, low=0.01, high=0.02)
        )

    def answer(self, request: link_pb2.RenewRequest, generation: int = 2) -> link_pb2.RenewResult:
        certificate = certify(request.csr, generation, self.clock.time)
        return link_pb2.RenewResult(certificate=certificate, generation=generation)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.renewer.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def until(condition: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 20
    while not condition():
        assert loop.time() < deadline
        await asyncio.sleep(0.005)


def test_the_time_is_drawn_at_about_two_thirds_of_the_life(world: World) -> None:
    begin = world.renewer.identity.not_before
    dues = {(world.restarted()._draw() - begin) / LIFE for _ in range(5)}
    assert all(0.6 <= share <= 0.667 for share in dues)
    rng = random.Random(2)
    other = Renewer(world.renewer.identity, world.store, rng=rng, now=world.clock)
    assert (other._draw() - begin) / LIFE not in dues


async def test_it_renews_when_it_is_time_and_not_before(world: World) -> None:
    plane, renewer = world.plane, world.renewer
    plane.on_request = lambda request: renewer.answered(world.answer(request))
    async with world.running():
        renewer.attach(plane)
        world.clock.time += LIFE * 0.59
        renewer.attach(plane)
        await asyncio.wait_for(_turns(), 5)
        assert plane.requests == []
        world.clock.time += LIFE * 0.1
        renewer.attach(plane)
        await until(lambda: plane.stored == [2])
    assert renewer.identity.generation == 2
    assert renewer.renewals == 1
    loaded = world.store.load()
    assert loaded is not None
    assert loaded.generation == 2


async def _turns() -> None:
    """Let every task that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_asked_to_it_renews_at_once_with_a_new_key(world: World) -> None:
    plane, renewer = world.plane, world.renewer
    plane.on_request = lambda request: renewer.answered(world.answer(request))
    before = renewer.identity.key.public_key()
    async with world.running():
        renewer.attach(plane)
        renewer.ask("an operator wants it")
        await until(lambda: plane.stored == [2])
    assert renewer.identity.key.public_key() != before


async def test_an_answer_that_is_late_is_asked_for_again_with_the_same_key(world: World) -> None:
    plane, renewer = world.plane, world.renewer
    refused = link_pb2.RenewResult(error=link_pb2.Status(code=14, message="the disk is full"))

    def refuse_twice(request: link_pb2.RenewRequest) -> None:
        third = len(plane.requests) == 3
        renewer.answered(world.answer(request) if third else refused)

    plane.on_request = refuse_twice
    async with world.running():
        renewer.attach(plane)
        renewer.ask("now")
        await until(lambda: plane.stored == [2])
    assert len({request.csr for request in plane.requests}) == 1
    assert renewer.last_error == ""


async def test_after_a_cut_it_asks_on_the_next_connection(world: World) -> None:
    plane, renewer = world.plane, world.renewer
    world.clock.time += LIFE * 0.7
    async with world.running():
        renewer.attach(plane)
        await until(lambda: len(plane.requests) == 1)
        renewer.detach(plane)
        other = Plane()
        other.on_request = lambda request: renewer.answered(world.answer(request))
        renewer.attach(other)
        await until(lambda: other.stored == [2])
    assert plane.requests[0].csr == other.requests[0].csr


async def test_what_cannot_be_stored_is_not_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane, renewer = world.plane, world.renewer
    plane.on_request = lambda request: renewer.answered(world.answer(request))

    def full(_: Identity) -> None:
        raise IdentityError("the disk is full")

    async with world.running():
        with monkeypatch.context() as patched:
            patched.setattr(world.store, "save", full)
            renewer.attach(plane)
            renewer.ask("now")
            await until(lambda: len(plane.requests) >= 2)
            assert renewer.identity.generation == 1
            assert renewer.last_error == "the disk is full"
            assert plane.stored == []
        await until(lambda: plane.stored == [2])


async def test_a_certificate_for_another_key_is_refused(world: World) -> None:
    plane, renewer = world.plane, world.renewer
    stranger = signing_request(ec.generate_private_key(ec.SECP256R1()))
    bad = link_pb2.RenewResult(certificate=certify(stranger, 2, world.clock.time), generation=2)
    plane.on_request = lambda _: renewer.answered(bad)
    async with world.running():
        renewer.attach(plane)
        renewer.ask("now")
        await until(lambda: len(plane.requests) >= 2)
    assert renewer.identity.generation == 1
    assert "another key" in renewer.last_error


async def test_garbage_does_not_end_the_renewer(world: World) -> None:
    plane, renewer = world.plane, world.renewer
    garbage = link_pb2.RenewResult(certificate=b"\x30", generation=2)

    def once(request: link_pb2.RenewRequest) -> None:
        renewer.answered(garbage if len(plane.requests) == 1 else world.answer(request))

    plane.on_request = once
    async with world.running():
        renewer.attach(plane)
        renewer.ask("now")
        await until(lambda: plane.stored == [2])


async def test_hello_carries_the_request_once_the_certificate_has_ended(world: World) -> None:
    renewer, now = world.renewer, world.clock.time
    assert renewer.for_hello(now) is None
    # By either clock: who is wrong about the time cannot be known.
    request = renewer.for_hello(now + LIFE + timedelta(minutes=1))
    assert request is not None
    world.clock.time += LIFE + timedelta(minutes=1)
    again = renewer.for_hello(now)
    assert again is not None
    assert again.csr == request.csr
    async with world.running():
        renewer.answered(world.answer(again))
        renewer.attach(world.plane)
        await until(lambda: world.plane.stored == [2])
