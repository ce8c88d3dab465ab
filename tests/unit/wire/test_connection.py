"""The core of one end: handshake, limits, and what a peer that breaks the rules gets."""

from __future__ import annotations

import pytest
from skerry.agent.v1 import link_pb2
from skerry.wire.connection import Connection, Phase, Role
from skerry.wire.errors import (
    ConnectionRefused,
    LinkLost,
    MessageTooLarge,
    ProtocolError,
    StreamFinished,
    StreamReset,
    TooManyStreams,
)
from skerry.wire.events import (
    Event,
    FrameArrived,
    PeerGoesAway,
    PeerSilent,
    Readable,
    StreamEnded,
    StreamOpened,
    Writable,
)
from skerry.wire.limits import HANDSHAKE_SECONDS, INTERACTIVE_CREDIT, KIB, Limits, memory_bound
from skerry.wire.streams import StreamState

from tests.unit.wire.simulation import World

PING = 10.0


def connection(role: Role = Role.CONTROL_PLANE, limits: Limits | None = None) -> Connection:
    made = Connection(role, now=0.0, limits=limits)
    made.establish(0.0, limits=limits or Limits(), ping_seconds=PING)
    made.next_message(0.0)
    return made


def envelope(*frames: link_pb2.Frame) -> link_pb2.ConnectRequest:
    return link_pb2.ConnectRequest(frames=frames)


def logs(credit: int = 0) -> link_pb2.Open:
    open_ = link_pb2.Open(lane=link_pb2.LANE_BULK, credit=credit)
    open_.logs.app = "web"
    return open_


def data(stream_id: int, offset: int, payload: bytes, *, fin: bool = False) -> link_pb2.Frame:
    return link_pb2.Frame(
        stream_id=stream_id, data=link_pb2.Data(offset=offset, payload=payload, fin=fin)
    )


def frames(made: Connection, now: float = 0.0) -> list[link_pb2.Frame]:
    message, _ = made.next_message(now)
    return list(message.frames) if message is not None else []


def opened(made: Connection, stream_id: int = 1, credit: int = 64 * KIB) -> StreamState:
    events = made.receive(envelope(link_pb2.Frame(stream_id=stream_id, open=logs(credit))), 0.0)
    (event,) = events
    assert isinstance(event, StreamOpened)
    return event.stream


def only_reset(made: Connection) -> link_pb2.Status:
    (frame,) = frames(made)
    return frame.reset.status


# The handshake


def test_nothing_but_the_handshake_before_welcome() -> None:
    made = Connection(Role.CONTROL_PLANE, now=0.0)
    with pytest.raises(ProtocolError, match="before the handshake"):
        made.receive(envelope(link_pb2.Frame(stream_id=1, open=logs())), 0.0)


def test_a_handshake_that_does_not_end_is_given_up() -> None:
    made = Connection(Role.AGENT, now=0.0)
    assert made.next_deadline() == HANDSHAKE_SECONDS
    assert made.tick(HANDSHAKE_SECONDS - 1) == []
    assert made.tick(HANDSHAKE_SECONDS) == [PeerSilent(HANDSHAKE_SECONDS)]


def test_challenge_and_welcome_are_passed_on_to_the_agent() -> None:
    made = Connection(Role.AGENT, now=0.0)
    frame = link_pb2.Frame(challenge=link_pb2.Challenge(nonce=b"n"))
    assert made.receive(link_pb2.ConnectResponse(frames=[frame]), 0.0) == [
        FrameArrived("challenge", frame)
    ]


def test_a_stream_may_be_opened_in_the_message_that_welcomes() -> None:
    made = Connection(Role.AGENT, now=0.0)
    welcome = link_pb2.Welcome(ping_interval_ms=2000, limits=Limits(max_streams=3).to_proto())
    message = link_pb2.ConnectResponse(
        frames=[link_pb2.Frame(welcome=welcome), link_pb2.Frame(stream_id=2, open=logs())]
    )
    kinds = [type(event) for event in made.receive(message, 0.0)]
    assert kinds == [FrameArrived, StreamOpened]
    assert made.limits.max_streams == 3


