"""The error tree mirrors the contract."""

from __future__ import annotations

import grpc
import pytest
from skerry import errors
from skerry.platform.v1 import error_pb2


def test_every_reason_of_the_contract_has_a_member() -> None:
    contract = {
        name.removeprefix("ERROR_REASON_")
        for name in error_pb2.ErrorReason.DESCRIPTOR.values_by_name
    }
    assert {reason.value for reason in errors.ErrorReason} == contract


@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_every_grpc_code_has_a_member_and_a_class(status: grpc.StatusCode) -> None:
    code = errors.Code(status.value[0])
    assert code.name == status.name
    if code is not errors.Code.OK:
        assert errors.BY_CODE[code].code is code


def test_a_reason_newer_than_the_client_is_kept_as_text() -> None:
    error = errors.Aborted("no", errors.Detail("MOON_PHASE_WRONG"))
    assert error.reason is errors.ErrorReason.UNSPECIFIED
    assert error.detail.reason == "MOON_PHASE_WRONG"
