"""agent.v1 messages as domain objects and back. Pure; used by `session`, `registry` and `streams`.

Agents may be newer or older than this: names that are not known become the enum's "not known", and a
timestamp that no calendar has becomes none. Nothing an agent says raises here.
"""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from skerry.agent.v1 import command_pb2, report_pb2, stream_pb2

from controlplane.domain import commands, logs, reports, terminals, workloads
from controlplane.domain.addons import AddOnState
from controlplane.domain.clusters import ClusterFacts, NodeFacts, StorageClassFacts
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import StatusCode

# Towards the agent


def command(value: commands.Command) -> command_pb2.Command:
    """A command of the outbox, as it goes on the wire."""
    message = command_pb2.Command(seq=value.seq, command_id=value.command_id)
    if value.deadline is not None:
        message.deadline.FromDatetime(value.deadline)
    match value.body:
        case commands.EnsureEnvironment(environment):
            message.ensure_environment.environment.CopyFrom(_environment(environment))
        case commands.DeleteEnvironment(environment):
            message.delete_environment.environment.CopyFrom(_environment(environment))
        case commands.DeployApp() as body:
            message.deploy_app.CopyFrom(deploy_app(body))
        case commands.DeleteApp() as body:
            message.delete_app.environment.CopyFrom(_environment(body.environment))
            message.delete_app.app = body.app
            message.delete_app.app_uid = body.app_uid
            message.delete_app.delete_volumes = body.delete_volumes
        case commands.RetryAddOn(add_on):
            message.retry_add_on.add_on = add_on
    return message


def deploy_app(value: commands.DeployApp) -> command_pb2.DeployApp:
    """What to roll out, or to plan."""
    return command_pb2.DeployApp(
        environment=_environment(value.environment),
        app=value.app,
        app_uid=value.app_uid,
        revision=value.revision,
        deployment=value.deployment,
        compose_files=value.compose_files,
        files=[command_pb2.File(path=file.path, content=file.content) for file in value.files],
        variables=value.variables,
        progress_deadline_seconds=value.progress_deadline_seconds,
        secret_variables=value.secret_variables,
    )


def open_logs(value: logs.LogsRequest) -> stream_pb2.OpenLogs:
    """Which lines to send."""
    message = stream_pb2.OpenLogs(
        namespace=value.namespace,
        app=value.app,
        services=value.services,
        follow=value.follow,
        tail_lines=value.tail_lines,
        previous=value.previous,
        cursors=[
            stream_pb2.LogCursor(
                pod=cursor.pod,
                pod_uid=cursor.pod_uid,
                container=cursor.container,
                time=cursor.time,
                lines_at_time=cursor.lines_at_time,
                restarts=cursor.restarts,
            )
            for cursor in value.cursors
        ],
    )
    if value.since_time is not None:
        message.since_time.FromDatetime(value.since_time)
    return message


def open_exec(value: terminals.ExecRequest, *, session: str = "") -> stream_pb2.OpenExec:
    """What to run; with `session` the agent keeps it over a cut under that name."""
    return stream_pb2.OpenExec(
        session=session,
        namespace=value.namespace,
        app=value.app,
        service=value.service,
        pod=value.pod,
        command=value.command,
        tty=value.tty,
        stdin=value.stdin,
        rows=value.size.rows if value.size else 0,
        columns=value.size.columns if value.size else 0,
    )


def _environment(value: commands.EnvironmentSpec) -> command_pb2.EnvironmentSpec:
    return command_pb2.EnvironmentSpec(
        namespace=value.namespace,
        uid=value.uid,
        organization=value.organization,
        project=value.project,
        environment=value.environment,
        links=[
            command_pb2.LinkedEnvironment(namespace=link.namespace, uid=link.uid)
            for link in value.links
        ],
        generation=value.generation,
    )


# From the agent


def progress(message: command_pb2.CommandProgress) -> commands.CommandProgress:
    """How far a command is."""
    return commands.CommandProgress(
        seq=message.seq,
        command_id=message.command_id,
        version=message.version,
        message=message.message,
        deploy=_deploy_progress(message.deploy) if message.HasField("deploy") else None,
    )