def test_frames_of_the_other_role_are_refused() -> None:
    made = connection(Role.CONTROL_PLANE)
    with pytest.raises(ProtocolError, match="not for the control-plane"):
        made.receive(envelope(link_pb2.Frame(command=link_pb2.Frame().command)), 0.0)


# Liveness


def run_until(made: Connection, until: float) -> list[Event]:
    """Tick at every deadline, as the shell does, and write what is queued."""
    while (now := made.next_deadline()) <= until:
        if events := made.tick(now):
            return events
        frames(made, now)
    return []


@pytest.mark.parametrize(("role", "seconds"), [(Role.CONTROL_PLANE, 14.0), (Role.AGENT, 14.0)])
def test_a_peer_that_says_nothing_is_dead_within_fifteen_seconds(
    role: Role, seconds: float
) -> None:
    made = connection(role)
    assert run_until(made, seconds - 0.1) == []
    assert run_until(made, seconds) == [PeerSilent(seconds)]


def test_any_message_is_a_sign_of_life() -> None:
    made = connection()
    assert run_until(made, 13.0) == []
    made.receive(envelope(), 13.0)
    assert run_until(made, 13.0 + 13.9) == []


def test_pings_are_answered_and_give_the_round_trip() -> None:
    made = connection()
    made.tick(PING)
    (ping,) = frames(made, PING)
    assert ping.HasField("ping")
    pong = link_pb2.Frame(pong=link_pb2.Pong(id=ping.ping.id, sent_us=ping.ping.sent_us))
    made.receive(envelope(pong), PING + 0.25)
    assert made.round_trip.latest == pytest.approx(0.25)
    made.receive(envelope(link_pb2.Frame(ping=link_pb2.Ping(id=9, sent_us=5))), PING)
    (answer,) = frames(made)
    assert (answer.pong.id, answer.pong.sent_us) == (9, 5)


def test_an_agent_pings_only_when_the_control_planes_pings_stay_away() -> None:
    made = connection(Role.AGENT)
    for number in range(6):
        assert run_until(made, number * PING) == []
        assert frames(made) == []
        made.receive(link_pb2.ConnectResponse(), number * PING)
    assert made.next_deadline() == 6 * PING, "the streams are compared now"
    made.tick(6 * PING)
    frames(made)
    assert made.next_deadline() == 6 * PING + 1
    made.tick(made.next_deadline())
    assert [frame.WhichOneof("kind") for frame in frames(made)] == ["ping"]


def test_a_flood_of_pings_costs_one_pong() -> None:
    made = connection()
    ping = link_pb2.Frame(ping=link_pb2.Ping(id=1))
    made.receive(envelope(*[ping] * 10_000), 0.0)
    assert len(frames(made)) == 1


# Streams


def test_credit_is_told_at_opening_and_follows_consumption() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    (open_frame,) = frames(made)
    assert open_frame.open.credit == 64 * KIB
    offset = 0
    while offset < 48 * KIB:
        made.receive(envelope(data(stream.id, offset, bytes(16_000))), 1.0)
        offset += 16_000
    assert frames(made) == [], "no credit before anything was consumed"
    while stream.inbound:
        made.consumed(stream, len(stream.inbound.popleft().payload), 1.0)
    told = [frame.credit.max_offset for frame in frames(made) if frame.HasField("credit")]
    assert told == [stream.granted]
    assert stream.granted > 64 * KIB


def test_interactive_streams_have_a_small_fixed_window() -> None:
    made = connection()
    stream = made.open(link_pb2.Open(lane=link_pb2.LANE_INTERACTIVE), 0.0)
    assert stream.window == INTERACTIVE_CREDIT


def test_sending_past_the_credit_resets_the_stream_and_nothing_else() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    other = made.open(logs(), 0.0)
    frames(made)
    for number in range(5):
        made.receive(envelope(data(stream.id, number * 16_000, bytes(16_000))), 0.0)
    assert only_reset(made).reason == "FLOW_CONTROL"
    assert set(made.streams) == {other.id}
    assert made.resets == {"FLOW_CONTROL": 1}


