"""Who waits for whom: active services, undefined and circular dependencies, and the waves.

A dependency that must complete becomes a Job, and whoever waits for it is applied in a later wave;
everything else starts together and waits in init containers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.compose.context import Context
from agent.compose.diagnostics import Report
from agent.compose.model import Condition, Dependency, Project, Service
from agent.compose.yaml_nodes import shorten


def active_services(project: Project, context: Context) -> dict[str, Service]:
    """The services to run: those without profiles and those with an active one.

    `context.variables` must be the interpolation environment, for COMPOSE_PROFILES.
    """
    wanted = context.profiles or tuple(
        name.strip() for name in context.variables.get("COMPOSE_PROFILES", "").split(",")
    )
    active: dict[str, Service] = {}
    for name, service in project.services.items():
        profiles = {node.text for node in service.fields.texts("profiles")}
        if not profiles or "*" in wanted or not profiles.isdisjoint(wanted):
            active[name] = service
        else:
            service.fields.info(
                "CMP143",
                "profiles",
                "the service is left out: none of its profiles is active",
            )
    if project.services and not active:
        first = next(iter(project.services.values()))
        first.fields.error(
            "CMP005", "profiles", "no service has an active profile", "Activate a profile."
        )
    return active


def resolve(project: Project, active: Mapping[str, Service], report: Report) -> None:
    """Drop dependencies that are absent where that is allowed; report those that are not."""
    for service in active.values():
        kept: list[Dependency] = []
        for dependency in service.depends_on:
            if dependency.service in active and dependency.service != service.name:
                kept.append(dependency)
            elif dependency.service == service.name:
                report.error(
                    "CMP142", dependency.origin, dependency.path, "the service waits for itself"
                )
            elif dependency.required:
                _report_absent(project, dependency, report)
        service.depends_on = kept
    edges = {name: service.depends_on for name, service in active.items()}
    _report_cycles(edges, {name: name for name in active}, report)


def check_pods(active: Mapping[str, Service], leaders: Mapping[str, str], report: Report) -> None:
    """Report pods that would wait for each other although their services do not."""
    edges: dict[str, list[Dependency]] = {leader: [] for leader in leaders.values()}
    for name, service in active.items():
        edges[leaders[name]] += [
            d for d in service.depends_on if leaders[d.service] != leaders[name]
        ]
    _report_cycles(edges, leaders, report, " (services of one pod wait together)")


def levels(active: Mapping[str, Service], leaders: Mapping[str, str]) -> dict[str, int]:
    """Wave number of every service, from 0; the graph of pods must have no cycle."""
    found: dict[str, int] = {}
    members: dict[str, list[Service]] = {}
    for name, leader in leaders.items():
        members.setdefault(leader, []).append(active[name])

    def level(leader: str) -> int:
        if leader not in found:
            found[leader] = 0
            found[leader] = max(
                (
                    level(leaders[d.service]) + (1 if d.condition is Condition.COMPLETED else 0)
                    for service in members[leader]
                    for d in service.depends_on
                    if leaders[d.service] != leader
                ),
                default=0,
            )
        return found[leader]

    return {name: level(leader) for name, leader in leaders.items()}


def _report_absent(project: Project, dependency: Dependency, report: Report) -> None:
    name = shorten(dependency.service)
    if dependency.service in project.services:
        report.error(
            "CMP143",
            dependency.origin,
            dependency.path,
            f'"{name}" is needed but none of its profiles is active',
            "Activate a profile of it, or write required: false.",
        )
        return
    report.error(
        "CMP141",
        dependency.origin,
        dependency.path,
        f'there is no service "{name}"',
        "Check the name.",
    )


def _report_cycles(
    edges: Mapping[str, Sequence[Dependency]],
    node: Mapping[str, str],
    report: Report,
    why: str = "",
) -> None:
    """Report each cycle once, with the place of every edge. `node` says where an edge leads."""
    done: set[str] = set()
    trail: list[Dependency] = []
    on_trail: list[str] = []

    def visit(name: str) -> None:
        on_trail.append(name)
        for dependency in edges[name]:
            trail.append(dependency)
            target = node[dependency.service]
            if target in on_trail:
                start = on_trail.index(target)
                _report_cycle(on_trail[start:], trail[start:], report, why)
            elif target not in done:
                visit(target)
            trail.pop()
        on_trail.pop()
        done.add(name)

    for name in edges:
        if name not in done:
            visit(name)


def _report_cycle(names: list[str], edges: list[Dependency], report: Report, why: str) -> None:
    files = {edge.origin.file for edge in edges}
    steps = ", ".join(
        f"{name} → {edge.service} (line {edge.origin.line}"
        f"{f' of {edge.origin.file}' if len(files) > 1 else ''}"
        f"{'' if edge.key == 'depends_on' else f', {edge.key}'})"
        for name, edge in zip(names, edges, strict=True)
    )
    report.error(
        "CMP142",
        edges[-1].origin,
        edges[-1].path,
        f"services wait for each other: {steps}{why}",
        "Remove one of these dependencies.",
    )
