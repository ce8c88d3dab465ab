"""Both ends of the core through random schedules: what must hold always, holds."""

from __future__ import annotations

import pytest
from skerry.wire.errors import LinkLost
from skerry.wire.limits import BATCH_BYTES, KIB, Limits

from tests.unit.wire.simulation import World


def play(seed: int) -> World:
    """A random network and some hundred random actions of both ends."""
    world = World(seed)
    rng = world.random
    world.bandwidth = rng.choice([1e5, 1e6, 2e7, 1e9])
    world.latency = rng.choice([0.0001, 0.01, 0.2])
    for _ in range(rng.randrange(50, 300)):
        end = rng.choice(world.ends)
        action = rng.random()
        if (action < 0.08 or not end.states) and len(end.core.streams) < 12:
            size = rng.choice([0, 0, 0, 3_000, 200_000])
            end.open(interactive=rng.random() < 0.4, size=size)
        elif end.states:
            stream_id = rng.choice(list(end.states))
            room = end.room(end.states[stream_id])
            if action < 0.55 and room > 0:
                for _ in range(rng.randrange(1, 10)):
                    room = end.room(end.states[stream_id])
                    if room > 0:
                        end.send(stream_id, rng.randbytes(rng.randrange(1, room + 1)))
            elif action < 0.85:
                end.consume(stream_id, rng.randrange(1, 50))
            elif action < 0.88:
                end.finish(stream_id)
            elif action < 0.89:
                end.reset(stream_id)
        for _ in range(rng.randrange(4)):
            world.step()
        world.check()
    return world


@pytest.mark.parametrize("seed", range(200))
def test_every_byte_sent_before_a_finish_is_delivered(seed: int) -> None:
    world = play(seed)
    world.settle()
    for key, flow in world.flows.items():
        if flow.finished and not flow.aborted:
            assert flow.delivered == len(flow.sent), key
    for end in world.ends:
        assert end.core.streams == {}, "no stream outlives both ends"
        assert end.core._mux.windows.reserved == 0, "the pool of windows is given back"
    assert world.largest <= 2 * 200_000 + BATCH_BYTES, "a large Open goes beside one batch"


@pytest.mark.parametrize("seed", range(200, 300))
def test_a_cut_delivers_a_prefix_and_ends_every_stream(seed: int) -> None:
    world = play(seed)
    open_before = [state for end in world.ends for state in end.core.streams.values()]
    world.cut()
    assert all(isinstance(state.error, LinkLost) for state in open_before)
    for end in world.ends:
        assert end.core.streams == {}
        for stream_id in end.states:
            end.consume(stream_id, 100_000)  # checks that it is a prefix


def test_a_keystroke_waits_for_two_batches_at_most_under_ten_bulk_streams() -> None:
    world = World(1, bandwidth=5e6, latency=0.0005)
    terminal = world.plane.open(interactive=True)
    bulk = [world.plane.open() for _ in range(10)]
    world.run(0.1)
    worst = 0.0
    for _ in range(100):
        for _ in range(20):
            for stream_id in bulk:
                state = world.agent.states[stream_id]
                while (room := world.agent.room(state)) > 0:
                    world.agent.send(stream_id, bytes(room))
                world.plane.consume(stream_id, 100)
            world.step()
        sent_at = world.now
        world.agent.send(terminal, b"x")
        while not world.plane.states[terminal].inbound:
            world.step()
        worst = max(worst, world.now - sent_at)
        world.plane.consume(terminal, 1)
    assert world.plane.core.received.bulk_bytes > 1_000_000, "the bulk streams were busy"
    assert worst <= 2 * (BATCH_BYTES + 20 * KIB) / world.bandwidth + world.latency


def test_bulk_is_not_starved_by_a_terminal_that_never_stops() -> None:
    world = World(2, bandwidth=1e6, latency=0.001)
    terminals = [world.plane.open(interactive=True) for _ in range(8)]
    bulk = world.plane.open()
    world.run(0.1)
    for _ in range(600):
        for stream_id in (*terminals, bulk):
            state = world.agent.states[stream_id]
            while (room := world.agent.room(state)) > 0:
                world.agent.send(stream_id, bytes(room))
            world.plane.consume(stream_id, 100)
        world.step()
    received = world.plane.core.received
    assert received.bulk_bytes >= 0.1 * (received.interactive_bytes + received.bulk_bytes)


def test_the_window_of_a_busy_stream_grows_on_a_long_fast_way() -> None:
    world = World(4, bandwidth=1e8, latency=0.05)
    stream_id = world.plane.open()
    world.run(0.2)
    rate = busy(world, stream_id, seconds=3.0)
    assert rate > 15e6, "64 KiB a round trip would be 0.6 MB/s"


def test_no_queue_builds_on_a_slow_line() -> None:
    world = World(5, bandwidth=2e6, latency=0.002)
    stream_id = world.plane.open()
    world.run(0.2)
    busy(world, stream_id, seconds=5.0)
    assert world.plane.core.round_trip.smoothed < 0.1


def test_a_machine_that_answers_late_does_not_choke_the_flow() -> None:
    world = World(7, bandwidth=2e8, latency=0.0002)
    stream_id = world.plane.open()
    world.run(0.2)
    world.jitter = 0.03  # the floor was measured on an idle machine
    assert busy(world, stream_id, seconds=5.0) > 10e6


def test_a_stalled_stream_takes_nothing_from_the_others() -> None:
    world = World(6, bandwidth=1e8, latency=0.01, limits=Limits(connection_credit=256 * KIB))
    stalled = [world.plane.open() for _ in range(20)]
    flowing = world.plane.open()
    world.run(0.2)
    for stream_id in stalled:
        state = world.agent.states[stream_id]
        while (room := world.agent.room(state)) > 0:
            world.agent.send(stream_id, bytes(room))
            world.step()
    assert busy(world, flowing, seconds=2.0) > 1e6


def busy(world: World, stream_id: int, *, seconds: float) -> float:
    """Send and consume on one stream as fast as it goes; returns bytes a second delivered."""
    state = world.agent.states[stream_id]
    begun, until = world.now, world.now + seconds
    before = world.plane.states[stream_id].consumed
    while world.now < until:
        while (room := world.agent.room(state)) > 0:
            world.agent.send(stream_id, bytes(room))
        world.plane.consume(stream_id, 10_000)
        world.step()
    return (world.plane.states[stream_id].consumed - before) / (world.now - begun)
