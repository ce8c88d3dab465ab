"""The bytes of the released protocol are read as they always were, and ours are read by older agents."""

from __future__ import annotations

from typing import Any

import pytest
from skerry.agent.v1 import link_pb2, stream_pb2
from skerry.wire.connection import Connection, Phase, Role
from skerry.wire.events import FrameArrived, PeerGoesAway, StreamOpened
from skerry.wire.limits import Limits

from tests.unit.wire.golden_frames import FRAMES, frame, stored

FROM_AGENT = ("hello", "command_ack", "command_progress", "command_result", "report")
FROM_PLANE = ("challenge", "welcome", "command", "command_cancel", "result_ack", "report_ack")


def test_every_kind_of_frame_has_its_bytes() -> None:
    kinds = {field.name for field in link_pb2.Frame.DESCRIPTOR.oneofs_by_name["kind"].fields}
    assert kinds == {frame(name).WhichOneof("kind") for name in FRAMES}, (
        "a new kind of frame needs a file in tests/golden/link"
    )


@pytest.mark.parametrize("kind", FRAMES)
def test_released_bytes_mean_what_they_meant(kind: str) -> None:
    assert link_pb2.Frame.FromString(stored(kind)) == frame(kind)


@pytest.mark.parametrize("kind", FRAMES)
def test_we_still_say_the_released_bytes(kind: str) -> None:
    assert frame(kind).SerializeToString(deterministic=True) == stored(kind)


def message(role: Role, *encoded: bytes) -> Any:
    """A message of that end, put together from stored bytes."""
    kind = link_pb2.ConnectRequest if role is Role.AGENT else link_pb2.ConnectResponse
    parts = b"".join(b"\x0a" + _varint(len(part)) + part for part in encoded)
    return kind.FromString(parts)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_an_agent_of_the_first_release_is_served() -> None:
    """It says no capabilities and nothing that was added later."""
    plane = Connection(Role.CONTROL_PLANE, now=0.0)
    (hello,) = plane.receive(message(Role.AGENT, stored("hello")), 0.0)
    assert isinstance(hello, FrameArrived)
    assert hello.frame.hello.last_command_seq == 41
    assert not hello.frame.hello.capabilities
    plane.establish(0.0, limits=Limits(), ping_seconds=10.0)
    said = [stored(kind) for kind in FROM_AGENT[1:]]
    events = plane.receive(message(Role.AGENT, *said, stored("ping"), stored("sync_streams")), 1.0)
    assert [event.kind for event in events if isinstance(event, FrameArrived)] == list(
        FROM_AGENT[1:]
    )
    written, _ = plane.next_message(1.0)
    assert written is not None
    assert any(frame.pong.id == 9 for frame in written.frames)


def test_an_agent_hears_a_control_plane_of_the_first_release() -> None:
    agent = Connection(Role.AGENT, now=0.0)
    events = agent.receive(
        message(Role.CONTROL_PLANE, stored("challenge"), stored("welcome"), stored("open")),
        0.0,
    )
    assert agent.phase is Phase.OPEN
    (opened,) = [event for event in events if isinstance(event, StreamOpened)]
    assert opened.open.exec.command == ["sh"]
    events = agent.receive(
        message(
            Role.CONTROL_PLANE,
            *(stored(kind) for kind in FROM_PLANE[2:]),
            stored("credit"),
            stored("reset"),
            stored("go_away"),
        ),
        1.0,
    )
    assert [event.kind for event in events if isinstance(event, FrameArrived)] == list(
        FROM_PLANE[2:]
    )
    assert any(isinstance(event, PeerGoesAway) for event in events)
    assert agent.resets == {"FLOW_CONTROL": 1}


def test_a_kind_of_frame_from_the_future_ends_its_stream_and_nothing_else() -> None:
    agent = Connection(Role.AGENT, now=0.0)
    agent.receive(
        message(Role.CONTROL_PLANE, stored("challenge"), stored("welcome"), stored("open")),
        0.0,
    )
    future = b"\xa2\x06\x02\xde\xad"  # field 100, two bytes
    agent.receive(message(Role.CONTROL_PLANE, future), 1.0)
    assert agent.streams, "on stream 0 it is ignored"
    agent.receive(message(Role.CONTROL_PLANE, b"\x08\x02" + future), 1.0)
    assert not agent.streams
    assert agent.phase is Phase.OPEN


def test_a_session_that_goes_on_says_where() -> None:
    status = stream_pb2.ExecStatus.FromString(
        link_pb2.Frame.FromString(stored("data_exec_resumed")).data.payload
    )
    assert status.resumed.running.resumable
    assert (status.resumed.input_received, status.resumed.output_offset) == (5, 70_000)