def test_a_gap_in_the_offsets_resets_the_stream() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    frames(made)
    made.receive(envelope(data(stream.id, 5, b"x")), 0.0)
    assert only_reset(made).code == 15


def test_a_frame_too_large_resets_the_stream() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    frames(made)
    made.receive(envelope(data(stream.id, 0, bytes(20_000))), 0.0)
    assert only_reset(made).reason == "LINK_LIMIT_EXCEEDED"


def test_data_behind_the_end_resets_the_stream() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    frames(made)
    made.receive(envelope(data(stream.id, 0, b"a", fin=True), data(stream.id, 1, b"b")), 0.0)
    assert only_reset(made).code == 15


def test_empty_frames_cost_no_memory() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    made.receive(envelope(*[data(stream.id, 0, b"")] * 1000), 0.0)
    assert not stream.inbound


def test_too_many_streams_of_the_peer_are_refused_one_by_one() -> None:
    made = connection(limits=Limits(max_streams=2))
    opened(made, 1)
    opened(made, 3)
    made.receive(envelope(link_pb2.Frame(stream_id=5, open=logs())), 0.0)
    assert only_reset(made).reason == "LINK_LIMIT_EXCEEDED"
    assert set(made.streams) == {1, 3}


def test_opening_too_many_is_refused_here() -> None:
    made = connection(limits=Limits(max_streams=1))
    made.open(logs(), 0.0)
    with pytest.raises(ConnectionRefused, match="its limit"):
        made.open(logs(), 0.0)


@pytest.mark.parametrize("stream_id", [0, 2, 1])
def test_an_id_that_is_not_free_is_a_protocol_error(stream_id: int) -> None:
    made = connection()
    opened(made, 1)
    with pytest.raises(ProtocolError, match="not free"):
        made.receive(envelope(link_pb2.Frame(stream_id=stream_id, open=logs())), 0.0)


def test_frames_of_a_stream_that_is_over_are_ignored() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    made.reset(stream, 1, "CANCELLED", "enough")
    late = link_pb2.Frame(stream_id=stream.id, reset=link_pb2.Reset())
    credit = link_pb2.Frame(stream_id=stream.id, credit=link_pb2.Credit(max_offset=9))
    assert made.receive(envelope(data(stream.id, 0, b"x"), late, credit), 0.0) == [
        StreamEnded(stream)
    ]


def test_frames_of_a_stream_that_never_was_are_a_protocol_error() -> None:
    made = connection()
    with pytest.raises(ProtocolError, match="never opened"):
        made.receive(envelope(data(7, 0, b"x")), 0.0)


def test_a_frame_of_an_unknown_kind_ends_its_stream_only() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    frames(made)
    made.receive(envelope(link_pb2.Frame(stream_id=stream.id), link_pb2.Frame()), 0.0)
    assert only_reset(made).code == 12


def test_both_ends_finished_ends_the_stream() -> None:
    made = connection()
    stream = opened(made)
    made.send(stream, b"x")
    made.finish(stream)
    made.receive(envelope(data(1, 0, b"y", fin=True)), 0.0)
    message, events = made.next_message(0.0)
    assert message is not None
    assert events == [StreamEnded(stream)]
    assert made.streams == {}
    with pytest.raises(StreamFinished):
        made.send(stream, b"z")


def test_who_waits_is_woken_once() -> None:
    made = connection()
    stream = opened(made, credit=1)
    stream.reader_waits = stream.sender_waits = True
    credit = link_pb2.Frame(stream_id=1, credit=link_pb2.Credit(max_offset=100))
    events = made.receive(envelope(data(1, 0, b"a"), data(1, 1, b"b"), credit, credit), 0.0)
    assert events == [Readable(stream), Writable(stream)]


def test_an_old_credit_takes_nothing_back() -> None:
    made = connection()
    stream = opened(made, credit=100)
    made.receive(envelope(link_pb2.Frame(stream_id=1, credit=link_pb2.Credit(max_offset=50))), 0.0)
    assert stream.send_limit == 100


