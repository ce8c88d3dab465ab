"""agent.v1 and the domain say the same; nothing an agent says raises."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from skerry.agent.v1 import command_pb2, link_pb2, report_pb2, stream_pb2

from controlplane.domain import commands, workloads
from controlplane.domain.addons import AddOnState
from controlplane.domain.apps import SourceFile
from controlplane.domain.clusters import ClusterFacts, NodeFacts, StorageClassFacts
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import StatusCode
from controlplane.domain.logs import LogCursor, LogEventKind, LogsRequest
from controlplane.domain.reports import AddOnStatus, AppStatus
from controlplane.domain.terminals import ExecRequest, WindowSize
from controlplane.link import codec

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
ENVIRONMENT = commands.EnvironmentSpec("shop-prod-abc", "uid", "acme", "shop", "prod")
DEPLOY = commands.DeployApp(
    ENVIRONMENT, "web", "app-uid", 7, "d", ("compose.yml",),
    (SourceFile("compose.yml", b"services: {}"),), {"A": "1"}, 600,
)  # fmt: skip


def test_a_deploy_goes_out_whole() -> None:
    message = codec.command(commands.Command(3, "c3", "cluster", NOW, DEPLOY))
    assert (message.seq, message.command_id) == (3, "c3")
    assert message.deadline.ToDatetime(tzinfo=UTC) == NOW
    deploy = message.deploy_app
    assert deploy.environment.namespace == "shop-prod-abc"
    assert (deploy.app, deploy.app_uid, deploy.revision) == ("web", "app-uid", 7)
    assert [(file.path, file.content) for file in deploy.files] == [
        ("compose.yml", b"services: {}")
    ]
    assert dict(deploy.variables) == {"A": "1"}
    assert deploy.progress_deadline_seconds == 600


def test_every_kind_of_command_has_a_message() -> None:
    bodies: list[commands.CommandBody] = [
        commands.EnsureEnvironment(ENVIRONMENT),
        commands.DeleteEnvironment(ENVIRONMENT),
        DEPLOY,
        commands.DeleteApp(ENVIRONMENT, "web", "u", True),
        commands.RetryAddOn("garage"),
    ]
    for body in bodies:
        message = codec.command(commands.Command(1, "c", "cluster", None, body))
        assert message.WhichOneof("kind") == body.kind
        assert not message.HasField("deadline")


def test_what_is_asked_of_log_and_exec_streams() -> None:
    cursor = LogCursor("pod", "pod-uid", "main", "2026-01-01T00:00:00.123456789Z", 2, 1)
    logs = codec.open_logs(LogsRequest("ns", "web", ("a", "b"), True, NOW, 0, True, (cursor,)))
    assert list(logs.services) == ["a", "b"]
    assert logs.HasField("tail_lines"), "0 lines is not all lines"
    assert (logs.cursors[0].time, logs.cursors[0].lines_at_time) == (cursor.time, 2)
    everything = codec.open_logs(LogsRequest("ns", "web", (), False, None, None, False))
    assert not everything.HasField("tail_lines")
    assert not everything.HasField("since_time")
    exec_ = codec.open_exec(
        ExecRequest("ns", "web", "api", "p", ("sh", "-c"), True, True, WindowSize(24, 80))
    )
    assert (list(exec_.command), exec_.rows, exec_.columns) == (["sh", "-c"], 24, 80)


def test_progress_and_outcome_come_in() -> None:
    deploy = command_pb2.DeployProgress(phase="ROLLING_OUT", objects_applied=2, objects_total=5)
    service = deploy.services.add(service="api", state="READY", desired=1, ready=1)
    service.pods.add(pod="api-0", phase="Running", ready=True)
    deploy.diagnostics.add(severity="warning", code="CMP1", message="hm")
    progress = codec.progress(
        command_pb2.CommandProgress(seq=1, command_id="c", version=4, message="m", deploy=deploy)
    )
    assert progress.deploy is not None
    assert progress.deploy.phase is DeploymentPhase.ROLLING_OUT
    assert progress.deploy.services[0].state is workloads.State.READY
    assert progress.deploy.services[0].pods[0].pod == "api-0"
    assert progress.deploy.diagnostics[0].severity is workloads.Severity.WARNING
    outcome = codec.outcome(command_pb2.CommandResult(seq=1, code=10, reason="ROLLOUT_FAILED"))
    assert (outcome.code, outcome.deploy) == (StatusCode.ABORTED, None)


def test_reports_come_in() -> None:
    facts = report_pb2.ClusterFacts(kubernetes_version="v1", helm_controller=False)
    facts.nodes.add(name="n", ready=True, cpu_millis=2000, addresses=["InternalIP=10.0.0.5"])
    facts.storage_classes.add(name="local", provisioner="p", is_default=True)
    report = codec.report(report_pb2.Report(key="facts", version=2, facts=facts))
    assert report.body == ClusterFacts(
        "v1", "", (NodeFacts("n", True, "", "", 2000, 0, ("InternalIP=10.0.0.5",)),),
        (StorageClassFacts("local", "p", True),), False, None, "", None,
    )  # fmt: skip
    add_on = report_pb2.AddOnStatus(name="garage", state="FAILED", attempts=3)
    add_on.retry_time.FromDatetime(NOW)
    body = codec.report(report_pb2.Report(key="addons/garage", add_on=add_on)).body
    assert isinstance(body, AddOnStatus)
    assert (body.state, body.retry_time) == (AddOnState.FAILED, NOW)
    app = codec.report(report_pb2.Report(key="apps/u", app=report_pb2.AppStatus(state="READY")))
    assert isinstance(app.body, AppStatus)
    gone = codec.report(report_pb2.Report(key="apps/u", deleted=True))
    assert (gone.deleted, gone.body) == (True, None)


def test_what_a_newer_agent_says_becomes_not_known() -> None:
    assert codec.report(report_pb2.Report(key="moons/1")).body is None
    deploy = command_pb2.DeployProgress(phase="TELEPORTING")
    deploy.services.add(state="GLOWING")
    deploy.diagnostics.add(severity="terrible")
    progress = codec.progress(command_pb2.CommandProgress(deploy=deploy))
    assert progress.deploy is not None
    assert progress.deploy.phase is None
    assert progress.deploy.services[0].state is workloads.State.UNKNOWN
    assert codec.outcome(command_pb2.CommandResult(code=99)).code is StatusCode.UNKNOWN
    plan = stream_pb2.PlanResult()
    plan.changes.add(action="transmute")
    assert codec.plan_result(plan).changes[0].action is workloads.ChangeAction.UPDATE


def test_log_events_come_in() -> None:
    lines = codec.log_event(stream_pb2.LogEvent(service="api", lines=b"t x\n", restarts=2))
    assert (lines.kind, lines.lines, lines.restarts) == (LogEventKind.LINES, b"t x\n", 2)
    gap = codec.log_event(stream_pb2.LogEvent(gap="rotated"))
    assert (gap.kind, gap.message) == (LogEventKind.GAP, "rotated")
    assert codec.log_event(stream_pb2.LogEvent(started=True)).kind is LogEventKind.STARTED
    assert codec.log_event(stream_pb2.LogEvent(ended="exit 1")).message == "exit 1"
    assert codec.log_event(stream_pb2.LogEvent()).kind is LogEventKind.GAP


def test_a_time_that_no_calendar_has_is_none() -> None:
    facts = report_pb2.ClusterFacts()
    facts.observe_time.seconds = 10**17
    body = codec.report(report_pb2.Report(facts=facts)).body
    assert isinstance(body, ClusterFacts)
    assert body.observe_time is None


@given(st.binary(max_size=400))
def test_no_bytes_of_an_agent_raise(data: bytes) -> None:
    frame = link_pb2.Frame()
    try:
        frame.ParseFromString(data)
    except Exception:
        return
    codec.progress(frame.command_progress)
    codec.outcome(frame.command_result)
    codec.report(frame.report)
