"""A stage behind the translation of errors: how many calls a caller may make. Wired by `app.py`.

A bucket for each caller, and for each address of those who are not known: it holds `burst` calls and fills with `per_second`.
Refused logins and unknown tokens are counted at their address. Agents are not: a thousand of them come back from behind one
address after a restart, and each makes one call.
"""

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from controlplane.api.interceptors.call import Call, Context
from controlplane.domain.errors import RateLimited

_COUNTED = "skerry.platform."
# More callers than that at once: the one who called least recently starts with a full bucket again.
_MOST_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls a second in the long run, and `burst` at once."""

    per_second: float
    burst: int


@dataclass(slots=True)
class _Bucket:
    level: float
    filled: float


class RateLimit:
    """Refuses calls with RateLimited, which says when to come again. One event loop; nothing here waits."""

    def __init__(self, known: Rate, unknown: Rate, *, monotonic: Callable[[], float]) -> None:
        self._known = known
        self._unknown = unknown
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    @contextlib.asynccontextmanager
    async def __call__(self, call: Call, context: Context) -> AsyncIterator[None]:
        if call.method.removeprefix("/").startswith(_COUNTED):
            if call.principal is not None:
                self.take(f"caller {call.principal.name}", self._known)
            else:
                self.take(f"address {address_of(context.peer())}", self._unknown)
        yield

    def take(self, who: str, rate: Rate) -> None:
        """Count one call. Raises RateLimited."""
        now = self._monotonic()
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(float(rate.burst), now)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(who)
        gained = (now - bucket.filled) * rate.per_second
        bucket.level = min(float(rate.burst), bucket.level + gained)
        bucket.filled = now
        if bucket.level < 1.0:
            wait = (1.0 - bucket.level) / rate.per_second
            raise RateLimited(
                f"too many calls by {who}: {rate.per_second:g} a second are taken here, {rate.burst} at once; "
                f"try again in {wait:.1f} s",
                metadata={"per_second": f"{rate.per_second:g}", "burst": str(rate.burst)},
                retry_after=wait,
            )
        bucket.level -= 1.0


def address_of(peer: str) -> str:
    """The address in gRPC's `ipv4:10.0.0.1:4711` or `ipv6:[::1]:4711`, escaped or not: connections of one machine are one."""
    host = peer.partition(":")[2].rpartition(":")[0]
    return host or peer
