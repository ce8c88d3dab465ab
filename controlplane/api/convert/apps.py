"""Apps, their services and pods, bundles and plans."""

from skerry.platform.v1 import app_pb2, state_pb2

from controlplane.api.convert import common
from controlplane.api.convert.operations import operation
from controlplane.domain.apps import App, Bundle, DeployStarted, SourceFile
from controlplane.domain.requests import WatchEvent
from controlplane.domain.workloads import (
    Binding,
    CheckedService,
    CheckResult,
    Diagnostic,
    ObjectChange,
    PlanResult,
    PodStatus,
    ServiceStatus,
    Volume,
)


def app(value: App) -> app_pb2.App:
    """`platform.v1.App`."""
    return app_pb2.App(
        name=str(value.name),
        uid=value.uid,
        state=common.state(value.state),
        conditions=[common.condition(item) for item in value.conditions],
        wanted_revision=value.wanted_revision,
        serving_revision=value.serving_revision,
        services=[service_status(item) for item in value.services],
        observe_time=common.timestamp(value.observe_time),
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
    )


def app_event(event: WatchEvent[App]) -> app_pb2.WatchAppsResponse:
    """One event of WatchApps."""
    return app_pb2.WatchAppsResponse(
        type=common.event_type(event.type),
        app=common.event_resource(event, app, lambda name, uid: app_pb2.App(name=name, uid=uid)),
        resume_token=event.resume_token,
    )


def bundle(message: app_pb2.Bundle) -> Bundle:
    """The compose project of a request, as sent; the service checks it."""
    return Bundle(
        compose_files=tuple(message.compose_files),
        files=tuple(SourceFile(path=file.path, content=file.content) for file in message.files),
        variables=dict(message.variables),
        default_variables=dict(message.default_variables),
    )


def deploy_started(value: DeployStarted) -> app_pb2.DeployAppResponse:
    """The answer to DeployApp."""
    return app_pb2.DeployAppResponse(
        operation=operation(value.operation),
        deployment=str(value.deployment),
        revision=value.revision,
    )


def rollback_started(value: DeployStarted) -> app_pb2.RollbackAppResponse:
    """The answer to RollbackApp."""
    return app_pb2.RollbackAppResponse(
        operation=operation(value.operation),
        deployment=str(value.deployment),
        revision=value.revision,
    )


def plan(value: PlanResult) -> app_pb2.PlanAppResponse:
    """The answer to PlanApp."""
    return app_pb2.PlanAppResponse(
        rejected=value.rejected,
        diagnostics=[diagnostic(item) for item in value.diagnostics],
        changes=[_change(item) for item in value.changes],
        manifests=value.manifests,
        public_service=value.public_service,
        public_service_reason=value.public_service_reason,
        public_port=value.public_port,
        public_host=value.public_host,
        services=[_checked_service(item) for item in value.services],
        volumes=[_volume(item) for item in value.volumes],
        bindings=[_binding(item) for item in value.bindings],
    )


def check(value: CheckResult) -> app_pb2.CheckAppResponse:
    """The answer to CheckApp."""
    return app_pb2.CheckAppResponse(
        rejected=value.rejected,
        diagnostics=[diagnostic(item) for item in value.diagnostics],
        services=[_checked_service(item) for item in value.services],
        public_service=value.public_service,
        public_service_reason=value.public_service_reason,
        public_port=value.public_port,
        public_host=value.public_host,
        volumes=[_volume(item) for item in value.volumes],
        bindings=[_binding(item) for item in value.bindings],
    )


def service_status(value: ServiceStatus) -> app_pb2.ServiceStatus:
    """`platform.v1.ServiceStatus`."""
    return app_pb2.ServiceStatus(
        service=value.service,
        state=common.state(value.state),
        message=value.message,
        reason=value.reason,
        desired=value.desired,
        ready=value.ready,
        pods=[_pod(item) for item in value.pods],
        image=value.image,
        kind=value.kind,
    )


def diagnostic(value: Diagnostic) -> state_pb2.Diagnostic:
    """`platform.v1.Diagnostic`."""
    return state_pb2.Diagnostic(
        file=value.file,
        line=value.line,
        column=value.column,
        end_line=value.end_line,
        end_column=value.end_column,
        severity=common.enum_value(state_pb2.Severity, "SEVERITY", value.severity),
        code=value.code,
        path=value.path,
        message=value.message,
        hint=value.hint,
        via=value.via,
    )


def _checked_service(value: CheckedService) -> app_pb2.CheckedService:
    return app_pb2.CheckedService(
        service=value.service,
        host_name=value.host_name,
        kind=value.kind,
        image=value.image,
        replicas=value.replicas,
        ports=[
            app_pb2.FoundPort(
                port=port.port,
                protocol=port.protocol,
                source=port.source,
                published=port.published,
                http=port.http,
            )
            for port in value.ports
        ],
        depends_on=value.depends_on,
        volumes=value.volumes,
        sleep_after_seconds=value.sleep_after_seconds,
    )


def _volume(value: Volume) -> app_pb2.Volume:
    return app_pb2.Volume(
        claim=value.claim,
        volume=value.volume,
        size=value.size,
        services=value.services,
        external=value.external,
    )


def _binding(value: Binding) -> app_pb2.Binding:
    return app_pb2.Binding(
        service=value.service,
        host_name=value.host_name,
        kind=value.kind,
        wanted=value.wanted,
        reason=value.reason,
        available=value.available,
        port=value.port,
        user=value.user,
        database=value.database,
    )


def _pod(value: PodStatus) -> app_pb2.PodStatus:
    return app_pb2.PodStatus(
        pod=value.pod,
        phase=value.phase,
        ready=value.ready,
        restarts=value.restarts,
        reason=value.reason,
        message=value.message,
        node=value.node,
        create_time=common.timestamp(value.create_time),
    )


def _change(value: ObjectChange) -> app_pb2.ObjectChange:
    return app_pb2.ObjectChange(
        api_version=value.api_version,
        kind=value.kind,
        object_name=value.object_name,
        action=common.enum_value(app_pb2.ChangeAction, "CHANGE_ACTION", value.action),
        diff=value.diff,
        message=value.message,
    )
