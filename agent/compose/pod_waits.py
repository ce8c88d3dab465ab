"""What each pod waits for before it starts: from `depends_on` to the words of its init container.

A dependency that must be healthy is waited for without end, so it brings its own dependencies
along. One that only must be started is waited for a bounded time, which is over long before a
database behind it is ready. So all that it waits for itself is waited for first, in the order in
which Docker starts them. The planner asks once a service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.compose import discovery
from agent.compose.diagnostics import Report
from agent.compose.model import Condition, Dependency, Project, Service
from agent.compose.result import PortFact
from agent.compose.waiting import Wait

_PORTS_TRIED = 4
"""Ports of a dependency that are tried; the first that answers will do."""
_MOST_INDIRECT = 50
"""Dependencies of dependencies that one pod waits for; the nearest ones are kept."""


class PodWaits:
    """Answers for the services of one project."""

    def __init__(
        self,
        project: Project,
        services: Mapping[str, Service],
        leaders: Mapping[str, str],
        names: Mapping[str, str],
        ports: Mapping[str, tuple[PortFact, ...]],
        report: Report,
    ) -> None:
        """`leaders` says for every service in whose pod it runs; `names` holds the DNS names."""
        self._project = project
        self._leaders = leaders
        self._names = names
        self._ports = ports
        self._report = report
        self._pods: dict[str, tuple[Wait, ...]] = {}
        self._members: dict[str, list[Service]] = {}
        for name, leader in leaders.items():
            self._members.setdefault(leader, []).append(services[name])

    def of(self, service: Service) -> list[Wait]:
        """What the pod of a service waits for on its behalf, in this order; reports what cannot be
        waited for. Completed dependencies were a wave before."""
        for dependency in service.depends_on:
            if dependency.service not in self._names:
                continue
            if self._leaders[dependency.service] == self._leaders[service.name]:
                self._check_within_pod(dependency)
            elif dependency.condition is Condition.HEALTHY:
                self._check_health(dependency)
        return self._ordered([service])

    def _ordered(self, services: Iterable[Service]) -> list[Wait]:
        direct: dict[str, Wait] = {}
        for service in services:
            for dependency in service.depends_on:
                if self._is_outside(service, dependency):
                    wait = self._wait(dependency)
                    if wait.healthy or dependency.service not in direct:
                        direct[dependency.service] = wait
        waits: dict[str, Wait] = {}
        # By name: the order of keys must not run a Job again.
        for name, wait in sorted(direct.items(), key=lambda item: item[1].host):
            before = () if wait.healthy else self._of_pod(self._leaders[name])
            for one in (*before, wait):
                if one.healthy or one.host not in waits:
                    waits[one.host] = one
        hosts = {wait.host for wait in direct.values()}
        indirect = [host for host in waits if host not in hosts]
        for host in indirect[: max(0, len(indirect) - _MOST_INDIRECT)]:
            del waits[host]
        return list(waits.values())

    def _of_pod(self, leader: str) -> tuple[Wait, ...]:
        if self._report.rejected:  # pods may wait in circles, and nothing will be applied
            return ()
        if leader not in self._pods:
            self._pods[leader] = tuple(self._ordered(self._members[leader]))
        return self._pods[leader]

    def _is_outside(self, service: Service, dependency: Dependency) -> bool:
        """Whether it runs in another pod that is up while this one waits."""
        return (
            dependency.condition is not Condition.COMPLETED
            and dependency.service in self._names
            and self._leaders[dependency.service] != self._leaders[service.name]
        )

    def _wait(self, dependency: Dependency) -> Wait:
        service = self._project.services[dependency.service]
        return Wait(
            self._names[dependency.service],
            self._ports_of(service),
            dependency.condition is Condition.HEALTHY,
        )

    def _ports_of(self, service: Service) -> tuple[int, ...]:
        ports = self._ports[service.name]
        if discovery.is_headless(service, ports):
            return ()
        return tuple(fact.port for fact in ports if fact.protocol == "tcp")[:_PORTS_TRIED]

    def _check_health(self, dependency: Dependency) -> None:
        target = self._project.services[dependency.service]
        if target.healthcheck is None or target.healthcheck.disabled:
            self._report.warning(
                "CMP251",
                dependency.origin,
                dependency.path,
                f'"{dependency.service}" has no health check; '
                + ("its port is waited for" if self._ports_of(target) else "it only has to run"),
                "Add a healthcheck to it.",
            )

    def _check_within_pod(self, dependency: Dependency) -> None:
        if dependency.condition is Condition.COMPLETED:
            self._report.error(
                "CMP304",
                dependency.origin,
                dependency.path,
                f'it runs in the pod of "{dependency.service}" and cannot wait for its end',
                "Do not share its namespaces, or wait for service_started.",
            )
        elif dependency.condition is Condition.HEALTHY:
            self._report.warning(
                "CMP304",
                dependency.origin,
                dependency.path,
                f'"{dependency.service}" runs in the same pod; both start together',
            )
