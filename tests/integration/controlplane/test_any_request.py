"""Whatever a request holds, no unary method of the contract answers INTERNAL or UNKNOWN."""

import string
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.controlplane.harness import Worker, agent, control_plane
from tests.integration.controlplane.tenants import Tenant, code_of, tenant
from tests.integration.controlplane.test_every_method import BROKEN, METHODS, invoke, path_of

EXAMPLES = 15
_DEPTH = 3
UNARY = [item for item in METHODS if not item.client_streaming and not item.server_streaming]
# Ends the login that the fuzz itself calls with.
LEFT_OUT = {"Logout"}

NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
}


def texts(home: Tenant) -> st.SearchStrategy[str]:
    """Names that exist, names that nearly do, and anything."""
    names = [
        *("", "-", "users/admin", "users/anne", "clusters/home", "owner", "../..", "sky_x", "\0"),
        *(home.organization, home.project, home.environment, home.app, home.operation),
        f"{home.app}/revisions/1",
        f"{home.app}/deployments/{'0' * 26}",
        f"{home.organization}/groups/ops",
        f"{home.organization}/roles/r",
        f"users/admin/tokens/{'0' * 26}",
        "00000000-0000-0000-0000-000000000001",
        "compose.yml",
        "web",
    ]
    characters = st.characters(exclude_categories=("Cs",))
    return st.one_of(
        st.sampled_from(names),
        st.text(characters, max_size=40),
        st.text(string.ascii_lowercase + "-/", max_size=60),
        st.text("a", min_size=500, max_size=600),
    )


def values(field: FieldDescriptor, text: st.SearchStrategy[str], depth: int) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return st.binary(max_size=60) if field.type == FieldDescriptor.TYPE_BYTES else text
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return st.integers(-3, 40)
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return messages(field.message_type, text, depth - 1)
    return NUMBERS[field.cpp_type]


def messages(
    descriptor: Descriptor, text: st.SearchStrategy[str], depth: int = _DEPTH
) -> st.SearchStrategy[Message]:
    """Messages of a type, with some fields set."""
    fields = {
        field.name: st.lists(values(field, text, depth), max_size=3)
        if field.is_repeated
        else values(field, text, depth)
        for field in descriptor.fields
        if depth > 0 or field.message_type is None
        if not (field.message_type and field.message_type.GetOptions().map_entry)
    }
    return st.fixed_dictionaries({}, optional=fields).map(
        lambda chosen: message_factory.GetMessageClass(descriptor)(**chosen)
    )


@pytest.mark.timeout(300)
async def test_no_request_breaks_a_method(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path / "data") as plane,
        agent(plane, Worker(), tmp_path / "agent"),
    ):
        home = await tenant(plane, "acme")
        broken: list[str] = []
        for method in UNARY:
            if method.name not in LEFT_OUT:
                for request in requests_for(method, home):
                    code = await code_of(invoke(plane, method, request, plane.token))
                    if code in BROKEN:
                        broken.append(f"{path_of(method)}: {code.name} for {str(request)[:300]!r}")
                        break
        assert broken == []


def requests_for(method: MethodDescriptor, home: Tenant) -> list[Message]:
    """Drawn beforehand: hypothesis runs functions, and the calls are made in the loop of the control plane."""
    found: list[Message] = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(messages(method.input_type, texts(home)))
    def draw(request: Message) -> None:
        found.append(request)

    draw()
    return found
