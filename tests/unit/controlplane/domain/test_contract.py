"""The domain's words are the contract's: each error reason and enum value has its twin in the proto files."""

from enum import StrEnum

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from skerry.platform.v1 import app_pb2, cluster_pb2, deployment_pb2, error_pb2, state_pb2

from controlplane.domain import errors
from controlplane.domain.addons import AddOnState
from controlplane.domain.clusters import ConnectionState
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import SkerryError, StatusCode, error_from_status
from controlplane.domain.requests import EventType
from controlplane.domain.workloads import ChangeAction, Severity, State


def names(wrapper: EnumTypeWrapper, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name, _ in wrapper.items()} - {"UNSPECIFIED"}


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (State, state_pb2.State, "STATE_"),
        (ConnectionState, cluster_pb2.ConnectionState, "CONNECTION_STATE_"),
        (AddOnState, cluster_pb2.AddOnState, "ADD_ON_STATE_"),
        (EventType, cluster_pb2.EventType, "EVENT_TYPE_"),
        (DeploymentPhase, deployment_pb2.DeploymentPhase, "DEPLOYMENT_PHASE_"),
        (ChangeAction, app_pb2.ChangeAction, "CHANGE_ACTION_"),
        (Severity, state_pb2.Severity, "SEVERITY_"),
    ],
)
def test_enums_have_the_contracts_values(
    ours: type[StrEnum], theirs: EnumTypeWrapper, prefix: str
) -> None:
    assert {value.upper() for value in ours} - {"UNSPECIFIED"} == names(theirs, prefix)


def subclasses(kind: type[SkerryError]) -> set[type[SkerryError]]:
    return {kind} | {found for child in kind.__subclasses__() for found in subclasses(child)}


def test_each_reason_has_one_error() -> None:
    # AgentRefused is a CredentialsInvalid that the link tells apart; it never leaves as another reason.
    classes = subclasses(SkerryError) - {SkerryError, errors.RemoteError, errors.AgentRefused}
    reasons = [kind.reason for kind in classes]
    assert sorted(reasons) == sorted(names(error_pb2.ErrorReason, "ERROR_REASON_"))
    assert set(reasons) == errors.REASONS


def test_a_status_of_an_agent_becomes_its_error() -> None:
    error = error_from_status(9, "NO_RUNNING_POD", "no pod")
    assert isinstance(error, errors.NoRunningPod)
    assert error.message == "no pod"


@pytest.mark.parametrize(
    ("code", "reason"), [(9, "ImageNotFound"), (14, "NO_RUNNING_POD"), (5, "RESOURCE_NOT_FOUND")]
)
def test_other_statuses_keep_the_agents_words(code: int, reason: str) -> None:
    error = error_from_status(code, reason, "why")
    assert (error.code, error.reason, error.message) == (StatusCode(code), reason, "why")


def test_a_code_that_is_none_is_unknown() -> None:
    assert error_from_status(99, "X", "").code is StatusCode.UNKNOWN
