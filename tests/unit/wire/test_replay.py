"""What was said is said again from where the peer got to: every byte once, and losses counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skerry.agent.v1 import link_pb2
from skerry.wire.replay import Piece, Replay, ReplayError

OUT, ERR, CONTROL = (
    link_pb2.CHANNEL_STDOUT,
    link_pb2.CHANNEL_STDERR,
    link_pb2.CHANNEL_CONTROL,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 300), st.sampled_from([OUT, ERR, CONTROL])),
        st.tuples(st.just("say"), st.integers(1, 5), st.none()),
        st.tuples(st.just("cut"), st.integers(0, 400), st.none()),
    ),
    max_size=60,
)


def flow(offset: int, size: int) -> bytes:
    return bytes((offset + index) % 251 for index in range(size))


@given(STEPS, st.booleans())
def test_the_peer_gets_each_byte_once_in_order_or_knows_that_it_is_lost(
    steps: list[tuple[str, int, int | None]], waits: bool
) -> None:
    replay = Replay(capacity=1_000, keep=700)
    got = lost = added = 0
    channels: dict[int, int] = {}
    inflight: list[Piece] = []

    def arrive(number: int) -> None:
        nonlocal got
        for piece in inflight[:number]:
            assert piece.offset == got
            assert piece.payload == flow(got, len(piece.payload))
            assert all(channels[at] == piece.channel for at in range(piece.offset, piece.end))
            got = piece.end
        del inflight[:number]

    for what, number, channel in steps:
        match what:
            case "add":
                if waits and not replay.has_room(number):
                    continue
                channels.update(dict.fromkeys(range(added, added + number), channel))  # type: ignore[arg-type]
                replay.add(flow(added, number), channel)  # type: ignore[arg-type]
                added += number
            case "say":
                for _ in range(number):
                    while inflight and replay.said - got > 350:  # the peer's credit
                        arrive(1)
                    if (piece := replay.next()) is None:
                        break
                    inflight.append(piece)
                arrive(len(inflight) // 2)
            case _:
                inflight.clear()
                gone = replay.rewind(got)
                lost += gone
                got += gone
        assert replay.end - replay.start <= 1_000 + 700 + 300
    inflight.clear()
    gone = replay.rewind(got)
    got += gone
    lost += gone
    while (piece := replay.next()) is not None:
        inflight.append(piece)
    arrive(len(inflight))
    assert got == added
    assert not (waits and lost)


def test_a_byte_at_a_time_does_not_cost_an_object_each() -> None:
    replay = Replay()
    for _ in range(20_000):
        replay.add(b"x", OUT)
        replay.next()
    assert len(list(replay.held())) <= 20


def test_messages_of_the_control_channel_stay_whole() -> None:
    replay = Replay()
    replay.add(b"abc", CONTROL)
    replay.add(b"def", CONTROL)
    assert [replay.next(), replay.next()] == [Piece(0, CONTROL, b"abc"), Piece(3, CONTROL, b"def")]
    with pytest.raises(ReplayError, match="half of the message"):
        replay.rewind(4)
    assert replay.rewind(3) == 0
    assert replay.next() == Piece(3, CONTROL, b"def")


def test_a_peer_that_got_more_than_was_sent_is_not_believed() -> None:
    replay = Replay()
    replay.add(b"abc", OUT)
    with pytest.raises(ReplayError, match="only 0 were sent"):
        replay.rewind(2)
