"""The shape most apps have: a web service, a worker, a database with a volume and a health
check."""

from __future__ import annotations

import pytest

from agent.compose import Plan, PortSource, WaitFor
from tests.unit.compose.helpers import convert, environment, find, names, pod

GUESTBOOK = """
services:
  web:
    image: acme/guestbook:${TAG:-1.0}
    environment:
      DATABASE_URL: postgres://app:${DB_PASSWORD:?set it}@db:5432/app
    ports: ["8080:8000"]
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
  worker:
    image: acme/guestbook:${TAG:-1.0}
    command: work --fast
    depends_on: [db]
  migrate:
    image: acme/guestbook:${TAG:-1.0}
    command: [migrate]
    restart: "no"
    depends_on: {db: {condition: service_healthy}}
  db:
    image: postgres:17
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U app"]
      interval: 10s
volumes:
  data:
"""


@pytest.fixture
def guestbook() -> Plan:
    return convert(GUESTBOOK, variables={"DB_PASSWORD": "s3cret"})


def test_waves_are_ordered_and_wait_for_the_job(guestbook: Plan) -> None:
    assert [(w.name, w.wait) for w in guestbook.waves] == [
        ("config", WaitFor.NONE),
        ("volumes", WaitFor.NONE),
        ("network", WaitFor.NONE),
        ("workloads-1", WaitFor.JOBS_COMPLETE),
        ("workloads-2", WaitFor.NONE),
    ]


def test_the_dependent_of_a_job_is_in_a_later_wave(guestbook: Plan) -> None:
    by_wave = {w.name: [m["metadata"]["name"] for m in w.manifests] for w in guestbook.waves}
    assert by_wave["workloads-2"] == ["web"]
    assert by_wave["workloads-1"][0] == "worker"


def test_the_job_is_named_with_a_hash_of_what_it_runs(guestbook: Plan) -> None:
    changed = convert(GUESTBOOK, variables={"DB_PASSWORD": "s3cret", "TAG": "2"})
    (first,), (second,) = names(guestbook, "Job"), names(changed, "Job")
    assert first.startswith("migrate-")
    assert first != second


def test_the_volume_is_one_claim_named_after_the_app(guestbook: Plan) -> None:
    claim = find(guestbook, "PersistentVolumeClaim")
    assert claim["metadata"]["name"] == "shop-data"
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"


def test_a_pod_with_a_volume_is_recreated_not_rolled(guestbook: Plan) -> None:
    assert find(guestbook, "Deployment", "db")["spec"]["strategy"] == {"type": "Recreate"}


def test_environment_is_interpolated_into_one_secret(guestbook: Plan) -> None:
    assert environment(guestbook) == {"DATABASE_URL": "postgres://app:s3cret@db:5432/app"}


def test_web_waits_for_the_port_of_the_database(guestbook: Plan) -> None:
    (wait,) = pod(guestbook)["initContainers"]
    assert wait["command"][-1] == "healthy db 5432"


def test_every_service_gets_a_service_under_its_own_name(guestbook: Plan) -> None:
    assert names(guestbook, "Service") == ["web", "worker", "db"]


def test_labels_say_whose_object_it_is(guestbook: Plan) -> None:
    assert find(guestbook, "Deployment", "web")["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "skerry",
        "app.kubernetes.io/name": "web",
        "skerry.dev/project": "p1",
        "skerry.dev/environment": "prod",
        "skerry.dev/app": "shop",
        "skerry.dev/service": "web",
    }


def test_web_is_the_public_guess(guestbook: Plan) -> None:
    assert guestbook.public is not None
    assert (guestbook.public.service, guestbook.public.port) == ("web", 8000)


def test_facts_say_how_a_port_was_found(guestbook: Plan) -> None:
    db = next(s for s in guestbook.services if s.name == "db")
    assert [(p.port, p.source) for p in db.ports] == [(5432, PortSource.PEER)]


def test_a_new_revision_alone_does_not_touch_the_pods() -> None:
    variables = {"DB_PASSWORD": "x"}
    first = convert(GUESTBOOK, variables=variables, revision="1")
    second = convert(GUESTBOOK, variables=variables, revision="2")
    assert find(first, "Deployment", "web")["metadata"]["labels"]["skerry.dev/revision"] == "1"
    for name in names(first, "Deployment"):
        template = find(first, "Deployment", name)["spec"]["template"]
        assert template == find(second, "Deployment", name)["spec"]["template"]
    assert names(first, "Job") == names(second, "Job")


def test_the_same_input_gives_the_same_plan() -> None:
    variables = {"DB_PASSWORD": "x"}
    assert convert(GUESTBOOK, variables=variables) == convert(GUESTBOOK, variables=variables)