def test_a_reset_drops_what_was_not_written() -> None:
    made = connection()
    stream = opened(made)
    made.send(stream, b"never seen")
    made.reset(stream, 1, "CANCELLED", "enough")
    assert [frame.WhichOneof("kind") for frame in frames(made)] == ["reset"]


def test_what_arrived_before_a_reset_may_still_be_read() -> None:
    made = connection()
    stream = opened(made)
    reset = link_pb2.Frame(stream_id=1)
    reset.reset.status.code = 5
    made.receive(envelope(data(1, 0, b"x"), reset), 0.0)
    assert [item.payload for item in stream.inbound] == [b"x"]
    assert isinstance(stream.error, StreamReset)
    assert stream.error.code == 5


def test_an_open_that_is_not_answered_in_time_is_reset() -> None:
    made = connection()
    open_ = logs()
    open_.deadline_ms = 2000
    stream = made.open(open_, 0.0)
    frames(made)
    assert made.next_deadline() == 2.0
    assert made.tick(2.0) == [StreamEnded(stream)]
    assert only_reset(made).reason == "DEADLINE_EXCEEDED"


def test_a_large_open_waits_in_its_own_lane() -> None:
    made = connection()
    big = link_pb2.Open(lane=link_pb2.LANE_BULK)
    big.plan.deploy.files.add(content=bytes(1_000_000))
    made.open(big, 0.0)
    terminal = made.open(link_pb2.Open(lane=link_pb2.LANE_INTERACTIVE), 0.0)
    assert frames(made)[0].stream_id == terminal.id


def test_a_large_open_may_arrive_after_a_later_small_one() -> None:
    made, peer = connection(), connection(Role.AGENT)
    big = link_pb2.Open(lane=link_pb2.LANE_BULK)
    big.plan.deploy.files.add(content=bytes(100_000))
    first, second = made.open(big, 0.0), made.open(logs(), 0.0)
    message, _ = made.next_message(0.0)
    assert message is not None
    assert [frame.stream_id for frame in message.frames] == [second.id, first.id]
    peer.receive(message, 0.0)  # type: ignore[arg-type]
    assert set(peer.streams) == {first.id, second.id}
    with pytest.raises(ProtocolError, match="not free"):
        peer.receive(message, 0.0)  # type: ignore[arg-type]


def test_a_stream_that_was_never_told_of_is_reset_in_silence() -> None:
    made = connection()
    big = link_pb2.Open(lane=link_pb2.LANE_BULK)
    big.plan.deploy.files.add(content=bytes(100_000))
    made.reset(made.open(big, 0.0), 1, "CANCELLED", "enough")
    assert frames(made) == []


def test_what_does_not_fit_into_a_message_is_refused_before_it_is_sent() -> None:
    made = connection()
    big = link_pb2.Open()
    big.plan.deploy.files.add(content=bytes(9_000_000))
    with pytest.raises(MessageTooLarge):
        made.open(big, 0.0)
    assert made.streams == {}


# Orphans


def sync(*stream_ids: int) -> link_pb2.Frame:
    return link_pb2.Frame(sync_streams=link_pb2.SyncStreams(stream_ids=stream_ids))


def test_a_stream_the_peer_opened_and_no_longer_holds_is_dropped() -> None:
    made = connection()
    stream = opened(made, 1)
    kept = opened(made, 3)
    made.receive(envelope(sync(3)), 1.0)
    assert stream.closed
    assert not kept.closed


def test_a_stream_on_its_way_is_dropped_only_when_missing_twice() -> None:
    made = connection()
    stream = made.open(logs(), 0.0)
    made.receive(envelope(sync()), 1.0)
    assert not stream.closed
    made.receive(envelope(sync()), 61.0)
    assert stream.closed


def test_streams_held_are_listed_every_minute() -> None:
    made = connection()
    opened(made, 1)
    for now in range(5, 61, 5):
        made.receive(envelope(), float(now))
        made.tick(float(now))
    lists = [list(frame.sync_streams.stream_ids) for frame in frames(made, 60.0)]
    assert [1] in lists


# The end


