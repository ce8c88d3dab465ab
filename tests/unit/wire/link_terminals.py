"""A terminal in the simulated world: a session that outlives its streams, with both directions by offset.

Real: `Replay`, the connection under it, credit. Simulated: the command, which prints and reads a pattern, and the shells of
both ends. A pipe (every second session) may lose nothing; a terminal may lose the oldest of its output while the link is away,
and the control plane must know how much.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skerry.agent.v1 import link_pb2, stream_pb2
from skerry.wire.connection import Phase
from skerry.wire.errors import ConnectionRefused
from skerry.wire.limits import KIB, SEND_BUFFER
from skerry.wire.replay import Replay
from skerry.wire.streams import StreamState

if TYPE_CHECKING:
    from tests.unit.wire.link_world import End, World

KEEP_SECONDS = 60.0
_CAPACITY = 16 * KIB
_KEEP = 28 * KIB
_BYTES, _CONTROL = link_pb2.CHANNEL_STDOUT, link_pb2.CHANNEL_CONTROL


def _replay() -> Replay:
    return Replay(capacity=_CAPACITY, keep=_KEEP)


@dataclass
class Half:
    """One end's half of a session."""

    key: int
    said: Replay = field(default_factory=_replay)
    heard: int = 0
    end: End | None = None
    state: StreamState | None = None
    hand: bytes = b""

    @property
    def attached(self) -> bool:
        return (
            self.end is not None
            and self.end.alive
            and self.state is not None
            and not self.state.closed
        )

    def attach(self, end: End, state: StreamState) -> None:
        self.end, self.state, self.hand = end, state, b""

    def room(self) -> int:
        state = self.state
        assert state is not None
        return min(state.send_limit - state.enqueued, SEND_BUFFER - state.queued, state.max_frame)

    def flush(self) -> bool:
        """Hand to the stream what it takes."""
        moved = False
        while self.attached:
            assert self.end is not None
            assert self.state is not None
            if not self.hand:
                piece = self.said.next()
                if piece is None:
                    break
                self.hand = piece.payload
            room = self.room()
            if room <= 0:
                break
            self.end.core.send(self.state, self.hand[:room], _BYTES)
            self.hand = self.hand[room:]
            moved = True
        return moved


@dataclass
class Kept(Half):
    """The agent's half. The command prints `pattern(key)` and reads `pattern(key + 1)`."""

    ends_at: float | None = None


@dataclass
class Session(Half):
    """The control plane's half."""

    lost: int = 0
    resuming: bool = False


