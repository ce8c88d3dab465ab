"""The loop of one add-on: look, decide, remember, do, say; then sleep until something happens.

Owned by `service`, which runs one of these an add-on and wakes it when a watch saw a change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from skerry.agent.v1 import report_pb2

from agent.bootstrap.addon import AddOn
from agent.bootstrap.installer import Installer
from agent.bootstrap.machine import (
    Action,
    Backoff,
    Decision,
    Record,
    State,
    Wanted,
    applying_failed,
    decide,
    retry_now,
)
from agent.bootstrap.observer import Observer
from agent.bootstrap.record import RecordStore
from agent.bootstrap.report import report_key, status
from agent.kube.errors import KubeError

log = structlog.get_logger(__name__)


class Reports(Protocol):
    """Where reports go: `agent.link.ReportBoard`."""

    def put(self, key: str, kind: report_pb2.AddOnStatus) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, in seconds. Watches tell of changes; these bound what happens when one is missed."""

    backoff: Backoff = Backoff()
    resync: float = 300.0
    """While nothing is going on."""
    progress: float = 15.0
    """While something is being installed: pods that come and go are looked at in between."""
    settle: float = 0.3
    """Changes come in swarms; one look is enough for a swarm."""
    unreachable: float = 5.0
    """Between tries while the API server is away."""


class Reconciler:
    """`waits_for` names the add-ons that must come first and are not there yet; `on_state` is told each
    change of state; `chance` gives numbers in [0, 1)."""

    def __init__(
        self,
        add_on: AddOn,
        *,
        observer: Observer,
        installer: Installer,
        records: RecordStore,
        reports: Reports,
        pace: Pace,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        waits_for: Callable[[AddOn], list[str]],
        on_state: Callable[[AddOn, State], None],
    ) -> None:
        self._add_on = add_on
        self._observer = observer
        self._installer = installer
        self._records = records
        self._reports = reports
        self._pace = pace
        self._clock = clock
        self._chance = chance
        self._waits_for = waits_for
        self._on_state = on_state
        self._woken = asyncio.Event()
        self._retry_asked = False
        self._record: Record | None = None
        self._problem = ""
        self._log = log.bind(add_on=add_on.name)

    @property
    def state(self) -> State:
        return State.PENDING if self._record is None else self._record.state

    def wake(self) -> None:
        """Something changed that may matter."""
        self._woken.set()

    def retry(self) -> None:
        """Do not wait for the retry time of a failed try."""
        self._retry_asked = True
        self._woken.set()

    async def run(self) -> None:
        """Never returns; ends by cancellation."""
        while True:
            try:
                pause = await self.round()
            except KubeError as error:
                pause = self._unreachable(error)
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(self._pace.settle)

    async def round(self) -> float:
        """One look and what follows from it; the seconds until the next. Raises KubeError."""
        self._woken.clear()
        record = await self._known()
        if self._retry_asked:
            self._retry_asked = False
            record = retry_now(record, self._clock())
        seen = await self._observer.observe(self._add_on, record)
        decision = decide(
            Wanted(
                enabled=self._add_on.enabled,
                spec_hash=self._add_on.spec_hash,
                timeout=timedelta(seconds=self._add_on.timeout_seconds),
                waits_for=self._waits_for(self._add_on),
            ),
            record,
            seen,
            self._clock(),
            self._pace.backoff,
            self._chance(),
        )
        if decision.action is not Action.NONE:
            self._say(decision.record)
            decision = await self._act(decision)
        await self._keep(decision.record)
        if self._problem:
            self._log.info("add_on_round_works_again")
            self._problem = ""
        return self._pause(decision)

    async def _act(self, decision: Decision) -> Decision:
        """Do it. A refusal is a failed try with its own reason; a server that is away is not."""
        self._log.info(
            "add_on_action", action=decision.action.value, attempt=decision.record.attempts
        )
        try:
            if decision.action is Action.APPLY:
                await self._installer.apply(self._add_on)
            else:
                await self._installer.retry(self._add_on)
        except KubeError as error:
            if error.retryable:
                raise
            return applying_failed(
                decision.record, str(error), self._clock(), self._pace.backoff, self._chance()
            )
        self._woken.set()  # look at what the action led to
        return decision

    async def _known(self) -> Record:
        if self._record is None:
            self._record = await self._records.load(self._add_on.name, self._clock())
        return self._record

    async def _keep(self, record: Record) -> None:
        before = self._record
        if record != before:
            # The action came first: killed in between, the cluster tells the next start what was done.
            await self._records.save(self._add_on.name, record)
            self._record = record
        self._say(record)
        told = None if before is None else (before.state, before.attempts)
        if told != (record.state, record.attempts):
            self._log.info(
                "add_on_state",
                state=record.state.value,
                message=record.message,
                attempts=record.attempts,
                retry_at=record.retry_at.isoformat() if record.retry_at else None,
            )
        self._on_state(self._add_on, record.state)

    def _unreachable(self, error: KubeError) -> float:
        """Say that nothing is known: a state from before would be a guess."""
        if str(error) != self._problem:  # the same one every few seconds would bury all else
            self._log.warning("add_on_round_failed", error=str(error), retryable=error.retryable)
            self._problem = str(error)
        known = self._record or Record(State.PENDING, self._clock())
        self._say(replace(known, state=State.PENDING, message=f"cannot tell: {error}"))
        return self._pace.unreachable

    def _say(self, record: Record) -> None:
        self._reports.put(report_key(self._add_on.name), status(self._add_on, record))

    def _pause(self, decision: Decision) -> float:
        busy = decision.record.state is State.INSTALLING
        pause = self._pace.progress if busy else self._pace.resync
        if decision.look_again is not None:
            pause = min(pause, (decision.look_again - self._clock()).total_seconds())
        return max(pause, 0.05)
