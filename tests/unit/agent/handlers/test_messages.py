"""agent.v1 messages and the dataclasses of the workloads say the same."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from skerry.agent.v1 import command_pb2, stream_pb2

from agent.compose import Context, Diagnostic, Severity, SourceFile, plan
from agent.handlers.messages import (
    app_status_to,
    check_result_to,
    deploy_from,
    log_query_from,
    outcome_to,
    preview_to,
)
from agent.workloads.model import (
    Action,
    AppStatus,
    DeployProgress,
    ObjectChange,
    Outcome,
    Phase,
    PodStatus,
    Preview,
    ServiceStatus,
    State,
)

DIAGNOSTIC = Diagnostic(
    "c.yml", 1, 2, 3, 4, Severity.WARNING, "CMP1", "services.a", "so", "do", "extends at a.yml:1:2"
)

FACTS = b"""
services:
  web:
    image: nginx
    ports: ["80:80"]
    x-skerry: {sleep: 30m, public: {host: shop.example.com}}
  db:
    image: postgres
    environment: {POSTGRES_USER: u, POSTGRES_PASSWORD: geheim, POSTGRES_DB: d}
    volumes: [data:/var/lib/postgresql/data]
    x-skerry: {sleep: false}
  files:
    image: minio/minio
    environment: {MINIO_ROOT_USER: m, MINIO_ROOT_PASSWORD: geheim}
  my_store:
    image: postgres
    environment: {POSTGRES_PASSWORD: geheim}
    x-skerry: {use: shared-postgres}
volumes: {data: {x-skerry: {size: 5Gi}}}
"""


def test_a_deploy_request() -> None:
    request = deploy_from(
        command_pb2.DeployApp(
            environment=command_pb2.EnvironmentSpec(namespace="n", uid="u", project="p"),
            app="demo",
            revision=3,
            compose_files=["a.yml", "b.yml"],
            files=[command_pb2.File(path="a.yml", content=b"x")],
            variables={"A": "1"},
            progress_deadline_seconds=7,
        )
    )
    assert (request.environment.namespace, request.app, request.revision) == ("n", "demo", 3)
    assert request.compose_files == ("a.yml", "b.yml")
    assert (request.files, request.variables) == ({"a.yml": b"x"}, {"A": "1"})
    assert request.progress_deadline == 7.0


def test_a_deploy_without_a_deadline_gets_one() -> None:
    assert deploy_from(command_pb2.DeployApp()).progress_deadline == 600.0


def test_an_outcome_carries_the_last_progress() -> None:
    pod = PodStatus(
        "web-1", "Running", ready=True, restarts=2, created=datetime(2026, 1, 1, tzinfo=UTC)
    )
    service = ServiceStatus("web", "Deployment", State.READY, pods=(pod,), image="i", ready=1)
    progress = DeployProgress(Phase.FAILED, (service,), (DIAGNOSTIC,), 3, 4)
    result = outcome_to(Outcome(10, "CrashLoop", "exits", progress))
    assert (result.code, result.reason, result.message) == (10, "CrashLoop", "exits")
    assert (result.deploy.phase, result.deploy.objects_applied) == ("FAILED", 3)
    (sent,) = result.deploy.services
    assert (sent.service, sent.state, sent.kind, sent.ready) == ("web", "READY", "Deployment", 1)
    assert sent.pods[0].create_time.ToDatetime(tzinfo=UTC) == pod.created
    (said,) = result.deploy.diagnostics
    assert (said.severity, said.code, said.end_column, said.hint) == ("warning", "CMP1", 4, "do")
    assert said.via == "extends at a.yml:1:2"


def test_an_outcome_without_progress_has_none() -> None:
    assert not outcome_to(Outcome(0, "", "ok")).HasField("deploy")


def test_a_preview() -> None:
    change = ObjectChange("apps/v1", "Deployment", "web", Action.UPDATE, "diff", "")
    message = preview_to(Preview(False, (DIAGNOSTIC,), (change,), "---\n"))
    assert (message.changes[0].action, message.changes[0].object_name) == ("update", "web")
    assert message.manifests == "---\n"
    assert (message.public_service, message.public_port, message.public_host) == ("", 0, "")


def test_the_facts_of_a_preview() -> None:
    found = plan(
        [SourceFile("c.yml", FACTS)], Context("shop", "ns", data_services=frozenset({"postgres"}))
    )
    message = preview_to(
        Preview(
            found.rejected,
            found.diagnostics,
            services=found.services,
            volumes=found.volumes,
            public=found.public,
            bindings=found.bindings,
        )
    )
    assert (message.public_service, message.public_port) == ("web", 80)
    assert message.public_host == "shop.example.com"
    assert message.public_service_reason
    facts = {one.service: one for one in message.services}
    assert facts["web"].sleep_after_seconds == 1800
    assert facts["db"].HasField("sleep_after_seconds"), "never is not nothing said"
    assert facts["db"].sleep_after_seconds == 0
    assert not facts["files"].HasField("sleep_after_seconds")
    assert [(p.port, p.source) for p in facts["db"].ports] == [(5432, "image")]
    (volume,) = message.volumes
    assert (volume.volume, volume.claim, volume.size) == ("data", "shop-data", "5Gi")
    assert (list(volume.services), volume.external) == (["db"], False)
    wanted, database, bucket = message.bindings
    assert (wanted.service, wanted.host_name) == ("my_store", "my-store")
    assert (wanted.wanted, wanted.available, wanted.reason) == (True, True, "x-skerry.use")
    assert (database.kind, database.wanted, database.available) == ("postgres", False, True)
    assert (database.user, database.database, database.port) == ("u", "d", 5432)
    assert database.reason == "postgres is a plain Postgres"
    assert (bucket.kind, bucket.available) == ("s3", False)


def test_no_password_is_in_the_facts() -> None:
    found = plan(
        [SourceFile("c.yml", FACTS)], Context("shop", "ns", data_services=frozenset({"postgres"}))
    )
    encoded = base64.b64encode(b"geheim")
    assert encoded in repr(found.manifests).encode(), "the file has passwords"
    said = check_result_to(found).SerializeToString()
    assert b"geheim" not in said
    assert encoded not in said


def test_a_log_query() -> None:
    opened = stream_pb2.OpenLogs(
        namespace="n",
        app="demo",
        services=["web"],
        follow=True,
        tail_lines=0,
        cursors=[
            stream_pb2.LogCursor(
                pod="p", pod_uid="u", container="c", time="t", lines_at_time=2, restarts=1
            )
        ],
    )
    opened.since_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    query = log_query_from(opened)
    assert query.tail_lines == 0
    assert query.since == datetime(2026, 1, 1, tzinfo=UTC)
    cursor = query.cursors["p", "c"]
    assert (cursor.pod_uid, cursor.restarts) == ("u", 1)
    assert (cursor.line.time, cursor.line.lines_at_time) == (b"t", 2)


def test_what_is_not_asked_for_is_not_limited() -> None:
    query = log_query_from(stream_pb2.OpenLogs(namespace="n", app="demo"))
    assert (query.tail_lines, query.since, query.services) == (None, None, frozenset())


def test_the_same_status_is_the_same_message() -> None:
    status = AppStatus("n", "demo", "u", 1, State.READY)
    assert app_status_to(status) == app_status_to(status)
