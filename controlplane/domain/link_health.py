"""How good the link to an agent is, beyond that it is up: what is wrong with it, in words a person can act on.

Pure: `services.presence` gives it what a live session says of itself and what it remembers, and the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

# A terminal is no pleasure beyond this.
SLOW_ROUND_TRIP = timedelta(seconds=1)
# So many connections lost within an hour are more than a restart and an update.
OFTEN_LOST = 4
HISTORY = timedelta(hours=1)
# Either end closed in order: an update or a restart, which says nothing of the line.
IN_ORDER = frozenset({"CLOSED", "DRAINING"})
# Acknowledging a command and storing a report take milliseconds.
WAITS_TOO_LONG = timedelta(seconds=30)
# Agents renew at a third of the certificate's life before its end; with less than this share left it has failed for long.
RENEWED_BY_SHARE = 0.2
# Agents say what they found each five minutes at least.
FACTS_AGE = timedelta(minutes=15)


class LinkProblemReason(StrEnum):
    """Names of `platform.v1.LinkProblemReason` without the prefix."""

    HIGH_ROUND_TRIP = "HIGH_ROUND_TRIP"
    RECONNECTING_OFTEN = "RECONNECTING_OFTEN"
    COMMANDS_WAITING = "COMMANDS_WAITING"
    REPORTS_WAITING = "REPORTS_WAITING"
    CERTIFICATE_NOT_RENEWED = "CERTIFICATE_NOT_RENEWED"
    FACTS_STALE = "FACTS_STALE"


@dataclass(frozen=True, slots=True)
class LinkProblem:
    """One thing that is wrong."""

    reason: LinkProblemReason
    message: str


@dataclass(frozen=True, slots=True)
class LinkSample:
    """What a live connection says of itself. Sizes in bytes of payload; the two times are since when something waits, None when nothing does."""

    epoch: int
    protocol: int
    capabilities: tuple[str, ...]
    connect_time: datetime
    smoothed_round_trip: timedelta | None
    streams: Mapping[str, int]
    received_bytes: int
    sent_bytes: int
    commands_waiting_since: datetime | None = None
    reports_waiting_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class LinkHistory:
    """What is remembered of connections that ended, since this process started."""

    lost: tuple[datetime, ...] = ()
    """When connections ended that nobody closed in order, within the last hour, oldest first; at most `KEPT`."""
    last_disconnect_reason: str = ""
    last_disconnect_time: datetime | None = None

    KEPT: ClassVar[int] = 64

    def ended(self, reason: str, now: datetime) -> "LinkHistory":
        """With one more connection ended."""
        lost = self.within(now) if reason in IN_ORDER else (*self.within(now), now)
        return LinkHistory(lost[-self.KEPT :], reason, now)

    def within(self, now: datetime) -> tuple[datetime, ...]:
        """Those of the last hour."""
        return tuple(time for time in self.lost if now - time < HISTORY)


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """What people are shown. `pending_commands` is None where nobody counted."""

    problems: tuple[LinkProblem, ...]
    sample: LinkSample | None
    reconnects_last_hour: int
    last_disconnect_reason: str
    last_disconnect_time: datetime | None
    pending_commands: int | None = None

    def counted(self, pending_commands: int) -> "LinkHealth":
        """With the number of commands that have not ended."""
        return replace(self, pending_commands=pending_commands)


@dataclass(frozen=True, slots=True)
class Durable:
    """What the database knows that bears on the link."""

    certificate_expires: datetime | None = None
    certificate_life: timedelta = timedelta(hours=48)
    facts_observed: datetime | None = None


def problems(
    sample: LinkSample, history: LinkHistory, durable: Durable, now: datetime
) -> tuple[LinkProblem, ...]:
    """What is wrong with a link that is up; nothing when all is well."""
    found: list[LinkProblem] = []

    def add(reason: LinkProblemReason, message: str) -> None:
        found.append(LinkProblem(reason, message))

    trip = sample.smoothed_round_trip
    if trip is not None and trip > SLOW_ROUND_TRIP:
        add(
            LinkProblemReason.HIGH_ROUND_TRIP,
            f"the agent answers after {trip.total_seconds():.1f} s: its line or one of the two machines is overloaded",
        )
    if (times := len(history.within(now))) >= OFTEN_LOST:
        add(
            LinkProblemReason.RECONNECTING_OFTEN,
            f"the connection was lost {times} times within the last hour, the last time as {history.last_disconnect_reason}: "
            "look for a proxy that cuts it, or a bad line",
        )
    if _too_long(sample.commands_waiting_since, now):
        add(
            LinkProblemReason.COMMANDS_WAITING,
            "the agent has not confirmed commands for more than 30 s: its log says whether it can write its journal",
        )
    if _too_long(sample.reports_waiting_since, now):
        add(
            LinkProblemReason.REPORTS_WAITING,
            "what the agent says has waited for the database for more than 30 s: look at the control plane's log and disk",
        )
    expires = durable.certificate_expires
    if expires is not None and expires - now < durable.certificate_life * RENEWED_BY_SHARE:
        add(
            LinkProblemReason.CERTIFICATE_NOT_RENEWED,
            f"the agent's certificate ends at {expires:%Y-%m-%d %H:%M} UTC and should have been renewed: its log says why not",
        )
    observed = durable.facts_observed
    if (
        observed is not None
        and now - observed > FACTS_AGE
        and now - sample.connect_time > FACTS_AGE
    ):
        add(
            LinkProblemReason.FACTS_STALE,
            "the agent has said nothing new of the cluster for more than 15 minutes: it cannot reach the API server, or its clock is wrong",
        )
    return tuple(found)


def _too_long(since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since > WAITS_TOO_LONG
