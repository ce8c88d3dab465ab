"""The state machine of one add-on, as a pure function: what is seen → what it means and what to do.

    PENDING ──apply──▶ INSTALLING ──done and ready──▶ READY
       ▲                 │     ▲                        │
       │           failed│     │retry when due          │went away: INSTALLING again, with the reason
    waits for…           ▼     │                        │
                        FAILED─┘◀───────────────────────┘
    EXTERNAL: somebody else's, left alone.  DISABLED: switched off; what is installed stays.

What the cluster shows wins over what is remembered: a record may be lost, or older than the cluster
when the agent was killed between an action and its record. `reconciler` calls `decide` each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """As `skerry.platform.v1.AddOnState`, without its prefix."""

    PENDING = "PENDING"
    INSTALLING = "INSTALLING"
    READY = "READY"
    FAILED = "FAILED"
    EXTERNAL = "EXTERNAL"
    DISABLED = "DISABLED"


SATISFYING = frozenset({State.READY, State.EXTERNAL})


class Phase(StrEnum):
    """How far the installation of the configuration wanted now is, in the cluster."""

    ABSENT = "ABSENT"
    """Nothing of ours is there."""
    OUTDATED = "OUTDATED"
    """Ours is there, of another configuration or only in part."""
    RUNNING = "RUNNING"
    """Being installed."""
    SUCCEEDED = "SUCCEEDED"
    """Installed; whether it works is another question."""
    FAILED = "FAILED"
    """The run ended without success, and no other will follow by itself."""
    REMOVING = "REMOVING"
    """Somebody deleted it, and that is not finished."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at the cluster showed.

    `run` names the run of the installer that `phase` speaks of, empty when there is none; `message` says
    why it is not ready, or what is going on; `foreign` what somebody else installed; `blocked` why
    nothing can be installed here now.
    """

    phase: Phase
    run: str = ""
    ready: bool = False
    message: str = ""
    log_tail: str = ""
    foreign: str = ""
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of an add-on between two looks, and over restarts of the agent.

    `started` is when the present try began; `attempts` counts tries since it was last ready.
    """

    state: State
    changed: datetime
    message: str = ""
    log_tail: str = ""
    attempts: int = 0
    started: datetime | None = None
    retry_at: datetime | None = None
    spec_hash: str = ""
    run: str = ""


