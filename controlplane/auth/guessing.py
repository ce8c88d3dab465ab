"""Slows guessing down: counts wrong passwords and codes for each account and each address. Asked by the login service.

In memory: a restart forgives, which gains a guesser a handful of tries.
"""

from collections import OrderedDict
from dataclasses import dataclass

from controlplane.domain.clock import Clock
from controlplane.domain.errors import TooManyAttempts

ACCOUNT_FREE = 5
ADDRESS_FREE = 20
_FIRST_WAIT = 30.0
_LONGEST_WAIT = 900.0
# So long after the last wrong try all is forgiven.
_FORGET = 3600.0
_KEYS_MAX = 10_000


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    last: float = 0.0
    locked_until: float = 0.0


class GuessGuard:
    """After some wrong tries a wait, doubled with each further one, up to a quarter of an hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    def check(self, account: str, address: str) -> None:
        """Before a try is looked at, right or wrong. Raises TooManyAttempts."""
        now = self._clock.monotonic()
        for key in (("account", account), ("address", address)):
            tries = self._tries.get(key)
            if tries is not None and tries.locked_until > now:
                wait = tries.locked_until - now
                raise TooManyAttempts(
                    f"too many wrong tries for this {key[0]}: wait {wait:.0f} s", retry_after=wait
                )

    def wrong(self, account: str, address: str) -> None:
        """A try was wrong."""
        self._count(("account", account), ACCOUNT_FREE)
        self._count(("address", address), ADDRESS_FREE)

    def right(self, account: str) -> None:
        """A try was right: the account is forgiven. The address is not: its own account must not buy a guesser tries at others."""
        self._tries.pop(("account", account), None)

    def _count(self, key: tuple[str, str], free: int) -> None:
        now = self._clock.monotonic()
        tries = self._tries.pop(key, None)
        if tries is None or now - tries.last > _FORGET:
            tries = _Tries()
        tries.wrong += 1
        tries.last = now
        if tries.wrong >= free:
            tries.locked_until = now + min(_FIRST_WAIT * 2 ** (tries.wrong - free), _LONGEST_WAIT)
        self._tries[key] = tries
        if len(self._tries) > _KEYS_MAX:
            self._tries.popitem(last=False)
