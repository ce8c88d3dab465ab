"""Who waits for whom: active services, undefined and circular dependencies, and the waves.

A dependency that must complete becomes a Job, and whoever waits for it is applied in a later wave;
everything else starts together and waits in init containers.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    _report_cycles(active, report)


def levels(active: Mapping[str, Service]) -> dict[str, int]:
    """Wave number of every service, from 0; the graph must have no cycle."""
    found: dict[str, int] = {}

    def level(name: str) -> int:
        if name not in found:
            found[name] = 0
            found[name] = max(
                (
                    level(d.service) + (1 if d.condition is Condition.COMPLETED else 0)
                    for d in active[name].depends_on
                ),
                default=0,
            )
        return found[name]

    for name in active:
        level(name)
    return found


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


def _report_cycles(active: Mapping[str, Service], report: Report) -> None:
    """Report each cycle once, with the line of every edge."""
    done: set[str] = set()
    trail: list[Dependency] = []
    on_trail: list[str] = []

    def visit(name: str) -> None:
        on_trail.append(name)
        for dependency in active[name].depends_on:
            trail.append(dependency)
            if dependency.service in on_trail:
                start = on_trail.index(dependency.service)
                _report_cycle(on_trail[start:], trail[start:], report)
            elif dependency.service not in done:
                visit(dependency.service)
            trail.pop()
        on_trail.pop()
        done.add(name)

    for name in active:
        if name not in done:
            visit(name)


def _report_cycle(names: list[str], edges: list[Dependency], report: Report) -> None:
    steps = ", ".join(
        f"{name} → {edge.service} (line {edge.origin.line})"
        for name, edge in zip(names, edges, strict=True)
    )
    report.error(
        "CMP142",
        edges[-1].origin,
        edges[-1].path,
        f"services wait for each other: {steps}",
        "Remove one of these dependencies.",
    )
