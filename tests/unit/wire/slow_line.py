"""Two connections at the ends of a slow line, with a fake clock: what a keystroke waits for while bulk streams fill the line.

The line has a rate and a delay and queues without end, as a kernel's send buffer and a router's queue together do.
Bulk goes from the agent to the control plane, whose consumers take all at once, except for those that stall.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from skerry.agent.v1 import link_pb2
from skerry.wire.congestion import BulkBudget
from skerry.wire.connection import Connection, Role
from skerry.wire.events import Event, StreamOpened
from skerry.wire.limits import KIB, SEND_BUFFER, Limits
from skerry.wire.streams import StreamState

_KEY_SECONDS = 0.025
_CHUNK = bytes(16 * KIB)


class EndlessBudget(BulkBudget):
    """Without a budget (mutation): credit alone bounds what is on the line."""

    @property
    def allowance(self) -> int:
        return 1 << 30


class SlowLine:
    """`rate` in bytes a second, `delay` in seconds each way."""

    def __init__(
        self,
        *,
        rate: float,
        delay: float,
        streams: int,
        stalled: int = 0,
        budget: Callable[[], BulkBudget] = BulkBudget,
    ) -> None:
        self.now = 0.0
        self.rate = rate
        self.delay = delay
        self.waits: list[tuple[float, float]] = []
        """When each key was pressed, and how long it took to the other end."""
        self.bulk_taken = 0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._free = dict.fromkeys(Role, 0.0)
        self._ends = {role: Connection(role, now=0.0) for role in Role}
        for end in self._ends.values():
            end.establish(0.0, limits=Limits(), ping_seconds=10.0)
        self._agent, self._plane = self._ends[Role.AGENT], self._ends[Role.CONTROL_PLANE]
        self._agent._budget = budget()
        self._sending: list[StreamState] = []
        self._keys: StreamState | None = None
        self._opened = [self._open("bulk") for _ in range(streams)]
        self._stalled = [self._open("bulk") for _ in range(stalled)]
        self._heard = self._open("keys", link_pb2.LANE_INTERACTIVE)
        self._pressed: list[float] = []
        self._after(0.0, self._press)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        self._turn()
        while self._due and self._due[0][0] <= end:
            self.now, _, call = heapq.heappop(self._due)
            call()
            self._turn()
        self.now = end

    def longest_wait(self, since: float) -> float:
        """Of the keys pressed since then, over the delay of the empty line, in seconds."""
        waits = [wait for at, wait in self.waits if at >= since]
        waits += [self.now - at for at in self._pressed if at >= since]  # not there yet
        assert len(waits) > 20
        return max(waits) - self.delay

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._order), call))

    def _open(self, what: str, lane: link_pb2.Lane.ValueType = link_pb2.LANE_BULK) -> StreamState:
        open_ = link_pb2.Open(lane=lane)
        open_.logs.namespace = what
        return self._plane.open(open_, self.now)

    def _press(self) -> None:
        self._after(_KEY_SECONDS, self._press)
        if self._keys is not None and self._keys.enqueued < self._keys.send_limit:
            self._pressed.append(self.now)
            self._agent.send(self._keys, b"x")

    def _turn(self) -> None:
        """What either end can do now."""
        for state in self._opened:
            while state.inbound:
                size = len(state.inbound.popleft().payload)
                self.bulk_taken += size
                self._plane.consumed(state, size, self.now)
        while self._heard.inbound:
            data = self._heard.inbound.popleft()
            for _ in data.payload:
                pressed = self._pressed.pop(0)
                self.waits.append((pressed, self.now - pressed))
            self._plane.consumed(self._heard, len(data.payload), self.now)
        for state in self._sending:
            while (
                state.enqueued + len(_CHUNK) <= state.send_limit
                and state.queued + len(_CHUNK) <= SEND_BUFFER
            ):
                self._agent.send(state, _CHUNK)
        for role, end in self._ends.items():
            while end.has_output:
                message, events = end.next_message(self.now)
                self._handle(events)
                if message is not None:
                    self._write(role, message)

    def _write(self, role: Role, message: object) -> None:
        assert isinstance(message, link_pb2.ConnectRequest | link_pb2.ConnectResponse)
        self._free[role] = max(self._free[role], self.now) + message.ByteSize() / self.rate
        peer = self._plane if role is Role.AGENT else self._agent

        def arrive() -> None:
            self._handle(peer.receive(message, self.now))

        self._after(self._free[role] - self.now + self.delay, arrive)

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, StreamOpened):
                if event.open.logs.namespace == "bulk":
                    self._sending.append(event.stream)
                else:
                    self._keys = event.stream
