"""Keeps the report `facts` true: on every change of nodes and storage classes, and every few minutes.

Owned and run by `agent.app`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from skerry.agent.v1 import report_pb2

from agent.facts import collect
from agent.facts.probe import Enforcement, NetworkPolicyProbe
from agent.kube import EventType, KubeClient
from agent.kube.errors import KubeError, NotServedError

log = structlog.get_logger(__name__)

KEY = "facts"
FIELD_MANAGER = "skerry-facts"
_WATCHED = (("v1", "Node"), ("storage.k8s.io/v1", "StorageClass"))
_HELM_CHART = ("helm.cattle.io/v1", "HelmChart")


class Reports(Protocol):
    """Where reports go: `agent.link.ReportBoard`."""

    def put(self, key: str, kind: report_pb2.ClusterFacts) -> None: ...


@dataclass(frozen=True, slots=True)
class FactsPace:
    """In seconds."""

    resync: float = 300.0
    settle: float = 0.5
    unreachable: float = 5.0
    probe_again: float = 24 * 3600.0
    """Between probes that could tell."""
    probe_retry: float = 900.0
    """After one that could not."""


class FactsReporter:
    """`probe` is None when the network policy probe is switched off."""

    def __init__(
        self,
        kube: KubeClient,
        reports: Reports,
        probe: NetworkPolicyProbe | None,
        *,
        clock: Callable[[], datetime],
        pace: FactsPace,
    ) -> None:
        self._kube = kube
        self._reports = reports
        self._probe = probe
        self._clock = clock
        self._pace = pace
        self._changed = asyncio.Event()
        self._said: report_pb2.ClusterFacts | None = None
        self._problem = ""
        off = "the probe is switched off in the agent's settings"
        self._enforcement = Enforcement(None, off if probe is None else "not probed yet")

    async def run(self) -> None:
        """Never returns; ends by cancellation."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._report_for_ever(), name="facts")
            for api_version, kind in _WATCHED:
                tasks.create_task(self._follow(api_version, kind), name=f"facts watch {kind}")
            if self._probe is not None:
                tasks.create_task(self._probe_for_ever(self._probe), name="network policy probe")

    async def collect(self) -> report_pb2.ClusterFacts:
        """One look. Raises KubeError."""
        version = await self._kube.version()
        nodes = await self._kube.list("v1", "Node")
        classes = await self._kube.list("storage.k8s.io/v1", "StorageClass")
        facts = report_pb2.ClusterFacts(
            kubernetes_version=version.get("gitVersion", ""),
            distribution=collect.distribution(version.get("gitVersion", "")),
            nodes=[collect.node_facts(node) for node in sorted(nodes, key=_name)],
            storage_classes=[collect.storage_class_facts(c) for c in sorted(classes, key=_name)],
            network_policy_message=self._enforcement.message,
        )
        answers = await self._helm_controller()
        if answers is not None:
            facts.helm_controller = answers
        if self._enforcement.enforced is not None:
            facts.network_policy_enforced = self._enforcement.enforced
        return facts

    async def _helm_controller(self) -> bool | None:
        try:
            charts = await self._kube.list(*_HELM_CHART)
        except NotServedError:
            return False
        return collect.helm_controller_answers(charts, self._clock())

    async def _report_for_ever(self) -> None:
        while True:
            self._changed.clear()
            try:
                self._say(await self.collect())
                pause, self._problem = self._pace.resync, ""
            except KubeError as error:
                if str(error) != self._problem:
                    log.warning("facts_not_collected", error=str(error))
                    self._problem = str(error)
                pause = self._pace.unreachable
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(self._pace.settle)

    def _say(self, facts: report_pb2.ClusterFacts) -> None:
        """A look that found nothing new is said only when the last one gets old."""
        now = self._clock()
        if self._said is not None:
            same = report_pb2.ClusterFacts()
            same.CopyFrom(facts)
            same.observe_time.CopyFrom(self._said.observe_time)
            age = now.timestamp() - self._said.observe_time.seconds
            if same == self._said and age < self._pace.resync:
                return
        facts.observe_time.FromDatetime(now)
        self._said = facts
        self._reports.put(KEY, facts)

    async def _follow(self, api_version: str, kind: str) -> None:
        while True:
            try:
                async with aclosing(self._kube.watch(api_version, kind)) as events:
                    async for event in events:
                        if event.type is not EventType.SYNCED:
                            self._changed.set()
            except KubeError as error:
                tell = log.debug if error.retryable else log.warning
                tell("watch_failed", kind=kind, error=str(error))
            await asyncio.sleep(self._pace.unreachable)

    async def _probe_for_ever(self, probe: NetworkPolicyProbe) -> None:
        while True:
            try:
                self._enforcement = await probe.run()
            except KubeError as error:  # the API server is away: that is no finding, try again soon
                log.debug("network_policy_probe_interrupted", error=str(error))
                await asyncio.sleep(self._pace.unreachable)
                continue
            log.info(
                "network_policy_probed",
                enforced=self._enforcement.enforced,
                message=self._enforcement.message,
            )
            self._changed.set()
            told = self._enforcement.enforced is not None
            await asyncio.sleep(self._pace.probe_again if told else self._pace.probe_retry)


def _name(obj: dict[str, dict[str, str]]) -> str:
    return obj["metadata"]["name"]
