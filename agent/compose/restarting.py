"""Workloads in the order of dependencies, so that `depends_on.restart` can name what it follows.

A service with `restart: true` carries a checksum of the pods it depends on: when a deploy changes
them, its own pods are replaced too. Called by the planner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from agent.compose.assembly import Assembly
from agent.compose.names import checksum
from agent.compose.result import Manifest


def build(assemblies: Mapping[str, Assembly], make: Callable[[Assembly], Manifest]) -> None:
    """Make the workload of every pod with `make`; the services of one pod have the same one."""
    done: set[str] = set()

    def visit(leader: Assembly) -> None:
        if leader.service.name in done:
            return
        done.add(leader.service.name)
        followed: dict[str, Assembly] = {}
        for member in leader.pod:
            for dependency in member.service.depends_on:
                target = assemblies.get(dependency.service)
                if target is None or target.leader == leader.leader:
                    continue
                other = assemblies[target.leader]
                visit(other)
                if dependency.restart:
                    followed[other.name] = other
        if followed:
            templates = {name: other.pod_template for name, other in sorted(followed.items())}
            leader.restarts_with = checksum(json.dumps(templates, sort_keys=True).encode())
        leader.workload = make(leader)

    for assembly in assemblies.values():
        if not assembly.is_member:
            visit(assembly)
    for assembly in assemblies.values():
        if assembly.is_member:
            assembly.workload = assemblies[assembly.leader].workload