def outcome(message: command_pb2.CommandResult) -> commands.CommandOutcome:
    """How a command ended."""
    return commands.CommandOutcome(
        seq=message.seq,
        command_id=message.command_id,
        code=_status_code(message.code),
        reason=message.reason,
        message=message.message,
        deploy=_deploy_progress(message.deploy) if message.HasField("deploy") else None,
    )


def report(message: report_pb2.Report) -> reports.Report:
    """What is so now."""
    body: reports.ReportBody | None = None
    if not message.deleted:
        match message.WhichOneof("kind"):
            case "facts":
                body = _facts(message.facts)
            case "add_on":
                body = _add_on(message.add_on)
            case "app":
                body = _app(message.app)
            case "environment":
                body = _guards(message.environment)
    return reports.Report(
        key=message.key, version=message.version, deleted=message.deleted, body=body
    )


def log_event(message: stream_pb2.LogEvent) -> logs.LogEvent:
    """One event of a log stream; an event of a kind not known here is a gap that says so."""
    lines, text = b"", ""
    match message.WhichOneof("event"):
        case "lines":
            kind, lines = logs.LogEventKind.LINES, message.lines
        case "started":
            kind = logs.LogEventKind.STARTED
        case "ended":
            kind, text = logs.LogEventKind.ENDED, message.ended
        case "gap":
            kind, text = logs.LogEventKind.GAP, message.gap
        case _:
            kind, text = logs.LogEventKind.GAP, "the agent said something this version cannot read"
    return logs.LogEvent(
        kind=kind,
        service=message.service,
        pod=message.pod,
        pod_uid=message.pod_uid,
        container=message.container,
        restarts=message.restarts,
        lines=lines,
        message=text,
    )


def plan_result(message: stream_pb2.PlanResult) -> workloads.PlanResult:
    """What a deploy would do."""
    return workloads.PlanResult(
        rejected=message.rejected,
        diagnostics=tuple(_diagnostic(item) for item in message.diagnostics),
        changes=tuple(
            workloads.ObjectChange(
                api_version=change.api_version,
                kind=change.kind,
                object_name=change.object_name,
                action=_action(change.action),
                diff=change.diff,
                message=change.message,
            )
            for change in message.changes
        ),
        manifests=message.manifests,
        public_service=message.public_service,
        public_service_reason=message.public_service_reason,
        public_port=message.public_port,
        public_host=message.public_host,
        services=tuple(_checked_service(item) for item in message.services),
        volumes=tuple(_volume(item) for item in message.volumes),
        bindings=tuple(_binding(item) for item in message.bindings),
    )


def check_result(message: stream_pb2.CheckResult) -> workloads.CheckResult:
    """What there is to say about a compose project."""
    return workloads.CheckResult(
        rejected=message.rejected,
        diagnostics=tuple(_diagnostic(item) for item in message.diagnostics),
        services=tuple(_checked_service(item) for item in message.services),
        public_service=message.public_service,
        public_service_reason=message.public_service_reason,
        public_port=message.public_port,
        public_host=message.public_host,
        volumes=tuple(_volume(item) for item in message.volumes),
        bindings=tuple(_binding(item) for item in message.bindings),
    )


def _checked_service(message: stream_pb2.CheckedService) -> workloads.CheckedService:
    return workloads.CheckedService(
        service=message.service,
        host_name=message.host_name,
        kind=message.kind,
        image=message.image,
        replicas=message.replicas,
        ports=tuple(
            workloads.FoundPort(
                port=port.port,
                protocol=port.protocol,
                source=port.source,
                published=port.published,
                http=port.http,
            )
            for port in message.ports
        ),
        depends_on=tuple(message.depends_on),
        volumes=tuple(message.volumes),
        sleep_after_seconds=(
            message.sleep_after_seconds if message.HasField("sleep_after_seconds") else None
        ),
    )


def _volume(message: stream_pb2.Volume) -> workloads.Volume:
    return workloads.Volume(
        claim=message.claim,
        volume=message.volume,
        size=message.size,
        services=tuple(message.services),
        external=message.external,
    )


def _binding(message: stream_pb2.Binding) -> workloads.Binding:
    return workloads.Binding(
        service=message.service,
        host_name=message.host_name,
        kind=message.kind,
        wanted=message.wanted,
        reason=message.reason,
        available=message.available,
        port=message.port,
        user=message.user,
        database=message.database,
    )


