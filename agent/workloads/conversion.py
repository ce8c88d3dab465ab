"""From a deploy request to a plan: what the converter is told. Shared by deploy and preview."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agent.compose import Context, Plan, Severity, SourceFile
from agent.compose.context import DEFAULT_WAIT_IMAGE
from agent.workloads.errors import FAILED_PRECONDITION, WorkloadError
from agent.workloads.model import DeployRequest
from agent.workloads.objects import owned

PlanFunction: TypeAlias = Callable[[Sequence[SourceFile], Context], Plan]
"""`agent.compose.plan`."""


@dataclass(frozen=True, slots=True)
class ConversionSettings:
    """What the cluster's operator decides about converted apps."""

    default_volume_size: str = "1Gi"
    default_storage_class: str | None = None
    wait_image: str = DEFAULT_WAIT_IMAGE


async def convert(plan: PlanFunction, request: DeployRequest, settings: ConversionSettings) -> Plan:
    """The plan with every manifest marked as the app's. A rejected plan is returned as it is.

    Raises WorkloadError when a compose file that is named was not sent.
    """
    sources, context = converter_input(request, settings)
    # Up to a second of pure computing: the link must go on meanwhile.
    found = await asyncio.to_thread(plan, sources, context)
    if found.rejected:
        return found
    waves = tuple(
        replace(
            wave,
            manifests=tuple(owned(m, request.app, request.environment) for m in wave.manifests),
        )
        for wave in found.waves
    )
    return replace(found, waves=waves)


def converter_input(
    request: DeployRequest, settings: ConversionSettings
) -> tuple[list[SourceFile], Context]:
    """What the converter is given for a request. Raises WorkloadError as `convert`."""
    missing = [path for path in request.compose_files if path not in request.files]
    if missing or not request.compose_files:
        raise WorkloadError(
            FAILED_PRECONDITION,
            "COMPOSE_REJECTED",
            f"compose file {', '.join(missing)} is not among the files sent"
            if missing
            else "no compose file was named",
        )
    sources = [SourceFile(path, request.files[path]) for path in request.compose_files]
    context = Context(
        app=request.app,
        namespace=request.environment.namespace,
        project=request.environment.project,
        environment=request.environment.environment,
        variables=request.variables,
        files=request.files,
        # No revision label: the inventory knows the revision, and objects that a new revision does
        # not change stay as they are.
        default_volume_size=settings.default_volume_size,
        default_storage_class=settings.default_storage_class,
        wait_image=settings.wait_image,
        network_isolation=True,  # `policies` leaves labelled pods to the app's own policies
        # Empty on purpose: garage and cloudnative-pg can be installed, but nothing makes a database or
        # a bucket for an app yet. A service that took the shared one would be left with no store.
        data_services=frozenset(),
    )
    return sources, context


def rejection(plan: Plan) -> str:
    """The errors of a rejected plan in one text."""
    errors = [d for d in plan.diagnostics if d.severity is Severity.ERROR]
    shown = "\n".join(str(diagnostic) for diagnostic in errors[:10])
    more = f"\nand {len(errors) - 10} more" if len(errors) > 10 else ""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"the compose project has {count}; nothing was changed\n{shown}{more}"


def compose_hash(request: DeployRequest) -> str:
    """Tells two deploys of the same text apart from two of different ones."""
    digest = hashlib.sha256()
    for path in sorted(request.files):
        digest.update(f"{path}\0{len(request.files[path])}\0".encode())
        digest.update(request.files[path])
    for name in sorted(request.variables):
        digest.update(f"{name}\0{request.variables[name]}\0".encode())
    digest.update("\0".join(request.compose_files).encode())
    return digest.hexdigest()
