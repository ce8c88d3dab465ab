"""Which servicer answers for which service of the contract. Called by `app.py` with the servicers it constructed."""

from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from skerry.agent.v1 import enrollment_pb2, enrollment_pb2_grpc, link_pb2, link_pb2_grpc
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    cluster_pb2,
    cluster_pb2_grpc,
    deployment_pb2,
    deployment_pb2_grpc,
    device_login_pb2,
    device_login_pb2_grpc,
    environment_link_pb2,
    environment_link_pb2_grpc,
    environment_pb2,
    environment_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
    member_pb2,
    member_pb2_grpc,
    operation_pb2,
    operation_pb2_grpc,
    organization_pb2,
    organization_pb2_grpc,
    project_pb2,
    project_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    terminal_pb2,
    terminal_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
    variable_pb2,
    variable_pb2_grpc,
)

from controlplane.api.server import Registration


def platform(
    *,
    audit: audit_pb2_grpc.AuditServiceServicer,
    apps: app_pb2_grpc.AppServiceServicer,
    clusters: cluster_pb2_grpc.ClusterServiceServicer,
    device_logins: device_login_pb2_grpc.DeviceLoginServiceServicer,
    deployments: deployment_pb2_grpc.DeploymentServiceServicer,
    environment_links: environment_link_pb2_grpc.EnvironmentLinkServiceServicer,
    environments: environment_pb2_grpc.EnvironmentServiceServicer,
    logs: log_pb2_grpc.LogServiceServicer,
    operations: operation_pb2_grpc.OperationServiceServicer,
    organizations: organization_pb2_grpc.OrganizationServiceServicer,
    projects: project_pb2_grpc.ProjectServiceServicer,
    server: server_pb2_grpc.ServerServiceServicer,
    members: member_pb2_grpc.MemberServiceServicer,
    sessions: session_pb2_grpc.SessionServiceServicer,
    terminals: terminal_pb2_grpc.TerminalServiceServicer,
    users: user_pb2_grpc.UserServiceServicer,
    variables: variable_pb2_grpc.VariableServiceServicer,
) -> list[Registration]:
    """All of `skerry.platform.v1`."""
    return [
        Registration(
            _service(app_pb2, "AppService"),
            apps,
            app_pb2_grpc.add_AppServiceServicer_to_server,
        ),
        Registration(
            _service(cluster_pb2, "ClusterService"),
            clusters,
            cluster_pb2_grpc.add_ClusterServiceServicer_to_server,
        ),
        Registration(
            _service(deployment_pb2, "DeploymentService"),
            deployments,
            deployment_pb2_grpc.add_DeploymentServiceServicer_to_server,
        ),
        Registration(
            _service(environment_link_pb2, "EnvironmentLinkService"),
            environment_links,
            environment_link_pb2_grpc.add_EnvironmentLinkServiceServicer_to_server,
        ),
        Registration(
            _service(environment_pb2, "EnvironmentService"),
            environments,
            environment_pb2_grpc.add_EnvironmentServiceServicer_to_server,
        ),
        Registration(
            _service(log_pb2, "LogService"),
            logs,
            log_pb2_grpc.add_LogServiceServicer_to_server,
        ),
        Registration(
            _service(operation_pb2, "OperationService"),
            operations,
            operation_pb2_grpc.add_OperationServiceServicer_to_server,
        ),
        Registration(
            _service(organization_pb2, "OrganizationService"),
            organizations,
            organization_pb2_grpc.add_OrganizationServiceServicer_to_server,
        ),
        Registration(
            _service(project_pb2, "ProjectService"),
            projects,
            project_pb2_grpc.add_ProjectServiceServicer_to_server,
        ),
        Registration(
            _service(server_pb2, "ServerService"),
            server,
            server_pb2_grpc.add_ServerServiceServicer_to_server,
        ),
        Registration(
            _service(variable_pb2, "VariableService"),
            variables,
            variable_pb2_grpc.add_VariableServiceServicer_to_server,
        ),
        Registration(
            _service(terminal_pb2, "TerminalService"),
            terminals,
            terminal_pb2_grpc.add_TerminalServiceServicer_to_server,
        ),
        Registration(
            _service(audit_pb2, "AuditService"),
            audit,
            audit_pb2_grpc.add_AuditServiceServicer_to_server,
        ),
        Registration(
            _service(device_login_pb2, "DeviceLoginService"),
            device_logins,
            device_login_pb2_grpc.add_DeviceLoginServiceServicer_to_server,
        ),
        Registration(
            _service(member_pb2, "MemberService"),
            members,
            member_pb2_grpc.add_MemberServiceServicer_to_server,
        ),
        Registration(
            _service(session_pb2, "SessionService"),
            sessions,
            session_pb2_grpc.add_SessionServiceServicer_to_server,
        ),
        Registration(
            _service(user_pb2, "UserService"),
            users,
            user_pb2_grpc.add_UserServiceServicer_to_server,
        ),
    ]


def agents(
    *,
    enrollment: enrollment_pb2_grpc.EnrollmentServiceServicer,
    link: link_pb2_grpc.LinkServiceServicer,
) -> list[Registration]:
    """All of `skerry.agent.v1`."""
    return [
        Registration(
            _service(enrollment_pb2, "EnrollmentService"),
            enrollment,
            enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server,
        ),
        Registration(
            _service(link_pb2, "LinkService"),
            link,
            link_pb2_grpc.add_LinkServiceServicer_to_server,
        ),
    ]


def _service(module: Any, name: str) -> ServiceDescriptor:
    service: ServiceDescriptor = module.DESCRIPTOR.services_by_name[name]
    return service
