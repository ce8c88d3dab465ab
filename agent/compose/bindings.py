"""Databases and buckets of the file that the platform's shared ones replace, or could replace.

A service with `x-skerry.use` or `provider` is not run; whoever deploys the plan makes its name lead
to the shared one. Plain ones are only offered: an image with extensions is not plain.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from agent.compose import images
from agent.compose.context import Context
from agent.compose.model import Service
from agent.compose.names import service_label
from agent.compose.result import BindingFact, DataService

_PORTS = {DataService.POSTGRES: 5432, DataService.S3: 9000}
_WORDS = {DataService.POSTGRES: "Postgres", DataService.S3: "S3"}
_PLAIN = {
    **dict.fromkeys(
        ("postgres", "library/postgres", "bitnami/postgresql", "bitnamilegacy/postgresql"),
        DataService.POSTGRES,
    ),
    **dict.fromkeys(
        ("minio/minio", "bitnami/minio", "bitnamilegacy/minio", "dxflrs/garage", "rustfs/rustfs"),
        DataService.S3,
    ),
}
_USER = ("POSTGRES_USER", "POSTGRESQL_USERNAME", "MINIO_ROOT_USER", "MINIO_ACCESS_KEY")
_DATABASE = ("POSTGRES_DB", "POSTGRESQL_DATABASE", "MINIO_DEFAULT_BUCKETS")
_DEFAULT_USER = "postgres"


def replaced(services: Mapping[str, Service], context: Context) -> dict[str, Service]:
    """The services that are not run because they use a shared one; reported where there is none."""
    found = {name: s for name, s in services.items() if s.extension.uses is not None}
    for service in found.values():
        kind = service.extension.uses
        if kind is not None and kind not in context.data_services:
            key = "provider" if service.fields.has("provider") else "x-skerry"
            service.fields.error(
                "CMP503",
                key,
                f"there is no shared {_WORDS[kind]} in this cluster",
                "Remove it and run the service itself, with image:."
                if service.image
                else "Add a service with an image of it.",
            )
    return found


def leave_out(services: dict[str, Service], shared: Mapping[str, Service]) -> None:
    """Take the services away that are not run, and what others would wait for."""
    for name in shared:
        del services[name]
    for service in services.values():
        service.depends_on = [d for d in service.depends_on if d.service not in shared]
        for key, target in list(service.joins.items()):
            if target in shared:
                service.fields.error("CMP141", key, f'"{target}" is not run here')


def facts(
    services: Mapping[str, Service],
    shared: Mapping[str, Service],
    environments: Mapping[str, Mapping[str, str]],
    context: Context,
) -> tuple[BindingFact, ...]:
    """The services that use a shared one, then those that could."""
    available = context.data_services
    found: list[BindingFact] = []
    for name, service in shared.items():
        kind = service.extension.uses
        if kind is not None:
            key = "provider" if service.fields.has("provider") else "x-skerry.use"
            values = {n: v.value for n, v in service.environment.items() if v.value is not None}
            found.append(_fact(name, kind, True, key, values, available))
    for name, service in services.items():
        offered = _PLAIN.get(images.repository(service.image))
        if offered is not None:
            reason = f"{images.repository(service.image)} is a plain {_WORDS[offered]}"
            found.append(_fact(name, offered, False, reason, environments[name], available))
    return tuple(found)


def _fact(
    name: str,
    kind: DataService,
    wanted: bool,
    reason: str,
    values: Mapping[str, str],
    available: Collection[str],
) -> BindingFact:
    user = next((values[key] for key in _USER if values.get(key)), "")
    if kind is DataService.POSTGRES:
        user = user or _DEFAULT_USER
    database = next((values[key] for key in _DATABASE if values.get(key)), "")
    if kind is DataService.POSTGRES:
        database = database or user
    return BindingFact(
        service=service_label(name),
        original_name=name,
        kind=kind,
        wanted=wanted,
        reason=reason,
        port=_PORTS[kind],
        available=kind in available,
        user=user,
        database=database,
    )
