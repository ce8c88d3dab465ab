"""Every method of the contract has a rule, and nothing but health and reflection is open."""

import importlib
import pkgutil
from types import ModuleType

import pytest
import skerry.agent.v1
import skerry.platform.v1
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from skerry.platform.v1 import rule_pb2

from controlplane.auth.rules import Access, permission_of, rules_for
from controlplane.domain.access import Permission


def services_of(package: ModuleType) -> list[ServiceDescriptor]:
    modules = (
        importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
        if module.name.endswith("_pb2")
    )
    return [
        service for module in modules for service in module.DESCRIPTOR.services_by_name.values()
    ]


PLATFORM = services_of(skerry.platform.v1)
AGENT = services_of(skerry.agent.v1)


def methods(services: list[ServiceDescriptor]) -> list[str]:
    return [
        f"/{service.full_name}/{method.name}" for service in services for method in service.methods
    ]


def test_the_walk_sees_the_contract() -> None:
    assert "/skerry.platform.v1.AppService/DeployApp" in methods(PLATFORM)
    assert methods(AGENT) == [
        "/skerry.agent.v1.EnrollmentService/Enroll",
        "/skerry.agent.v1.LinkService/Connect",
    ]


@pytest.mark.parametrize("method", methods(PLATFORM))
def test_every_method_of_the_platform_declares_its_rule(method: str) -> None:
    assert method in rules_for(PLATFORM), f"{method} has no `option (rule)` in its proto"


# Whoever calls these is not known yet. A new one must be put here by hand.
PUBLIC = {
    "/skerry.platform.v1.DeviceLoginService/PollDeviceLogin",
    "/skerry.platform.v1.DeviceLoginService/StartDeviceLogin",
    "/skerry.platform.v1.SessionService/CompleteSetup",
    "/skerry.platform.v1.SessionService/Login",
}


def test_only_what_one_logs_in_with_is_open() -> None:
    open_ones = {name for name, rule in rules_for(PLATFORM).items() if rule.access is Access.OPEN}
    assert open_ones == PUBLIC


@pytest.mark.parametrize("service", PLATFORM, ids=lambda service: service.name)
def test_rules_name_fields_that_exist_and_mutations_are_audited(service: ServiceDescriptor) -> None:
    rules = rules_for([service])
    for method in service.methods:
        rule = rules[f"/{service.full_name}/{method.name}"]
        for path in rule.resource:
            message = method.input_type
            for part in path.split("."):
                assert part in message.fields_by_name, f"{method.full_name}: no field {path}"
                message = message.fields_by_name[part].message_type
        if "request_id" in method.input_type.fields_by_name:
            assert rule.audited, f"{method.full_name} changes something and is not audited"


def test_permissions_are_the_contracts() -> None:
    known = {permission_of(number) for number in rule_pb2.Permission.values()}
    assert known == {None, *Permission}
    assert permission_of(10_000) is None


def test_a_method_that_declares_nothing_has_no_rule() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="forgotten.proto", package="skerry.platform.v1")
    file.message_type.add(name="Nothing")
    service = file.service.add(name="Forgotten")
    nothing = ".skerry.platform.v1.Nothing"
    service.method.add(name="Call", input_type=nothing, output_type=nothing)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    assert rules_for([pool.FindServiceByName("skerry.platform.v1.Forgotten")]) == {}


def test_agents_prove_themselves_in_the_request() -> None:
    assert {rule.access for rule in rules_for(AGENT).values()} == {Access.PROOF_IN_REQUEST}


def test_health_and_reflection_are_open() -> None:
    services = [
        *health_pb2.DESCRIPTOR.services_by_name.values(),
        *reflection_pb2.DESCRIPTOR.services_by_name.values(),
    ]
    assert {rule.access for rule in rules_for(services).values()} == {Access.OPEN}


def test_an_unknown_package_has_no_rule() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="elsewhere.proto", package="elsewhere.v1")
    file.message_type.add(name="Empty")
    service = file.service.add(name="Stranger")
    service.method.add(
        name="Call", input_type=".elsewhere.v1.Empty", output_type=".elsewhere.v1.Empty"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    assert rules_for([pool.FindServiceByName("elsewhere.v1.Stranger")]) == {}