def _deploy_progress(message: command_pb2.DeployProgress) -> commands.DeployProgress:
    try:
        phase = DeploymentPhase(message.phase)
    except ValueError:
        phase = None
    return commands.DeployProgress(
        phase=phase,
        services=tuple(_service(item) for item in message.services),
        diagnostics=tuple(_diagnostic(item) for item in message.diagnostics),
        objects_applied=message.objects_applied,
        objects_total=message.objects_total,
    )


def _service(message: command_pb2.ServiceStatus) -> workloads.ServiceStatus:
    return workloads.ServiceStatus(
        service=message.service,
        state=workloads.State.from_agent(message.state),
        reason=message.reason,
        message=message.message,
        desired=message.desired,
        ready=message.ready,
        pods=tuple(
            workloads.PodStatus(
                pod=pod.pod,
                phase=pod.phase,
                ready=pod.ready,
                restarts=pod.restarts,
                reason=pod.reason,
                message=pod.message,
                node=pod.node,
                create_time=_time(pod.create_time) if pod.HasField("create_time") else None,
            )
            for pod in message.pods
        ),
        image=message.image,
        kind=message.kind,
    )


def _diagnostic(message: command_pb2.Diagnostic) -> workloads.Diagnostic:
    try:
        severity = workloads.Severity(message.severity)
    except ValueError:
        severity = workloads.Severity.WARNING
    return workloads.Diagnostic(
        file=message.file,
        line=message.line,
        column=message.column,
        end_line=message.end_line,
        end_column=message.end_column,
        severity=severity,
        code=message.code,
        path=message.path,
        message=message.message,
        hint=message.hint,
        via=message.via,
    )


def _action(name: str) -> workloads.ChangeAction:
    try:
        return workloads.ChangeAction(name)
    except ValueError:
        return workloads.ChangeAction.UPDATE


def _facts(message: report_pb2.ClusterFacts) -> ClusterFacts:
    return ClusterFacts(
        kubernetes_version=message.kubernetes_version,
        distribution=message.distribution,
        nodes=tuple(
            NodeFacts(
                name=node.name,
                ready=node.ready,
                kubelet_version=node.kubelet_version,
                architecture=node.architecture,
                cpu_millis=node.cpu_millis,
                memory_bytes=node.memory_bytes,
                addresses=tuple(node.addresses),
            )
            for node in message.nodes
        ),
        storage_classes=tuple(
            StorageClassFacts(
                name=storage.name, provisioner=storage.provisioner, is_default=storage.is_default
            )
            for storage in message.storage_classes
        ),
        helm_controller=message.helm_controller if message.HasField("helm_controller") else None,
        network_policy_enforced=(
            message.network_policy_enforced if message.HasField("network_policy_enforced") else None
        ),
        network_policy_message=message.network_policy_message,
        observe_time=_time(message.observe_time) if message.HasField("observe_time") else None,
    )


def _add_on(message: report_pb2.AddOnStatus) -> reports.AddOnStatus:
    return reports.AddOnStatus(
        name=message.name,
        version=message.version,
        state=AddOnState.from_agent(message.state),
        message=message.message,
        log_tail=message.log_tail,
        attempts=message.attempts,
        retry_time=_time(message.retry_time) if message.HasField("retry_time") else None,
        transition_time=(
            _time(message.transition_time) if message.HasField("transition_time") else None
        ),
        depends_on=tuple(message.depends_on),
    )


def _app(message: report_pb2.AppStatus) -> reports.AppStatus:
    return reports.AppStatus(
        namespace=message.namespace,
        app=message.app,
        app_uid=message.app_uid,
        revision=message.revision,
        state=workloads.State.from_agent(message.state),
        reason=message.reason,
        message=message.message,
        services=tuple(_service(item) for item in message.services),
        observe_time=_time(message.observe_time) if message.HasField("observe_time") else None,
    )


def _guards(message: report_pb2.EnvironmentStatus) -> reports.EnvironmentStatus:
    return reports.EnvironmentStatus(
        uid=message.uid,
        guarded=message.guarded,
        reason=message.reason,
        message=message.message,
    )


def _time(timestamp: Timestamp) -> datetime | None:
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _status_code(code: int) -> StatusCode:
    try:
        return StatusCode(code)
    except ValueError:
        return StatusCode.UNKNOWN
