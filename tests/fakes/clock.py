"""A clock that only tests move."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Implements `controlplane.domain.clock.Clock`; sleepers wake when `advance` passes them."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = 0
        self._fell_asleep = asyncio.Event()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._order, future))
        self._fell_asleep.set()
        await future

    async def asleep(self, count: int = 1) -> None:
        """Until that many wait for time to pass."""
        while self.sleeping < count:
            self._fell_asleep.clear()
            await self._fell_asleep.wait()

    @property
    def sleeping(self) -> int:
        """How many wait for time to pass."""
        return sum(not future.done() for _, _, future in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Let that much time pass; those whose time has come run when the caller awaits something."""
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
