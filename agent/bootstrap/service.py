"""The bootstrap as a whole: all add-ons side by side, each waiting for those it depends on.

Built and run by `agent.app`; `agent.handlers.addons` asks it for a retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from agent.bootstrap.addon import AddOn
from agent.bootstrap.errors import AddOnDisabledError, UnknownAddOnError
from agent.bootstrap.installer import Installer
from agent.bootstrap.machine import SATISFYING, State
from agent.bootstrap.namespace import OwnNamespace
from agent.bootstrap.observer import Observer
from agent.bootstrap.reconciler import Pace, Reconciler, Reports
from agent.bootstrap.record import RecordStore
from agent.bootstrap.watches import Scope, follow, scopes
from agent.kube import KubeClient


class Bootstrap:
    """`namespace` is the agent's own: HelmCharts, their jobs and our records live there."""

    def __init__(
        self,
        add_ons: Sequence[AddOn],
        *,
        kube: KubeClient,
        namespace: str,
        reports: Reports,
        pace: Pace,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        self._add_ons = add_ons
        self._kube = kube
        self._namespace = namespace
        self._pace = pace
        own = OwnNamespace(kube, namespace)
        observer = Observer(kube, namespace, clock)
        installer = Installer(kube, own, clock)
        records = RecordStore(kube, own)
        self._reconcilers = {
            add_on.name: Reconciler(
                add_on,
                observer=observer,
                installer=installer,
                records=records,
                reports=reports,
                pace=pace,
                clock=clock,
                chance=chance,
                waits_for=self._waits_for,
                on_state=self._on_state,
            )
            for add_on in add_ons
        }
        self._states: dict[str, State] = {}

    async def run(self) -> None:
        """Never returns; ends by cancellation, and whatever it left half-way is taken up at the next start."""
        async with asyncio.TaskGroup() as tasks:
            for name, reconciler in self._reconcilers.items():
                tasks.create_task(reconciler.run(), name=f"add-on {name}")
            for scope, names in scopes(self._add_ons, self._namespace).items():
                tasks.create_task(self._follow(scope, names), name=f"watch {scope.kind}")

    def retry(self, name: str) -> State:
        """Try a failed add-on again now; returns the state it was in. Raises BootstrapError."""
        reconciler = self._reconcilers.get(name)
        if reconciler is None:
            known = ", ".join(self._reconcilers)
            raise UnknownAddOnError(f"there is no add-on {name!r}; this agent knows {known}")
        if reconciler.state is State.DISABLED:
            raise AddOnDisabledError(
                f"add-on {name} is switched off in the agent's settings; enable it there"
            )
        reconciler.retry()
        return reconciler.state

    async def _follow(self, scope: Scope, names: Sequence[str]) -> None:
        def wake() -> None:
            for name in names:
                self._reconcilers[name].wake()

        await follow(self._kube, scope, wake, self._pace.resync)

    def _waits_for(self, add_on: AddOn) -> list[str]:
        return [name for name in add_on.depends_on if self._states.get(name) not in SATISFYING]

    def _on_state(self, add_on: AddOn, state: State) -> None:
        if self._states.get(add_on.name) is state:
            return
        self._states[add_on.name] = state
        for other in self._add_ons:
            if add_on.name in other.depends_on:
                self._reconcilers[other.name].wake()
