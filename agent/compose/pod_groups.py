"""Which services share one pod: `network_mode`, `pid` and `ipc` with `service:` join another's.

A pod has one network and one set of names, so services that join each other become containers of
one pod. It is the pod of the service that joins nobody: that one gives it its name, its replicas
and its scheduling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.compose.assembly import Assembly
from agent.compose.diagnostics import Report
from agent.compose.model import Service
from agent.compose.result import PortSource, WorkloadKind

_SURE = frozenset(
    {PortSource.PORTS, PortSource.EXPOSE, PortSource.EXTENSION, PortSource.HEALTHCHECK}
)


def group(services: Mapping[str, Service]) -> dict[str, str]:
    """For every service the one whose pod it runs in: itself, unless it joins another."""
    root = {name: name for name in services}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for name, service in services.items():
        for target in service.joins.values():
            if target in services:
                root[find(name)] = find(target)
    leaders: dict[str, str] = {}
    for name, service in services.items():
        if not any(target in services for target in service.joins.values()):
            leaders.setdefault(find(name), name)
    return {name: leaders.get(find(name), find(name)) for name in services}


def join(assemblies: Mapping[str, Assembly], report: Report) -> None:
    """Put the members of each pod on its leader's assembly and report what cannot be one pod."""
    for assembly in assemblies.values():
        leader = assemblies[assembly.leader]
        if leader is not assembly:
            leader.members.append(assembly)
            _check_member(assembly, leader)
    for assembly in assemblies.values():
        if assembly.members:
            _check_ports((assembly, *assembly.members), assemblies, report)


def _check_member(member: Assembly, leader: Assembly) -> None:
    key = next(iter(member.service.joins))
    fields = member.service.fields
    if WorkloadKind.DEPLOYMENT in (member.kind, leader.kind) and member.kind != leader.kind:
        ends, stays = (
            (member, leader) if leader.kind is WorkloadKind.DEPLOYMENT else (leader, member)
        )
        fields.error(
            "CMP304",
            key,
            f'"{ends.service.name}" ends and "{stays.service.name}" stays up; '
            "they cannot share a pod",
            "Give both the same restart policy, or reach the other one by its name.",
        )
    elif member.kind is WorkloadKind.CRON_JOB or leader.kind is WorkloadKind.CRON_JOB:
        fields.error("CMP304", key, "a service that runs by a schedule cannot share a pod")
    if member.service.replicas != leader.service.replicas:
        fields.warning(
            "CMP304",
            key,
            f'it runs as often as "{leader.service.name}": {leader.service.replicas} times',
        )
    if "network_mode" not in member.service.joins:
        fields.info(
            "CMP304",
            key,
            f'it runs in the pod of "{leader.service.name}", so they also share the network',
        )
    for name in ("hostname", "domainname"):
        if fields.has(name):
            fields.warning("CMP405", name, f'the host name is that of "{leader.service.name}"')


def _check_ports(
    pod: Sequence[Assembly], assemblies: Mapping[str, Assembly], report: Report
) -> None:
    """Two containers of one pod cannot listen on the same port.

    Services that share a network in Docker too cannot clash anew: there one of them declares the
    ports of both.
    """
    taken: dict[tuple[int, str], tuple[str, Assembly]] = {}
    for assembly in pod:
        network = _network_of(assembly, assemblies)
        for fact in assembly.ports:
            if fact.source not in _SURE:
                continue
            other_network, other = taken.setdefault((fact.port, fact.protocol), (network, assembly))
            if other_network != network:
                report.error(
                    "CMP304",
                    assembly.service.origin,
                    assembly.service.path,
                    f'port {fact.port}/{fact.protocol} is also that of "{other.service.name}", '
                    "and both run in one pod",
                    "Let one of them listen on another port.",
                )


def _network_of(assembly: Assembly, assemblies: Mapping[str, Assembly]) -> str:
    """The service whose network it has in Docker."""
    name = assembly.service.name
    seen = {name}
    while (target := assemblies[name].service.joins.get("network_mode", "")) in assemblies:
        if target in seen:
            break
        seen.add(target)
        name = target
    return name