class Action(StrEnum):
    NONE = "NONE"
    APPLY = "APPLY"
    """Apply the configuration."""
    RETRY = "RETRY"
    """Clear away what failed and run the installer again."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between tries, in seconds: `first`, doubled each time up to `most`, spread by `jitter` (a share)."""

    first: float = 30.0
    most: float = 1800.0
    jitter: float = 0.25

    def delay(self, attempts: int, chance: float) -> timedelta:
        """After that many failed tries; `chance` in [0, 1) picks the place in the spread."""
        # A large exponent would overflow long before it mattered.
        base = min(self.most, self.first * 2.0 ** min(max(attempts, 1) - 1, 30))
        return timedelta(seconds=base * (1 + self.jitter * (2 * chance - 1)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the decision needs to know of the add-on itself."""

    enabled: bool
    spec_hash: str
    timeout: timedelta
    waits_for: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The record to keep, what to do, and when to look again even if nothing happens."""

    record: Record
    action: Action = Action.NONE
    look_again: datetime | None = None


def decide(
    wanted: Wanted,
    record: Record,
    seen: Observation,
    now: datetime,
    backoff: Backoff,
    chance: float,
) -> Decision:
    """What `seen` means for the add-on. `chance` in [0, 1) spreads retries of many clusters."""
    if not wanted.enabled:
        stays = (
            "" if seen.phase is Phase.ABSENT else "; what is installed stays until you remove it"
        )
        return Decision(
            _moved(record, State.DISABLED, now, f"switched off in the agent's settings{stays}")
        )
    if seen.phase is Phase.ABSENT and seen.foreign:
        return Decision(
            _moved(
                record,
                State.EXTERNAL,
                now,
                f"found {seen.foreign}, installed by somebody else; left alone",
            )
        )
    if seen.blocked:
        return Decision(_moved(record, State.PENDING, now, seen.blocked))
    if seen.phase is Phase.REMOVING:
        return Decision(_moved(record, State.PENDING, now, seen.message or "is being removed"))

    known = record.spec_hash == wanted.spec_hash
    if known and record.state is State.FAILED:
        return _after_failure(wanted, record, seen, now, backoff, chance)
    if seen.phase in (Phase.ABSENT, Phase.OUTDATED):
        return _apply(wanted, record, seen, now, backoff, chance)
    if seen.phase is Phase.FAILED:
        begun = _begun(wanted, record, seen, now) if not known else record
        return _failed(begun, seen, now, backoff, chance)
    if seen.phase is Phase.SUCCEEDED and seen.ready:
        return Decision(
            replace(
                _moved(record, State.READY, now, ""),
                attempts=max(record.attempts, 1),
                retry_at=None,
                spec_hash=wanted.spec_hash,
                run=seen.run,
                log_tail="",
            )
        )
    return _in_progress(wanted, record, seen, now, backoff, chance, known=known)


def applying_failed(
    record: Record, reason: str, now: datetime, backoff: Backoff, chance: float
) -> Decision:
    """The action itself was refused (a conflict, a missing right …): `record` is the one decided with it."""
    return _failed(
        record, Observation(Phase.ABSENT, run=record.run, message=reason), now, backoff, chance
    )


def retry_now(record: Record, now: datetime) -> Record:
    """Bring a failed add-on's next try forward; anything else stays as it is."""
    return replace(record, retry_at=now) if record.state is State.FAILED else record


def _apply(
    wanted: Wanted,
    record: Record,
    seen: Observation,
    now: datetime,
    backoff: Backoff,
    chance: float,
) -> Decision:
    """Nothing, or something else, is installed."""
    if wanted.waits_for:
        message = f"waits for {' and '.join(wanted.waits_for)}"
        return Decision(_moved(record, State.PENDING, now, message))
    trying = record.state is State.INSTALLING and record.spec_hash == wanted.spec_hash
    begun = record if trying else _begun(wanted, record, seen, now)
    if trying and _overdue(wanted, begun, now):
        return _failed(begun, replace(seen, message=_too_late(wanted, seen)), now, backoff, chance)
    changing = "" if seen.phase is Phase.ABSENT else "another configuration is being applied"
    return Decision(
        replace(_moved(begun, State.INSTALLING, now, changing), log_tail=""),
        Action.APPLY,
        _deadline(wanted, begun),
    )


def _in_progress(
    wanted: Wanted,
    record: Record,
    seen: Observation,
    now: datetime,
    backoff: Backoff,
    chance: float,
    *,
    known: bool,
) -> Decision:
    """It runs, or it is installed and not yet (or no longer) ready."""
    message = seen.message
    if record.state is State.INSTALLING and known:
        begun = replace(record, run=seen.run)
    else:
        # A run that the record knows nothing of, or one that was ready and is not any more: a new count.
        if record.state is State.READY and seen.phase is Phase.SUCCEEDED:
            message = f"was ready, but now: {message}"
        begun = _begun(wanted, record, seen, now)
    if _overdue(wanted, begun, now):
        return _failed(begun, replace(seen, message=_too_late(wanted, seen)), now, backoff, chance)
    moved = _moved(begun, State.INSTALLING, now, message)
    return Decision(
        replace(moved, log_tail=seen.log_tail or moved.log_tail),
        Action.NONE,
        _deadline(wanted, begun),
    )


def _after_failure(
    wanted: Wanted,
    record: Record,
    seen: Observation,
    now: datetime,
    backoff: Backoff,
    chance: float,
) -> Decision:
    """The last try of this configuration failed."""
    if (
        seen.phase is Phase.SUCCEEDED and seen.ready
    ):  # it came right by itself, or by somebody's hand
        return Decision(
            replace(_moved(record, State.READY, now, ""), retry_at=None, run=seen.run, log_tail="")
        )
    if (
        seen.run != record.run
    ):  # a run that we did not count: somebody, or our killed self, began it
        counted = replace(record, attempts=record.attempts + 1, run=seen.run, started=now)
        if seen.phase is Phase.FAILED:
            return _failed(counted, seen, now, backoff, chance)
        if seen.phase in (Phase.RUNNING, Phase.SUCCEEDED):
            return Decision(
                replace(_moved(counted, State.INSTALLING, now, seen.message), retry_at=None),
                Action.NONE,
                _deadline(wanted, counted),
            )
    if record.retry_at is not None and now < record.retry_at:
        tail = seen.log_tail or record.log_tail
        return Decision(replace(record, log_tail=tail), Action.NONE, record.retry_at)
    if wanted.waits_for:  # the failure is still the truth; a change of the others wakes this one
        return Decision(record)
    again = replace(
        _moved(record, State.INSTALLING, now, "another try"),
        attempts=record.attempts + 1,
        started=now,
        retry_at=None,
    )
    fresh = seen.phase in (Phase.ABSENT, Phase.OUTDATED)
    return Decision(again, Action.APPLY if fresh else Action.RETRY, _deadline(wanted, again))


def _failed(
    record: Record, seen: Observation, now: datetime, backoff: Backoff, chance: float
) -> Decision:
    retry_at = now + backoff.delay(record.attempts, chance)
    failed = replace(
        _moved(record, State.FAILED, now, seen.message),
        log_tail=seen.log_tail or record.log_tail,
        attempts=max(record.attempts, 1),
        retry_at=retry_at,
        run=seen.run,
    )
    return Decision(failed, Action.NONE, retry_at)


def _begun(wanted: Wanted, record: Record, seen: Observation, now: datetime) -> Record:
    """The first try of a configuration."""
    return replace(
        record,
        attempts=1,
        started=now,
        retry_at=None,
        spec_hash=wanted.spec_hash,
        run=seen.run,
        log_tail="",
    )


def _moved(record: Record, state: State, now: datetime, message: str) -> Record:
    changed = record.changed if state is record.state else now
    return replace(record, state=state, changed=changed, message=message)


def _deadline(wanted: Wanted, record: Record) -> datetime | None:
    return None if record.started is None else record.started + wanted.timeout


def _overdue(wanted: Wanted, record: Record, now: datetime) -> bool:
    deadline = _deadline(wanted, record)
    return deadline is not None and now >= deadline


def _too_late(wanted: Wanted, seen: Observation) -> str:
    reason = f": {seen.message}" if seen.message else ""
    return f"not ready after {wanted.timeout.total_seconds():.0f} s{reason}"