def test_losing_the_transport_ends_every_stream_as_lost() -> None:
    made = connection()
    stream = opened(made)
    stream.reader_waits = True
    assert made.lose("gone") == [Readable(stream), StreamEnded(stream)]
    assert isinstance(stream.error, LinkLost)
    assert made.phase is Phase.CLOSED
    with pytest.raises(ConnectionRefused):
        made.open(logs(), 0.0)


def test_nothing_is_opened_towards_a_peer_that_goes_away() -> None:
    made = connection()
    go_away = link_pb2.GoAway(reason=link_pb2.GO_AWAY_REASON_DRAINING)
    assert made.receive(envelope(link_pb2.Frame(go_away=go_away)), 0.0) == [PeerGoesAway(go_away)]
    with pytest.raises(ConnectionRefused):
        made.open(logs(), 0.0)


def test_a_stream_opened_while_the_list_is_due_is_on_it() -> None:
    made, peer = connection(), connection(Role.AGENT)
    for now in range(5, 61, 5):
        made.receive(envelope(), float(now))
        made.tick(float(now))
    made.open(logs(), 60.0)
    message, _ = made.next_message(60.0)
    assert message is not None
    assert any(frame.HasField("sync_streams") for frame in message.frames)
    peer.receive(message, 60.0)  # type: ignore[arg-type]
    assert set(peer.streams) == set(made.streams)


def test_finished_streams_that_nobody_reads_stay_within_the_memory_bound() -> None:
    limits = Limits(max_streams=4, initial_stream_credit=24 * KIB, connection_credit=64 * KIB)
    world = World(11, limits=limits)
    refused = 0
    for _ in range(20):
        if world.plane.core.full:
            break
        stream_id = world.agent.open()
        for _ in range(200):
            world.step()
            state = world.agent.states[stream_id]
            if state.closed:
                refused += 1
                break
            while (room := world.agent.room(state)) > 0:
                world.agent.send(stream_id, bytes(room))
        world.agent.finish(stream_id)
        if stream_id in world.plane.states:
            world.plane.finish(stream_id)
        world.run(0.5)
    held = sum(s.received - s.consumed for s in world.plane.states.values())
    assert 0 < held <= memory_bound(limits)
    assert world.plane.core.full or refused
    for stream_id in world.plane.states:
        world.plane.consume(stream_id, 1000)
    assert not world.plane.core.full, "what was read no longer counts"


def test_what_an_abandoned_stream_gets_is_dropped() -> None:
    world = World(12)
    stream_id = world.plane.open()
    world.run(0.1)
    world.plane.send(stream_id, b"one")
    world.run(0.1)
    state = world.agent.states[stream_id]
    world.agent.core.abandon(state)
    world.plane.send(stream_id, b"two")
    world.plane.finish(stream_id)
    world.agent.finish(stream_id)
    world.run(0.1)
    assert not state.inbound
    assert not world.agent.core.streams
    assert not world.agent.core._mux.unread


# How often streams are opened


def test_streams_opened_too_often_are_refused_here() -> None:
    made = connection(limits=Limits(max_streams=3, opens_per_second=1))
    for _ in range(3):
        made.abandon(stream := made.open(logs(), 0.0))
        made.reset(stream, 1, "CANCELLED", "")
    with pytest.raises(TooManyStreams, match="1 streams a second"):
        made.open(logs(), 0.5)
    made.open(logs(), 1.0)


def test_streams_that_the_peer_opens_too_often_are_reset() -> None:
    made = connection(limits=Limits(max_streams=3, opens_per_second=1))
    refused = 0
    for number in range(30):
        stream_id = 2 * number + 1
        made.receive(envelope(link_pb2.Frame(stream_id=stream_id, open=logs())), 0.0)
        cancel = link_pb2.Reset(status=link_pb2.Status(code=1, reason="CANCELLED"))
        refused += any(frame.reset.status.reason == "LINK_LIMIT_EXCEEDED" for frame in frames(made))
        made.receive(envelope(link_pb2.Frame(stream_id=stream_id, reset=cancel)), 0.0)
    assert refused == 30 - (3 + 15)
