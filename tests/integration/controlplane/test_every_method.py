"""Every method of the contract by every role, on own and foreign tenant: allowed or refused as its rule says.

The methods come from the descriptors, so that a new one without a rule, or with a servicer that does not heed it, fails here.
"""

import importlib
import pkgutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
import skerry.platform.v1
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from controlplane.auth.rules import Access, Rule, rules_for
from controlplane.domain.access import BUILT_IN_ROLES, Permission
from tests.integration.controlplane.harness import PATIENCE, Plane, Worker, agent, control_plane
from tests.integration.controlplane.tenants import (
    ROLES,
    Tenant,
    code_of,
    login,
    metadata,
    person,
    tenant,
)

REFUSED = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}
BROKEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
NOT_FOUND = grpc.StatusCode.NOT_FOUND


def platform_methods() -> list[MethodDescriptor]:
    modules = [
        importlib.import_module(f"skerry.platform.v1.{module.name}")
        for module in pkgutil.iter_modules(skerry.platform.v1.__path__)
        if module.name.endswith("_pb2")
    ]
    return [
        method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


METHODS = platform_methods()
RULES = rules_for(
    {method.containing_service.full_name: method.containing_service for method in METHODS}.values()
)


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def resource_for(method: MethodDescriptor, field: str, home: Tenant) -> str:
    """A resource of the tenant of the kind that the method's field names."""
    service, name = method.containing_service.name, method.name
    by_service = {
        "AppService": home.environment if field == "parent" else home.app,
        "ClusterService": "clusters/home",
        "DeploymentService": home.app,
        "EnvironmentLinkService": home.environment + ("/links/l" if field == "name" else ""),
        "EnvironmentService": home.project if field == "parent" else home.environment,
        "LogService": home.app,
        "OperationService": home.app if field == "target" else home.operation,
        "OrganizationService": home.organization,
        "ProjectService": home.organization if field == "parent" else home.project,
        "TerminalService": home.app,
        "UserService": "users/nobody",
    }
    if service == "DeploymentService" and field == "name":
        return (
            f"{home.app}/revisions/1"
            if "Revision" in name
            else f"{home.app}/deployments/{'0' * 26}"
        )
    if service == "MemberService":
        if field == "resource":
            return home.project
        kinds = {"Group": "groups/g", "Role": "roles/r", "Account": "serviceAccounts/s"}
        if field == "parent" and "Token" not in name:
            return home.organization
        item = next((item for kind, item in kinds.items() if kind in name), "groups/g")
        return f"{home.organization}/{item}"
    return by_service.get(service, home.organization)


def request_for(method: MethodDescriptor, rule: Rule, home: Tenant) -> tuple[Message, str]:
    """A request that names the tenant's resource and nothing else, and the resource."""
    resource = ""
    request: Message = message_factory.GetMessageClass(method.input_type)()
    if rule.resource:
        field = rule.resource[0]
        target: Any = request
        *parents, last = field.split(".")
        for part in parents:
            target = getattr(target, part)
        resource = resource_for(method, last, home)
        setattr(target, last, resource)
    return request, resource


def invoke(plane: Plane, method: MethodDescriptor, request: Message, token: str) -> Any:
    output = message_factory.GetMessageClass(method.output_type)
    kind = (
        f"{'stream' if method.client_streaming else 'unary'}_"
        f"{'stream' if method.server_streaming else 'unary'}"
    )
    call = getattr(plane.channel, kind)(
        path_of(method),
        request_serializer=type(request).SerializeToString,
        response_deserializer=output.FromString,
    )
    options = {"metadata": metadata(token), "timeout": PATIENCE}
    return call(iter([request]) if method.client_streaming else request, **options)


# Begins a login that somebody must approve: anybody may.
STRANGERS = "StartDeviceLogin"


def expected(rule: Rule, role: str, *, own: bool, resource: str) -> set[grpc.StatusCode] | None:
    """The codes that a refusal may have; None when the caller is to be admitted."""
    if rule.access is Access.OPEN:
        # Anybody may ask; an empty request proves nothing, and who tries too often is made to wait.
        return {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    if rule.access is not Access.PERMISSION:
        return None
    held = BUILT_IN_ROLES[role]
    on_platform = not rule.resource or resource.startswith(("clusters/", "users/"))
    if rule.filtered and not rule.resource:
        return None
    if on_platform:
        return {NOT_FOUND} if rule.resource else REFUSED
    if not own:
        return {NOT_FOUND}
    return None if rule.permission in held else REFUSED


# What ends the tenant comes last. Logout ends what it is called with, and gets a session of its own.
LAST = ("DeleteOrganization",)


async def test_every_method_every_role_own_and_foreign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    async with (
        control_plane(tmp_path / "data") as plane,
        agent(plane, Worker(), tmp_path / "agent"),
    ):
        foreign = await tenant(plane, "other")
        for role in ROLES:
            # Each role gets a tenant of its own: an owner's calls delete things.
            home = await tenant(plane, f"own-{role}")
            token = await person(plane, f"a-{role}", **{role: home.organization})
            for method in sorted(METHODS, key=lambda method: method.name in LAST):
                for place in (home, foreign):
                    own = place is home
                    rule = RULES[path_of(method)]
                    request, resource = request_for(method, rule, place)
                    secret = token
                    if method.name == "Logout":
                        secret = await login(plane, f"a-{role}")
                    code = await code_of(invoke(plane, method, request, secret))
                    refusal = (
                        None
                        if method.name == STRANGERS
                        else expected(rule, role, own=own, resource=resource)
                    )
                    ok = code not in REFUSED if refusal is None else code in refusal
                    case = f"{role:10} {'own' if own else 'foreign'}"
                    counts[f"{case:18} {'admitted' if refusal is None else 'refused'}"] += 1
                    if not ok or code in BROKEN:
                        wrong.append(f"{case} {path_of(method)}: {code.name}")
    with capsys.disabled():
        report = [f"{case}: {count}" for case, count in sorted(counts.items())]
        head = f"{len(METHODS)} methods, {len(ROLES)} roles, 2 tenants: {counts.total()} calls"
        sys.stdout.write("\n  ".join(["", head, *report]) + "\n")
    assert wrong == []


async def test_without_a_token_nothing_but_the_login_is_admitted(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        for method in METHODS:
            request = message_factory.GetMessageClass(method.input_type)()
            code = await code_of(invoke(plane, method, request, ""))
            open_one = RULES[path_of(method)].access is Access.OPEN
            assert (code is grpc.StatusCode.UNAUTHENTICATED) or open_one, path_of(method)


def test_viewers_read_and_nothing_else() -> None:
    reading = {
        Permission.RESOURCES_READ,
        Permission.LOGS_READ,
        Permission.MEMBERS_READ,
        Permission.VARIABLES_READ,
    }
    changing = {rule.permission for rule in RULES.values() if rule.audited}
    assert not reading & changing