class Terminals:
    """The agent's kept sessions and the control plane's one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kept: dict[int, Kept] = {}
        self.session: Session | None = None
        self.key = 2_000_000
        self.resumed = 0
        self.bytes_lost = 0

    # Either process dies

    def agent_dies(self) -> None:
        self.kept.clear()

    def plane_dies(self) -> None:
        self.session = None

    # What may happen

    def use(self) -> None:
        rng = self.world.random
        draw = rng.random()
        kept = rng.choice(list(self.kept.values())) if self.kept else None
        session = self.session
        if session is None or not session.attached:
            self.resume()
        if draw < 0.3 and kept is not None:
            for _ in range(rng.randrange(1, 6)):
                self.prints(kept, rng.randrange(1, 4 * KIB))
            kept.flush()
        elif draw < 0.5 and kept is not None:
            self.agent_takes(kept, rng.randrange(1, 8))
        elif draw < 0.7 and session is not None:
            self.types(session, rng.randrange(1, 2 * KIB))
        elif session is not None:
            self.plane_takes(session, rng.randrange(1, 12))
        if session is not None and rng.random() < 0.02 and session.attached:
            self.close(session)

    def prints(self, kept: Kept, size: int) -> None:
        is_pipe = kept.key % 4 == 0
        if not kept.said.has_room(size) and (is_pipe or kept.attached):
            return  # the command waits
        kept.said.add(self.world.pattern(kept.key, kept.said.end, size), _BYTES)

    def types(self, session: Session, size: int) -> None:
        if session.said.has_room(size):
            session.said.add(self.world.pattern(session.key + 1, session.said.end, size), _BYTES)
        if session.attached and not session.resuming:
            session.flush()

    def resume(self) -> bool:
        """The control plane begins a session, or goes on with the one it has."""
        world = self.world
        for one in world.plane.sessions:
            end = one.end
            if one.epoch != world.database.epoch or not end.alive:
                continue
            if end.core.phase is not Phase.OPEN or end.core.full:
                continue
            session = self.session
            open_ = link_pb2.Open(lane=link_pb2.LANE_INTERACTIVE)
            if session is None:
                self.key += 2
                session = self.session = Session(self.key)
                open_.exec.session = str(self.key)
            else:
                while session.end and session.state and self.plane_takes(session, 1000):
                    pass
                if self.session is None:
                    return True
                open_.resume_exec.session = str(session.key)
                open_.resume_exec.output_received = session.heard
                session.resuming = True
            try:
                session.attach(end, end.core.open(open_, world.now))
            except ConnectionRefused:
                return False
            return True
        return False

    def opened(self, end: End, state: StreamState, open_: Any) -> None:
        """The agent hears of it."""
        kind = open_.WhichOneof("kind")
        if kind == "exec":
            key = int(open_.exec.session)
            self.kept[key] = Kept(key)
            self.kept[key].attach(end, state)
            return
        key = int(open_.resume_exec.session)
        kept = self.kept.get(key)
        if kept is None:
            end.core.reset(state, 5, "TERMINAL_GONE", "begin anew")
            end.handle(end.core.take_events())
            return
        self.resumed += 1
        if self.world.switches.replay:
            kept.said.rewind(open_.resume_exec.output_received)
        kept.attach(end, state)
        kept.ends_at = None
        status = stream_pb2.ExecStatus()
        status.resumed.input_received = kept.heard
        status.resumed.output_offset = kept.said.said
        end.core.send(state, status.SerializeToString(), _CONTROL)

    def agent_takes(self, kept: Kept, pieces: int) -> bool:
        state, end = kept.state, kept.end
        # A stream that ended takes its handler with it: what had arrived and was not taken is said again.
        if state is None or end is None or not kept.attached:
            return False
        taken = 0
        while state.inbound and taken < pieces:
            taken += 1
            payload = state.inbound.popleft().payload
            self.world.must(
                payload == self.world.pattern(kept.key + 1, kept.heard, len(payload)),
                "input is taken once and in order",
            )
            kept.heard += len(payload)
            end.core.consumed(state, len(payload), self.world.now)
        return taken > 0

    def plane_takes(self, session: Session, pieces: int) -> bool:
        state, end = session.state, session.end
        assert state is not None
        assert end is not None
        taken = 0
        while state.inbound and taken < pieces:
            taken += 1
            data = state.inbound.popleft()
            end.core.consumed(state, len(data.payload), self.world.now)
            if data.channel == _CONTROL:
                self.goes_on(session, stream_pb2.ExecStatus.FromString(data.payload).resumed)
                continue
            self.world.must(
                data.payload == self.world.pattern(session.key, session.heard, len(data.payload)),
                "a terminal shows each byte once and in order",
            )
            session.heard += len(data.payload)
        if state.error is not None and state.error.reason == "TERMINAL_GONE":
            self.session = None
        return taken > 0

    def goes_on(self, session: Session, resumed: stream_pb2.ExecResumed) -> None:
        session.resuming = False
        if self.world.switches.input_replay:
            self.world.must(
                session.said.rewind(resumed.input_received) == 0, "no input is lost in a cut"
            )
        lost = resumed.output_offset - session.heard
        self.world.must(lost >= 0 or not self.world.switches.replay, "nothing is shown twice")
        self.world.must(lost <= 0 or session.key % 4 != 0, "a pipe loses nothing")
        session.lost += lost
        self.bytes_lost += lost
        session.heard = resumed.output_offset
        session.flush()

    def close(self, session: Session) -> None:
        assert session.end is not None
        assert session.state is not None
        session.end.core.reset(session.state, 1, "CANCELLED", "the caller has gone")
        session.end.handle(session.end.core.take_events())
        self.session = None

    def ended(self, end: End, state: StreamState) -> None:
        """A stream is over; the agent's session with it, unless it was a cut."""
        for key, kept in list(self.kept.items()):
            if kept.state is state and kept.end is end:
                reason = state.error.reason if state.error is not None else ""
                if reason != "LINK_LOST":
                    del self.kept[key]
                elif kept.ends_at is None:
                    kept.ends_at = self.world.now + KEEP_SECONDS

    def expire(self) -> None:
        for key, kept in list(self.kept.items()):
            if kept.attached:
                continue
            if kept.ends_at is None:
                kept.ends_at = self.world.now + KEEP_SECONDS
            elif self.world.now >= kept.ends_at:
                del self.kept[key]

    def check(self) -> None:
        for half in (*self.kept.values(), *([self.session] if self.session else [])):
            held = sum(len(piece.payload) for piece in half.said.held())
            self.world.must(held <= _CAPACITY + _KEEP + 4 * KIB, "what a session keeps is bounded")

    # The end

    def run_dry(self) -> bool:
        session = self.session
        moved = False
        if session is not None:
            kept = self.kept.get(session.key)
            if not session.attached:
                return self.resume()
            moved = self.plane_takes(session, 1000)
            if self.session is None:
                return True
            if not session.resuming:
                moved = session.flush() or moved
            if kept is not None:
                moved = kept.flush() or self.agent_takes(kept, 1000) or moved
                if (
                    not session.resuming
                    and kept.attached
                    and session.heard == kept.said.end
                    and kept.heard == session.said.end
                ):
                    self.close(session)
                    moved = True
            if not moved and self.world.was_lossy and session.attached:
                # A relay lost the last frame of a direction: nothing comes behind it that would show the gap.
                self.close(session)
                moved = True
        return moved

    @property
    def at_rest(self) -> bool:
        return self.session is None and not self.kept
