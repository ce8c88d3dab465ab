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

from controlplane.auth.rules import Rule, rules_for


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
def test_the_platform_needs_a_token(method: str) -> None:
    assert rules_for(PLATFORM)[method] is Rule.ANY_TOKEN


def test_agents_prove_themselves_in_the_request() -> None:
    assert set(rules_for(AGENT).values()) == {Rule.PROOF_IN_REQUEST}


def test_health_and_reflection_are_open() -> None:
    services = [
        *health_pb2.DESCRIPTOR.services_by_name.values(),
        *reflection_pb2.DESCRIPTOR.services_by_name.values(),
    ]
    assert set(rules_for(services).values()) == {Rule.OPEN}


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
