"""What is written first, and what replaces what."""

from __future__ import annotations

import pytest
from skerry.agent.v1 import link_pb2
from skerry.wire.errors import ProtocolError
from skerry.wire.limits import BATCH_BYTES, KIB, MAX_CONTROL_FRAMES, MIB
from skerry.wire.scheduler import Scheduler, Traffic
from skerry.wire.streams import StreamState


def stream(stream_id: int, *, interactive: bool = False) -> StreamState:
    return StreamState(
        stream_id,
        interactive=interactive,
        local=True,
        max_frame=16 * KIB,
        send_limit=1 << 60,
        window=64 * KIB,
        now=0.0,
    )


def queue(scheduler: Scheduler, state: StreamState, size: int, count: int) -> None:
    for _ in range(count):
        state.outbound.append((bytes(size), link_pb2.CHANNEL_UNSPECIFIED))
        state.enqueued += size
    scheduler.schedule(state)


def batch(scheduler: Scheduler) -> list[link_pb2.Frame]:
    envelope = link_pb2.ConnectRequest()
    scheduler.fill(envelope, BATCH_BYTES)
    return list(envelope.frames)


def ack(seq: int) -> link_pb2.Frame:
    frame = link_pb2.Frame()
    frame.command_ack.seq = seq
    return frame


def progress(version: int) -> link_pb2.Frame:
    frame = link_pb2.Frame()
    frame.command_progress.version = version
    return frame


def test_control_goes_before_interactive_before_bulk() -> None:
    scheduler = Scheduler(Traffic())
    queue(scheduler, stream(2), 100, 1)
    queue(scheduler, stream(4, interactive=True), 100, 1)
    scheduler.control(ack(1))
    assert [frame.stream_id for frame in batch(scheduler)] == [0, 4, 2]
    assert not scheduler.urgent
    assert not scheduler.has_bulk


@pytest.mark.parametrize("sizes", [(500, 16_000), (100, 16_320), (7000, 9000)])
def test_streams_of_one_lane_share_by_bytes_not_by_frames(sizes: tuple[int, int]) -> None:
    scheduler = Scheduler(Traffic())
    states = [stream(2), stream(4)]
    for state, size in zip(states, sizes, strict=True):
        queue(scheduler, state, size, 1_000_000 // size)
    written = [0, 0]
    while all(state.outbound for state in states):
        for frame in batch(scheduler):
            written[frame.stream_id == 4] += frame.ByteSize()
    assert 0.8 < written[0] / written[1] < 1.25


def test_a_batch_keeps_to_its_size() -> None:
    scheduler = Scheduler(Traffic())
    queue(scheduler, stream(2), 16 * KIB, 100)
    frames = batch(scheduler)
    assert sum(frame.ByteSize() for frame in frames) <= BATCH_BYTES
    assert len(frames) == 4


def test_bulk_gets_a_frame_in_every_batch() -> None:
    scheduler = Scheduler(Traffic())
    for number in range(1, 9):
        queue(scheduler, stream(2 * number, interactive=True), 16_000, 100)
    queue(scheduler, stream(100), 16_000, 100)
    for _ in range(20):
        assert any(frame.stream_id == 100 for frame in batch(scheduler))


def test_a_large_command_does_not_hold_up_a_keystroke() -> None:
    scheduler = Scheduler(Traffic())
    command = link_pb2.Frame()
    command.command.deploy_app.files.add(content=bytes(4 * MIB))
    scheduler.exchange(command)
    queue(scheduler, stream(2, interactive=True), 1, 1)
    scheduler.control(ack(1))
    kinds = [frame.WhichOneof("kind") for frame in batch(scheduler)]
    assert kinds == ["command_ack", "data", "command"]


def test_the_newest_of_a_key_replaces_what_waits() -> None:
    scheduler = Scheduler(Traffic())
    for version in range(100):
        scheduler.exchange(progress(version), "progress")
        scheduler.control(ack(version), "ack")
    frames = batch(scheduler)
    assert [frame.command_ack.seq for frame in frames if frame.HasField("command_ack")] == [99]
    assert [f.command_progress.version for f in frames if f.HasField("command_progress")] == [99]


def test_what_was_forgotten_is_not_written() -> None:
    scheduler = Scheduler(Traffic())
    scheduler.exchange(progress(1), "progress")
    scheduler.forget("progress")
    assert not scheduler.urgent
    assert not scheduler.has_bulk


def test_the_end_of_a_stream_rides_on_its_last_data() -> None:
    scheduler = Scheduler(Traffic())
    state = stream(2)
    queue(scheduler, state, 10, 2)
    state.fin_queued = True
    assert [frame.data.fin for frame in batch(scheduler)] == [False, True]
    assert scheduler.finished == [state]


def test_a_peer_that_makes_us_owe_too_much_is_broken() -> None:
    scheduler = Scheduler(Traffic())
    for seq in range(MAX_CONTROL_FRAMES):
        scheduler.control(ack(seq))
    with pytest.raises(ProtocolError, match="control frames"):
        scheduler.control(ack(0))


def test_traffic_is_counted_by_lane() -> None:
    traffic = Traffic()
    scheduler = Scheduler(traffic)
    queue(scheduler, stream(2), 100, 3)
    queue(scheduler, stream(4, interactive=True), 7, 2)
    scheduler.control(ack(1))
    batch(scheduler)
    assert (traffic.bulk_frames, traffic.bulk_bytes) == (3, 300)
    assert (traffic.interactive_frames, traffic.interactive_bytes) == (2, 14)
    assert traffic.control_frames == 1
