"""Two tenants on one control plane, and callers with each role in the first. Used by the tests of who may do what."""

from dataclasses import dataclass
from typing import Any

import grpc
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    environment_pb2,
    environment_pb2_grpc,
    member_pb2,
    member_pb2_grpc,
    organization_pb2,
    organization_pb2_grpc,
    project_pb2,
    project_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)

from controlplane.domain.access import BUILT_IN_ROLES
from tests.integration.controlplane.harness import Client, Plane, bundle

PASSWORD = "a long enough passphrase"
ROLES = tuple(BUILT_IN_ROLES)


@dataclass(frozen=True)
class Tenant:
    """An organization with a project, an environment and an app, and what working on them left."""

    organization: str
    operation: str

    @property
    def project(self) -> str:
        return f"{self.organization}/projects/shop"

    @property
    def environment(self) -> str:
        return f"{self.project}/environments/prod"

    @property
    def app(self) -> str:
        return f"{self.environment}/apps/web"


async def tenant(plane: Plane, name: str, cluster: str = "clusters/home") -> Tenant:
    """Makes one, as the administrator."""
    organization = f"organizations/{name}"
    await plane.stub(organization_pb2_grpc.OrganizationServiceStub).CreateOrganization(
        organization_pb2.CreateOrganizationRequest(organization_id=name)
    )
    await plane.stub(project_pb2_grpc.ProjectServiceStub).CreateProject(
        project_pb2.CreateProjectRequest(parent=organization, project_id="shop")
    )
    await plane.stub(environment_pb2_grpc.EnvironmentServiceStub).CreateEnvironment(
        environment_pb2.CreateEnvironmentRequest(
            parent=f"{organization}/projects/shop", environment_id="prod", cluster=cluster
        )
    )
    deployed = await plane.stub(app_pb2_grpc.AppServiceStub).DeployApp(
        app_pb2.DeployAppRequest(
            parent=f"{organization}/projects/shop/environments/prod",
            app_id="web",
            bundle=bundle(),
        )
    )
    return Tenant(organization, deployed.operation.name)


async def person(plane: Plane, name: str, **roles: str) -> str:
    """Makes a user with these roles (`role=resource`) and logs in; the session's token."""
    await plane.stub(user_pb2_grpc.UserServiceStub).CreateUser(
        user_pb2.CreateUserRequest(user_id=name, password=PASSWORD)
    )
    for role, resource in roles.items():
        await grant(plane, f"users/{name}", role, resource)
    return await login(plane, name)


async def grant(plane: Plane, subject: str, role: str, resource: str) -> None:
    await plane.stub(member_pb2_grpc.MemberServiceStub).GrantRole(
        member_pb2.GrantRoleRequest(resource=resource, subject=subject, role=role)
    )


async def login(plane: Plane, name: str, password: str = PASSWORD) -> str:
    answer = await session_pb2_grpc.SessionServiceStub(plane.channel).Login(
        session_pb2.LoginRequest(user=name, password=password)
    )
    secret: str = answer.secret
    return secret


def as_(plane: Plane, token: str, stub: Any) -> Client:
    """A stub whose calls carry this token."""
    return Client(stub(plane.channel), metadata(token))


def metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def code_of(call: Any) -> grpc.StatusCode:
    """How a call ends; of a stream, how its first message or end comes."""
    try:
        if hasattr(call, "__aiter__"):
            async for _message in call:
                call.cancel()
                break
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
