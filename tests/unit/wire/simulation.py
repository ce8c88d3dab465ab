"""Two ends of the core joined by a simulated network: a clock, a bandwidth, a delay, and cuts.

Messages cross as bytes, one write at a time in each direction, as with the real transport. Every step
checks what must hold at all times; `settle` lets everything that is under way come to its end.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from skerry.agent.v1 import link_pb2
from skerry.wire.connection import Connection, Role
from skerry.wire.events import Event, StreamOpened
from skerry.wire.limits import SEND_BUFFER, Limits
from skerry.wire.streams import StreamState


@dataclass
class Flow:
    """One direction of one stream: what was sent, and what its consumer took."""

    sent: bytearray = field(default_factory=bytearray)
    delivered: int = 0
    finished: bool = False
    aborted: bool = False


class End:
    """One end: its core, its transport, its half of the streams."""

    def __init__(self, name: str, role: Role, world: World) -> None:
        self.name = name
        self.world = world
        self.core = Connection(role, now=0.0, limits=world.limits)
        self.core.establish(0.0, limits=world.limits, ping_seconds=world.ping_seconds)
        self.peer: End
        self.envelope: Any = (
            link_pb2.ConnectRequest if role is Role.AGENT else link_pb2.ConnectResponse
        )
        self.writing = False
        self.arrival = 0.0
        self.states: dict[int, StreamState] = {}
        self.events: list[Event] = []

    def handle(self, events: list[Event]) -> None:
        self.events.extend(events)
        for event in events:
            if isinstance(event, StreamOpened):
                self.states[event.stream.id] = event.stream

    def flow_out(self, stream_id: int) -> Flow:
        return self.world.flows[(self.name, stream_id)]

    def flow_in(self, stream_id: int) -> Flow:
        return self.world.flows[(self.peer.name, stream_id)]

    def open(self, *, interactive: bool = False, size: int = 0) -> int:
        lane = link_pb2.LANE_INTERACTIVE if interactive else link_pb2.LANE_BULK
        open_ = link_pb2.Open(lane=lane)
        open_.plan.deploy.files.add(content=bytes(size))
        state = self.core.open(open_, self.world.now)
        self.states[state.id] = state
        for end in ("agent", "plane"):
            self.world.flows[(end, state.id)] = Flow()
        return state.id

    def room(self, state: StreamState) -> int:
        if state.closed or state.fin_queued:
            return 0
        return min(state.send_limit - state.enqueued, SEND_BUFFER - state.queued, state.max_frame)

    def send(self, stream_id: int, payload: bytes) -> None:
        self.core.send(self.states[stream_id], payload)
        self.flow_out(stream_id).sent += payload

    def consume(self, stream_id: int, frames: int) -> None:
        state = self.states[stream_id]
        for _ in range(min(frames, len(state.inbound))):
            payload = state.inbound.popleft().payload
            flow = self.flow_in(stream_id)
            expected = flow.sent[flow.delivered : flow.delivered + len(payload)]
            assert payload == expected, "delivered bytes are a prefix of the sent"
            flow.delivered += len(payload)
            self.core.consumed(state, len(payload), self.world.now)

    def finish(self, stream_id: int) -> None:
        state = self.states[stream_id]
        if not state.closed:
            self.core.finish(state)
            self.flow_out(stream_id).finished = True

    def reset(self, stream_id: int) -> None:
        state = self.states[stream_id]
        if not state.closed:
            self.core.reset(state, 1, "CANCELLED", "enough")
            for end in ("agent", "plane"):
                self.world.flows[(end, stream_id)].aborted = True

    def pump(self) -> None:
        """Start the next write if the transport is free."""
        if self.writing:
            return
        message, events = self.core.next_message(self.world.now)
        self.handle(events)
        if message is None:
            return
        data = message.SerializeToString()
        self.world.largest = max(self.world.largest, len(data))
        self.writing = True
        world, connection = self.world, self.world.connection
        done = world.now + len(data) / world.bandwidth

        def written() -> None:
            if world.connection == connection:
                self.writing = False

        def arrived() -> None:
            if world.connection == connection:
                self.peer.take(data)

        world.at(done, written)
        self.arrival = max(self.arrival, done + world.delay())  # in order, as TCP delivers
        world.at(self.arrival, arrived)

    def take(self, data: bytes) -> None:
        message = self.peer.envelope.FromString(data)
        self.handle(self.core.receive(message, self.world.now))


class World:
    """The clock, the network and both ends."""

    def __init__(
        self,
        seed: int,
        *,
        limits: Limits | None = None,
        bandwidth: float = 5e6,
        latency: float = 0.02,
        jitter: float = 0.0,
        ping_seconds: float = 10.0,
    ) -> None:
        self.random = random.Random(seed)
        self.limits = limits or Limits()
        self.bandwidth = bandwidth
        self.latency = latency
        self.jitter = jitter
        self.ping_seconds = ping_seconds
        self.now = 0.0
        self.connection = 0
        self.largest = 0
        self.flows: dict[tuple[str, int], Flow] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.agent = End("agent", Role.AGENT, self)
        self.plane = End("plane", Role.CONTROL_PLANE, self)
        self.agent.peer, self.plane.peer = self.plane, self.agent
        self.ends = (self.agent, self.plane)

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (when, self._count, action))

    def delay(self) -> float:
        return self.latency + self.random.random() * self.jitter

    def step(self) -> bool:
        """Go on to the next thing that is due. False when nothing is under way."""
        for end in self.ends:
            end.pump()
        if not self._due:
            return False
        self.now, _, action = heapq.heappop(self._due)
        action()
        for end in self.ends:
            if end.core.next_deadline() <= self.now:
                end.handle(end.core.tick(self.now))
            end.pump()
        self.check()
        return True

    def run(self, seconds: float) -> None:
        """Let that much time pass."""
        until = self.now + seconds
        self.at(until, lambda: None)
        while self.now < until:
            self.step()

    def cut(self) -> None:
        """The connection breaks: what was on its way is lost."""
        self.connection += 1
        for end in self.ends:
            end.handle(end.core.lose("cut"))

    def settle(self, *, consume: bool = True) -> None:
        """Finish every stream, consume everything, and let all that is under way arrive."""
        idle = 0
        while idle < 3:
            for end in self.ends:
                for stream_id in end.states:
                    end.finish(stream_id)
            moved = self.step()
            if consume:
                for end in self.ends:
                    for stream_id in list(end.states):
                        moved = bool(end.states[stream_id].inbound) or moved
                        end.consume(stream_id, 1000)
            idle = 0 if moved else idle + 1

    def check(self) -> None:
        """What must hold at all times."""
        limits = self.limits
        for end in self.ends:
            held = 0
            for stream_id, state in end.states.items():
                peer = end.peer.states.get(stream_id)
                assert state.received <= state.granted, "nothing beyond the credit is taken"
                if peer is not None:
                    assert peer.sent <= peer.send_limit, "in flight stays within the credit"
                    assert peer.send_limit <= max(state.granted, limits.initial_stream_credit)
                assert state.queued <= SEND_BUFFER
                if not state.closed and not state.interactive:
                    held += state.received - state.consumed
            bound = limits.connection_credit + limits.max_streams * limits.initial_stream_credit
            assert held <= bound, "memory is bounded"
