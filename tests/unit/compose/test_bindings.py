"""Shared databases and buckets: what a file asks for, and what it is offered."""

from __future__ import annotations

import pytest

from agent.compose import BindingFact, DataService, Plan
from tests.unit.compose.helpers import accepted, convert, errors, names, pod, service

BOTH = frozenset({"postgres", "s3"})


def fact(result: Plan) -> BindingFact:
    (found,) = accepted(result).bindings
    return found


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("postgres", DataService.POSTGRES),
        ("docker.io/library/postgres:16-alpine", DataService.POSTGRES),
        ("postgres:16@sha256:" + "0" * 64, DataService.POSTGRES),
        ("bitnami/postgresql:15", DataService.POSTGRES),
        ("quay.io/minio/minio:latest", DataService.S3),
        ("localhost:5000/minio/minio", DataService.S3),
        ("dxflrs/garage:v1", DataService.S3),
    ],
)
def test_a_plain_store_is_offered_the_shared_one(image: str, kind: DataService) -> None:
    found = fact(convert(f"services: {{my_db: {{image: '{image}'}}}}"))
    assert (found.kind, found.wanted, found.service) == (kind, False, "my-db")
    assert "plain" in found.reason


@pytest.mark.parametrize(
    "image",
    ["pgvector/pgvector:pg16", "postgis/postgis", "timescale/timescaledb", "supabase/postgres",
     "ghcr.io/immich-app/postgres:14", "mysql", "minio/mc", "postgres-exporter"],
)  # fmt: skip
def test_stores_with_extensions_are_not(image: str) -> None:
    assert accepted(convert(f"services: {{db: {{image: '{image}'}}}}")).bindings == ()


def test_the_offer_knows_user_and_database_but_no_password() -> None:
    found = fact(
        convert(
            "services: {db: {image: postgres, environment: "
            "{POSTGRES_USER: u, POSTGRES_PASSWORD: geheim, POSTGRES_DB: d}}}"
        )
    )
    assert (found.user, found.database, found.port) == ("u", "d", 5432)
    assert "geheim" not in repr(found)


@pytest.mark.parametrize(
    "db",
    ["{image: postgres, x-skerry: {use: shared-postgres}}", "{provider: {type: skerry-postgres}}"],
)
def test_a_service_that_uses_the_shared_one_is_not_run(db: str) -> None:
    result = convert(
        f"""
        services:
          web: {{image: a, depends_on: {{my_db: {{condition: service_healthy}}}}}}
          my_db: {db}
        """,
        data_services=BOTH,
    )
    assert names(result, "Deployment") == ["web"]
    assert "initContainers" not in pod(result)
    found = fact(result)
    assert (found.service, found.original_name, found.wanted) == ("my-db", "my_db", True)
    assert found.kind is DataService.POSTGRES
    assert found.available


def test_an_offer_says_whether_the_cluster_has_the_shared_one() -> None:
    text = "services: {db: {image: postgres}}"
    assert not fact(convert(text)).available
    assert not fact(convert(text, data_services=frozenset({"s3"}))).available
    assert fact(convert(text, data_services=BOTH)).available


@pytest.mark.parametrize(
    "db",
    ["{image: minio/minio, x-skerry: {use: shared-s3}}", "{provider: {type: skerry-s3}}"],
)
def test_without_a_shared_one_it_is_said(db: str) -> None:
    text = f"services: {{web: {{image: a}}, s3: {db}}}"
    assert errors(convert(text)) == ["CMP503"]
    assert errors(convert(text, data_services=frozenset({"postgres"}))) == ["CMP503"]


def test_other_providers_are_refused() -> None:
    assert errors(convert("services: {a: {provider: {type: awesomecloud}}}")) == ["CMP162"]


@pytest.mark.parametrize(
    ("sleep", "seconds"), [("30m", 1800), ("false", 0), ("true", None), ("1d", 86_400)]
)
def test_how_long_it_may_idle(sleep: str, seconds: int | None) -> None:
    facts = accepted(service(f"x-skerry: {{sleep: {sleep}}}")).services[0]
    assert facts.sleep_after == seconds
