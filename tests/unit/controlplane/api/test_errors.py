"""Each error reason of the contract has a code, and what travels in trailers stays small."""

import base64
import re
from pathlib import Path

import pytest
from google.rpc import error_details_pb2
from skerry.platform.v1 import error_pb2

from controlplane.api import errors
from controlplane.domain import errors as domain

PROTO = Path(__file__).parents[4] / "proto/skerry/platform/v1/error.proto"
REASONS = {
    name.removeprefix("ERROR_REASON_")
    for name in error_pb2.ErrorReason.keys()  # noqa: SIM118 - an enum wrapper, not a dict
    if name != "ERROR_REASON_UNSPECIFIED"
}


def error_classes(
    base: type[domain.SkerryError] = domain.SkerryError,
) -> list[type[domain.SkerryError]]:
    direct = base.__subclasses__()
    return [*direct, *(deeper for cls in direct for deeper in error_classes(cls))]


CLASSES = {cls.reason: cls for cls in error_classes() if cls is not domain.RemoteError}


def documented_codes() -> dict[str, set[str]]:
    """The codes that the comment above each reason names."""
    found = re.findall(
        r"// .*?\(([A-Z_ or]+?)(?:, with .*?)?\)\.\n\s+ERROR_REASON_(\w+) =", PROTO.read_text()
    )
    return {reason: set(codes.split(" or ")) for codes, reason in found}


def test_every_reason_has_an_error_and_no_error_has_another_reason() -> None:
    assert set(CLASSES) == REASONS


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_a_reason_has_the_code_that_the_contract_documents(reason: str) -> None:
    assert CLASSES[reason].code.name in documented_codes()[reason]


def make(cls: type[domain.SkerryError], text: str) -> domain.SkerryError:
    if cls is domain.InvalidField:
        return domain.InvalidField([domain.FieldViolation(text, text)] * 500)
    return cls(text)


@pytest.mark.parametrize("reason", sorted(REASONS))
@pytest.mark.parametrize(
    "text", ["short", "x" * 100_000, "é" * 100_000], ids=["short", "long", "wide"]
)
def test_a_status_says_why_and_fits_into_trailers(reason: str, text: str) -> None:
    status = errors.to_status(make(CLASSES[reason], text), request_id="r" * 64)
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (reason, "skerry.dev")
    assert status.code == int(CLASSES[reason].code)
    message = sum(3 if byte > 126 else 1 for byte in status.message.encode())
    assert message + len(base64.b64encode(status.SerializeToString())) < 7500


def test_a_timeout_is_a_deadline() -> None:
    assert isinstance(errors.from_exception(TimeoutError()), domain.DeadlineExceeded)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("organizations/default/projects/shop", "skerry.dev/Project"),
        ("clusters/home/addOns/garage", "skerry.dev/AddOn"),
        ("elsewhere", "skerry.dev/Resource"),
    ],
)
def test_resource_info_names_the_type(name: str, kind: str) -> None:
    assert errors.resource_of(name) == (kind, name)
