"""Which agents are there, as of now.

Signs of life come with every ping of every agent, so they stay in memory; the database gets them now and then in one
transaction, and at once when a connection begins or ends. What a cluster's connection state is follows from the last sign of
life and the clock alone, so that nobody has to be told that time passed: `run` only wakes the watchers when it did.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from controlplane.domain.clock import Clock
from controlplane.domain.clusters import Cluster, ConnectionState, connection_state
from controlplane.domain.errors import StorageUnavailable
from controlplane.domain.link_health import (
    Durable,
    LinkHealth,
    LinkHistory,
    LinkProblem,
    LinkSample,
    problems,
)
from controlplane.domain.requests import PAGE_SIZE_MAX, PageRequest
from controlplane.services.changes import flagged
from controlplane.store.clusters import PresenceRow
from controlplane.store.database import Store

_log = structlog.get_logger(__name__)

_TICK_SECONDS = 1.0
_FLUSH_EVERY = timedelta(seconds=20)
_LOOK_EVERY = timedelta(seconds=10)


@dataclass(slots=True)
class _Known:
    """What is known of one agent. `live_epoch` is None while no connection is up; `announced` is what watchers were last woken for."""

    last_seen: datetime
    live_epoch: int | None
    round_trip: timedelta | None
    announced: ConnectionState
    unwritten_epoch: int | None = None
    history: LinkHistory = field(default_factory=LinkHistory)
    durable: Durable = field(default_factory=Durable)
    problems: tuple[LinkProblem, ...] = ()
    look_time: datetime | None = None


class Presence:
    """The agents' signs of life. One for each process; `load` before use, `run` beside the servers.

    `links` gives what the live connection of a cluster says of itself.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        links: Callable[[str], LinkSample | None],
        certificate_life: timedelta = timedelta(hours=48),
    ) -> None:
        self._links = links
        self._certificate_life = certificate_life
        self._store = store
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._arrivals: dict[str, set[asyncio.Event]] = {}
        self._flush_time = clock.now()

    async def load(self) -> None:
        """Read what the database knows: nobody is connected yet, but it says who was a moment ago."""
        request = PageRequest(PAGE_SIZE_MAX)
        while True:
            async with self._store.reading() as tx:
                page = await tx.clusters.page(request)
            for cluster in page.items:
                if cluster.last_seen_time is not None:
                    self.enrolled(cluster.uid, cluster.last_seen_time)
            if not page.next_token:
                return
            request = PageRequest(PAGE_SIZE_MAX, page.next_token)

    def connection(self, cluster_uid: str) -> ConnectionState:
        """Whether a cluster's agent is there now; a link that is up counts as ONLINE however bad it is."""
        known = self._known.get(cluster_uid)
        if known is None:
            return ConnectionState.NEVER_JOINED
        return self._state(known)

    def view(self, cluster: Cluster) -> Cluster:
        """The cluster as of now."""
        known = self._known.get(cluster.uid)
        if known is None:
            return cluster
        now = self._clock.now()
        known.durable = Durable(
            certificate_expires=cluster.identity.expire_time if cluster.identity else None,
            certificate_life=self._certificate_life,
            facts_observed=cluster.facts.observe_time if cluster.facts else None,
        )
        sample = self._look(cluster.uid, known, now)
        return dataclasses.replace(
            cluster,
            connection=self._shown(known, now),
            last_seen_time=known.last_seen,
            round_trip=known.round_trip,
            link=LinkHealth(
                problems=known.problems,
                sample=sample,
                reconnects_last_hour=len(known.history.within(now)),
                last_disconnect_reason=known.history.last_disconnect_reason,
                last_disconnect_time=known.history.last_disconnect_time,
            ),
        )

    def enrolled(self, cluster_uid: str, now: datetime) -> None:
        """An agent has an identity; it is expected to connect."""
        known = self._known.setdefault(
            cluster_uid, _Known(now, None, None, ConnectionState.UNKNOWN)
        )
        if known.live_epoch is None:
            known.last_seen = now

    def connected(self, cluster_uid: str, epoch: int) -> None:
        """A connection is up."""
        before = self._known.get(cluster_uid)
        now = self._clock.now()
        self._known[cluster_uid] = _Known(
            now,
            epoch,
            None,
            ConnectionState.ONLINE,
            unwritten_epoch=epoch,
            history=self._superseded(before, now) if before else LinkHistory(),
            durable=before.durable if before else Durable(),
        )
        for event in self._arrivals.get(cluster_uid, ()):
            event.set()

    def seen(self, cluster_uid: str, epoch: int, round_trip: timedelta | None) -> None:
        """The agent gave a sign of life over the connection of that epoch."""
        known = self._known.get(cluster_uid)
        if known is not None and known.live_epoch == epoch:
            known.last_seen = self._clock.now()
            known.unwritten_epoch = epoch
            if round_trip is not None:
                known.round_trip = round_trip

    def disconnected(self, cluster_uid: str, epoch: int, reason: str) -> PresenceRow | None:
        """The connection of that epoch is down: what to write, or None when another one took over."""
        known = self._known.get(cluster_uid)
        if known is None or known.live_epoch != epoch:
            return None
        known.live_epoch = None
        known.problems = ()
        known.history = known.history.ended(reason, self._clock.now())
        return PresenceRow(cluster_uid, epoch, known.last_seen, known.round_trip)

    def announced(self, cluster_uid: str) -> None:
        """Watchers were woken for the state that the connection has now."""
        known = self._known.get(cluster_uid)
        if known is not None:
            known.announced = self._shown(known, self._clock.now())

    def forget(self, cluster_uid: str) -> None:
        """The cluster was deleted."""
        self._known.pop(cluster_uid, None)

    async def arrives(self, cluster_uid: str, seconds: float) -> bool:
        """Wait until a connection of this cluster is up, at most so long; whether it is."""
        known = self._known.get(cluster_uid)
        if known is not None and known.live_epoch is not None:
            return True
        event = asyncio.Event()
        waiting = self._arrivals.setdefault(cluster_uid, set())
        waiting.add(event)
        try:
            return await flagged(event, self._clock, seconds)
        finally:
            waiting.discard(event)
            if not waiting:
                self._arrivals.pop(cluster_uid, None)

    async def run(self) -> None:
        """Wake watchers when a state changed because time passed, and write signs of life down. Ends by cancellation only.

        While the database cannot be written it goes on trying: what it would write next is newer anyway.
        """
        while True:
            await self._clock.sleep(_TICK_SECONDS)
            try:
                await self.tick()
            except StorageUnavailable as error:
                _log.warning("presence_not_written", error=error.message)

    async def tick(self) -> None:
        """One round of `run`."""
        now = self._clock.now()
        for uid, known in self._known.items():
            if known.live_epoch is not None and (
                known.look_time is None or now - known.look_time >= _LOOK_EVERY
            ):
                self._look(uid, known, now)
        changed = [
            (uid, known, state)
            for uid, known in self._known.items()
            if (state := self._shown(known, now)) is not known.announced
        ]
        if changed:
            async with self._store.transaction(durable=False) as tx:
                for uid, _, _ in changed:
                    await tx.clusters.note_connection_change(uid)
            for _, known, state in changed:
                known.announced = state
        if now - self._flush_time >= _FLUSH_EVERY:
            self._flush_time = now
            await self._flush()

    async def _flush(self) -> None:
        unwritten = [(u, k) for u, k in self._known.items() if k.unwritten_epoch is not None]
        if unwritten:
            rows = list(_rows(unwritten))
            async with self._store.transaction(durable=False) as tx:
                await tx.clusters.save_presence(rows)
            for _, known in unwritten:
                known.unwritten_epoch = None

    def _look(self, cluster_uid: str, known: _Known, now: datetime) -> LinkSample | None:
        """Look at the live link; None when there is none."""
        sample = self._links(cluster_uid) if known.live_epoch is not None else None
        known.look_time = now
        known.problems = (
            problems(sample, known.history, known.durable, now) if sample is not None else ()
        )
        return sample

    def _superseded(self, before: _Known, now: datetime) -> LinkHistory:
        """A connection that another one replaced ended, too, before its own end was told."""
        if before.live_epoch is None:
            return before.history
        return before.history.ended("SUPERSEDED", now)

    def _shown(self, known: _Known, now: datetime) -> ConnectionState:
        state = self._state(known, now)
        if state is ConnectionState.ONLINE and known.problems:
            return ConnectionState.DEGRADED
        return state

    def _state(self, known: _Known, now: datetime | None = None) -> ConnectionState:
        return connection_state(
            known.last_seen, live=known.live_epoch is not None, now=now or self._clock.now()
        )


def _rows(unwritten: Iterable[tuple[str, _Known]]) -> Iterable[PresenceRow]:
    for uid, known in unwritten:
        if known.unwritten_epoch is not None:
            yield PresenceRow(uid, known.unwritten_epoch, known.last_seen, known.round_trip)
