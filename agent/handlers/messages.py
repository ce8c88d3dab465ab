"""agent.v1 messages ↔ the dataclasses of `agent.workloads`. Only handlers use this."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from skerry.agent.v1 import command_pb2, report_pb2, stream_pb2

from agent.compose import BindingFact, Diagnostic, Plan, PortFact, ServiceFacts, VolumeFacts
from agent.workloads.logfollow import LogQuery, RunCursor
from agent.workloads.loglines import Cursor
from agent.workloads.model import (
    AppStatus,
    DeployProgress,
    DeployRequest,
    EnvironmentSpec,
    GuardStatus,
    LinkedEnvironment,
    ObjectChange,
    Outcome,
    PodStatus,
    Preview,
    RemoveRequest,
    ServiceStatus,
)

DEFAULT_PROGRESS_DEADLINE = 600.0


def environment_from(message: command_pb2.EnvironmentSpec) -> EnvironmentSpec:
    return EnvironmentSpec(
        namespace=message.namespace,
        uid=message.uid,
        organization=message.organization,
        project=message.project,
        environment=message.environment,
        links=tuple(LinkedEnvironment(link.namespace, link.uid) for link in message.links),
        generation=message.generation,
    )


def deploy_from(message: command_pb2.DeployApp) -> DeployRequest:
    return DeployRequest(
        environment=environment_from(message.environment),
        app=message.app,
        app_uid=message.app_uid,
        revision=message.revision,
        deployment=message.deployment,
        compose_files=tuple(message.compose_files),
        files={file.path: file.content for file in message.files},
        variables=dict(message.variables),
        progress_deadline=float(message.progress_deadline_seconds or DEFAULT_PROGRESS_DEADLINE),
    )


def remove_from(message: command_pb2.DeleteApp) -> RemoveRequest:
    return RemoveRequest(
        environment=environment_from(message.environment),
        app=message.app,
        app_uid=message.app_uid,
        delete_volumes=message.delete_volumes,
    )


def log_query_from(message: stream_pb2.OpenLogs) -> LogQuery:
    since = None
    if message.HasField("since_time"):
        since = message.since_time.ToDatetime(tzinfo=UTC)
    return LogQuery(
        namespace=message.namespace,
        app=message.app,
        services=frozenset(message.services),
        follow=message.follow,
        since=since,
        tail_lines=message.tail_lines if message.HasField("tail_lines") else None,
        previous=message.previous,
        cursors={
            (cursor.pod, cursor.container): RunCursor(
                pod_uid=cursor.pod_uid,
                restarts=cursor.restarts,
                line=Cursor(cursor.time.encode(), cursor.lines_at_time),
            )
            for cursor in message.cursors
        },
    )


def outcome_to(outcome: Outcome) -> command_pb2.CommandResult:
    result = command_pb2.CommandResult(
        code=outcome.code, reason=outcome.reason, message=outcome.message
    )
    if outcome.progress is not None:
        result.deploy.CopyFrom(progress_to(outcome.progress))
    return result


def progress_to(progress: DeployProgress) -> command_pb2.DeployProgress:
    return command_pb2.DeployProgress(
        phase=progress.phase.value,
        services=_services_to(progress.services),
        diagnostics=_diagnostics_to(progress.diagnostics),
        objects_applied=progress.objects_applied,
        objects_total=progress.objects_total,
    )


def app_status_to(status: AppStatus) -> report_pb2.AppStatus:
    """Without `observe_time`: the board takes the same status again for no news."""
    return report_pb2.AppStatus(
        namespace=status.namespace,
        app=status.app,
        app_uid=status.app_uid,
        revision=status.revision,
        state=status.state.value,
        reason=status.reason,
        message=status.message,
        services=_services_to(status.services),
    )


def guard_status_to(status: GuardStatus) -> report_pb2.EnvironmentStatus:
    message = report_pb2.EnvironmentStatus(
        namespace=status.environment.namespace,
        uid=status.environment.uid,
        guarded=status.guarded,
        reason=status.reason,
        message=status.message,
        repairs=status.repairs,
        generation=status.environment.generation,
    )
    if status.repair_time is not None:
        message.repair_time.FromDatetime(status.repair_time)
    return message


def preview_to(preview: Preview) -> stream_pb2.PlanResult:
    return stream_pb2.PlanResult(
        rejected=preview.rejected,
        diagnostics=_diagnostics_to(preview.diagnostics),
        changes=[_change_to(change) for change in preview.changes],
        manifests=preview.manifests,
        public_service=preview.public.service if preview.public else "",
        public_service_reason=preview.public.reason if preview.public else "",
        public_port=(preview.public.port or 0) if preview.public else 0,
        public_host=preview.public.host if preview.public else "",
        services=[_checked_service_to(one) for one in preview.services],
        volumes=[_volume_to(one) for one in preview.volumes],
        bindings=[_binding_to(one) for one in preview.bindings],
    )


def check_result_to(plan: Plan) -> stream_pb2.CheckResult:
    return stream_pb2.CheckResult(
        rejected=plan.rejected,
        diagnostics=_diagnostics_to(plan.diagnostics),
        services=[_checked_service_to(one) for one in plan.services],
        public_service=plan.public.service if plan.public else "",
        public_service_reason=plan.public.reason if plan.public else "",
        public_port=(plan.public.port or 0) if plan.public else 0,
        public_host=plan.public.host if plan.public else "",
        volumes=[_volume_to(one) for one in plan.volumes],
        bindings=[_binding_to(one) for one in plan.bindings],
    )


def _checked_service_to(service: ServiceFacts) -> stream_pb2.CheckedService:
    return stream_pb2.CheckedService(
        service=service.original_name,
        host_name=service.name,
        kind=service.workload.value,
        image=service.image,
        replicas=service.replicas,
        ports=[_found_port_to(port) for port in service.ports],
        depends_on=service.depends_on,
        volumes=service.volumes,
        sleep_after_seconds=service.sleep_after,
    )


def _found_port_to(port: PortFact) -> stream_pb2.FoundPort:
    return stream_pb2.FoundPort(
        port=port.port,
        protocol=port.protocol,
        source=port.source.value,
        published=port.published,
        http=port.http,
    )


def _volume_to(volume: VolumeFacts) -> stream_pb2.Volume:
    return stream_pb2.Volume(
        claim=volume.claim,
        volume=volume.original_name,
        size=volume.size,
        services=volume.services,
        external=volume.external,
    )


def _binding_to(binding: BindingFact) -> stream_pb2.Binding:
    return stream_pb2.Binding(
        service=binding.original_name,
        host_name=binding.service,
        kind=binding.kind.value,
        wanted=binding.wanted,
        reason=binding.reason,
        available=binding.available,
        port=binding.port,
        user=binding.user,
        database=binding.database,
    )


def _services_to(services: Sequence[ServiceStatus]) -> list[command_pb2.ServiceStatus]:
    return [
        command_pb2.ServiceStatus(
            service=one.service,
            state=one.state.value,
            reason=one.reason,
            message=one.message,
            desired=one.desired,
            ready=one.ready,
            pods=[_pod_to(pod) for pod in one.pods],
            image=one.image,
            kind=one.kind,
        )
        for one in services
    ]


def _pod_to(pod: PodStatus) -> command_pb2.PodStatus:
    message = command_pb2.PodStatus(
        pod=pod.pod,
        phase=pod.phase,
        ready=pod.ready,
        restarts=pod.restarts,
        reason=pod.reason,
        message=pod.message,
        node=pod.node,
    )
    if pod.created is not None:
        message.create_time.FromDatetime(pod.created)
    return message


def _diagnostics_to(diagnostics: Sequence[Diagnostic]) -> list[command_pb2.Diagnostic]:
    return [
        command_pb2.Diagnostic(
            file=one.file,
            line=one.line,
            column=one.column,
            end_line=one.end_line,
            end_column=one.end_column,
            severity=one.severity.value,
            code=one.code,
            path=one.path,
            message=one.message,
            hint=one.hint,
            via=one.via,
        )
        for one in diagnostics
    ]


def _change_to(change: ObjectChange) -> stream_pb2.ObjectChange:
    return stream_pb2.ObjectChange(
        api_version=change.api_version,
        kind=change.kind,
        object_name=change.name,
        action=change.action.value,
        diff=change.diff,
        message=change.message,
    )
