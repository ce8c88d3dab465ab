"""Users, tokens, roles, groups, service accounts."""

from collections.abc import Iterable

from skerry.platform.v1 import device_login_pb2, member_pb2, rule_pb2, session_pb2, user_pb2

from controlplane.api.convert import common
from controlplane.auth.rules import permission_of
from controlplane.domain.access import BUILT_IN_ROLES, Grants, Permission, Permissions
from controlplane.domain.devices import DeviceLogin
from controlplane.domain.errors import InvalidField
from controlplane.domain.people import (
    CustomRole,
    Group,
    LinkedIdentity,
    RoleBinding,
    ServiceAccount,
    User,
)
from controlplane.domain.tokens import ApiToken


def user(value: User) -> user_pb2.User:
    """`platform.v1.User`: never the password's hash."""
    return user_pb2.User(
        name=value.name,
        uid=value.uid,
        display_name=value.display_name,
        email=value.email,
        disabled=value.disabled,
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
    )


def identity(value: LinkedIdentity) -> user_pb2.Identity:
    """`platform.v1.Identity`."""
    return user_pb2.Identity(
        issuer=value.issuer,
        subject=value.subject,
        create_time=common.timestamp(value.create_time),
        last_login_time=common.timestamp(value.last_login_time),
    )


def device_login(value: DeviceLogin) -> device_login_pb2.DeviceLogin:
    """`platform.v1.DeviceLogin`."""
    return device_login_pb2.DeviceLogin(
        user_code=value.user_code,
        client=value.client,
        address=value.address,
        create_time=common.timestamp(value.create_time),
        expire_time=common.timestamp(value.expire_time),
    )


def token(value: ApiToken) -> session_pb2.Token:
    """`platform.v1.Token`."""
    return session_pb2.Token(
        name=value.name,
        display_name=value.display_name,
        kind=common.enum_value(session_pb2.TokenKind, "TOKEN_KIND", value.kind),
        scope=value.scope,
        permissions=permissions(value.permissions or ()),
        create_time=common.timestamp(value.create_time),
        expire_time=common.timestamp(value.expire_time),
        last_use_time=common.timestamp(value.last_use_time),
    )


def grants(value: Grants) -> list[session_pb2.Grant]:
    """One for each resource, by name."""
    scopes = sorted({grant.scope for grant in value.grants})
    return [
        session_pb2.Grant(resource=scope, permissions=permissions(value.at(scope)))
        for scope in scopes
    ]


def permissions(values: Iterable[Permission]) -> "list[rule_pb2.Permission.ValueType]":
    """In the order of their numbers."""
    return sorted(
        rule_pb2.Permission.Value(f"PERMISSION_{item.value.replace('.', '_').upper()}")
        for item in values
    )


def wanted_permissions(values: Iterable[int], field: str = "permissions") -> Permissions:
    """Raises InvalidField for one that this server does not know."""
    found = {permission_of(value) for value in values}
    if None in found:
        raise InvalidField.of(field, "holds something that is no permission here")
    return frozenset(item for item in found if item is not None)


def binding(value: RoleBinding) -> member_pb2.RoleBinding:
    """`platform.v1.RoleBinding`."""
    return member_pb2.RoleBinding(
        resource=value.scope,
        subject=value.subject,
        role=value.role,
        origin=value.origin,
        create_time=common.timestamp(value.create_time),
    )


def group(value: Group) -> member_pb2.Group:
    """`platform.v1.Group`."""
    return member_pb2.Group(
        name=value.name,
        uid=value.uid,
        display_name=value.display_name,
        members=value.members,
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
    )


def role(value: CustomRole) -> member_pb2.Role:
    """`platform.v1.Role` of an organization's own."""
    return member_pb2.Role(
        name=value.name,
        uid=value.uid,
        display_name=value.display_name,
        permissions=permissions(value.permissions),
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
    )


def built_in_roles() -> list[member_pb2.Role]:
    """From the least to the most."""
    return [
        member_pb2.Role(name=name, display_name=name, permissions=permissions(held), built_in=True)
        for name, held in BUILT_IN_ROLES.items()
    ]


def service_account(value: ServiceAccount) -> member_pb2.ServiceAccount:
    """`platform.v1.ServiceAccount`."""
    return member_pb2.ServiceAccount(
        name=value.name,
        uid=value.uid,
        display_name=value.display_name,
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
    )
