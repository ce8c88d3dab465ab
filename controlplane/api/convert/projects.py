"""Organizations, projects and environments."""

from skerry.platform.v1 import (
    environment_link_pb2,
    environment_pb2,
    organization_pb2,
    project_pb2,
)

from controlplane.api.convert import common
from controlplane.domain.people import Organization
from controlplane.domain.projects import Environment, EnvironmentLink, Project


def organization(value: Organization) -> organization_pb2.Organization:
    """`platform.v1.Organization`."""
    return organization_pb2.Organization(
        name=str(value.name),
        uid=value.uid,
        display_name=value.display_name,
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
    )


def project(value: Project) -> project_pb2.Project:
    """`platform.v1.Project`."""
    return project_pb2.Project(
        name=str(value.name),
        uid=value.uid,
        display_name=value.display_name,
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
    )


def environment(value: Environment) -> environment_pb2.Environment:
    """`platform.v1.Environment`."""
    return environment_pb2.Environment(
        name=str(value.name),
        uid=value.uid,
        display_name=value.display_name,
        cluster=str(value.cluster),
        namespace=value.namespace,
        protected=value.protected,
        state=common.state(value.state),
        conditions=[common.condition(item) for item in value.conditions],
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
    )


def environment_link(value: EnvironmentLink) -> environment_link_pb2.EnvironmentLink:
    """`platform.v1.EnvironmentLink`."""
    return environment_link_pb2.EnvironmentLink(
        name=str(value.name),
        peer=str(value.peer),
        create_time=common.timestamp(value.create_time),
        etag=value.etag,
    )
