"""Deployments and revisions."""

from skerry.platform.v1 import app_pb2, deployment_pb2

from controlplane.api.convert import common
from controlplane.api.convert.apps import diagnostic, service_status
from controlplane.domain.apps import Revision
from controlplane.domain.deployments import Deployment


def deployment(value: Deployment) -> deployment_pb2.Deployment:
    """`platform.v1.Deployment`."""
    return deployment_pb2.Deployment(
        name=str(value.name),
        revision=value.revision,
        phase=common.enum_value(deployment_pb2.DeploymentPhase, "DEPLOYMENT_PHASE", value.phase),
        message=value.message,
        reason=value.reason,
        services=[service_status(item) for item in value.services],
        diagnostics=[diagnostic(item) for item in value.diagnostics],
        objects_applied=value.objects_applied,
        objects_total=value.objects_total,
        operation=str(value.operation),
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        end_time=common.timestamp(value.end_time),
    )


def deployment_event(value: Deployment | None) -> deployment_pb2.WatchDeploymentResponse:
    """One event of WatchDeployment; None is a heartbeat."""
    return deployment_pb2.WatchDeploymentResponse(deployment=deployment(value) if value else None)


def revision(value: Revision) -> deployment_pb2.Revision:
    """`platform.v1.Revision`; without the values of variables, which the domain object does not have either."""
    return deployment_pb2.Revision(
        name=str(value.name),
        revision=value.name.revision,
        files=[app_pb2.BundleFile(path=file.path, content=file.content) for file in value.files],
        compose_files=value.compose_files,
        variable_names=[source.key for source in value.variables],
        variables=[
            deployment_pb2.RevisionVariable(
                key=source.key,
                secret=source.secret,
                source=f"{source.scope}/variables/{source.key}" if source.scope else "",
                version=source.version,
            )
            for source in value.variables
        ],
        was_ready=value.was_ready,
        create_time=common.timestamp(value.create_time),
    )
