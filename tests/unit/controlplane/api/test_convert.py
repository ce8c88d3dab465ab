"""Every word of the domain has its word in the contract, and requests are read the way they are meant."""

import uuid
from datetime import UTC, datetime, timedelta
from enum import Enum

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from skerry.platform.v1 import (
    app_pb2,
    cluster_pb2,
    deployment_pb2,
    error_pb2,
    log_pb2,
    state_pb2,
    user_pb2,
    variable_pb2,
)

from controlplane.api.convert import common
from controlplane.api.convert.clusters import cluster_event
from controlplane.api.convert.operations import operation
from controlplane.domain.addons import AddOnState
from controlplane.domain.clusters import ConnectionState
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import InvalidField, StatusCode
from controlplane.domain.names import ClusterName
from controlplane.domain.operations import Operation, OperationError, OperationKind
from controlplane.domain.requests import EventType, WatchEvent
from controlplane.domain.workloads import ChangeAction, Severity, State

ENUMS = [
    (State, state_pb2.State, "STATE"),
    (Severity, state_pb2.Severity, "SEVERITY"),
    (ChangeAction, app_pb2.ChangeAction, "CHANGE_ACTION"),
    (EventType, cluster_pb2.EventType, "EVENT_TYPE"),
    (ConnectionState, cluster_pb2.ConnectionState, "CONNECTION_STATE"),
    (AddOnState, cluster_pb2.AddOnState, "ADD_ON_STATE"),
    (DeploymentPhase, deployment_pb2.DeploymentPhase, "DEPLOYMENT_PHASE"),
]
NOW = datetime(2030, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


@pytest.mark.parametrize(("members", "wrapper", "prefix"), ENUMS)
def test_both_sides_of_an_enum_have_the_same_members(
    members: type[Enum], wrapper: common.ProtoEnum[int], prefix: str
) -> None:
    converted = {common.enum_value(wrapper, prefix, member) for member in members}
    assert converted | {0} == set(wrapper.values())  # type: ignore[attr-defined]


@given(st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC)))  # noqa: DTZ001
def test_times_survive_the_way_there_and_back(value: datetime) -> None:
    request = log_pb2.TailLogsRequest(since_time=common.timestamp(value))
    assert common.moment(request, "since_time") == value


def test_what_is_not_set_stays_unset() -> None:
    assert common.timestamp(None) is None
    assert common.moment(log_pb2.TailLogsRequest(), "since_time") is None
    assert common.span(cluster_pb2.CreateJoinTokenRequest(), "ttl") is None


def test_a_time_beyond_all_years_is_a_bad_field() -> None:
    request = log_pb2.TailLogsRequest(since_time=Timestamp(seconds=10**15))
    with pytest.raises(InvalidField, match="since_time"):
        common.moment(request, "since_time")


def key(request: app_pb2.DeployAppRequest) -> bytes:
    found = common.idempotency_key(request, principal="tokens/1", method="/m")
    assert found is not None
    return found.request_hash


def deploy(**variables: str) -> app_pb2.DeployAppRequest:
    bundle = app_pb2.Bundle(variables=variables)
    return app_pb2.DeployAppRequest(app_id="web", bundle=bundle, request_id=str(uuid.uuid4()))


def test_the_same_request_has_the_same_hash_whatever_its_id_and_map_order() -> None:
    names = [f"V{number}" for number in range(50)]
    there = deploy(**dict.fromkeys(names, "x"))
    back = deploy(**dict.fromkeys(reversed(names), "x"))
    assert key(there) == key(back)


def test_another_request_has_another_hash() -> None:
    assert key(deploy(a="1")) != key(deploy(a="2"))


def test_no_request_id_is_no_key() -> None:
    assert common.idempotency_key(app_pb2.DeployAppRequest(), principal="p", method="/m") is None


@pytest.mark.parametrize("request_id", ["x", "1" * 36, "123e4567-e89b-12d3-a456-4266141740000"])
def test_a_request_id_must_be_a_uuid(request_id: str) -> None:
    request = app_pb2.DeployAppRequest(request_id=request_id)
    with pytest.raises(InvalidField, match="request_id"):
        common.idempotency_key(request, principal="p", method="/m")


def failed(reason: str) -> Operation:
    return Operation(
        uid="01hx",
        target="t",
        kind=OperationKind.DEPLOY,
        cluster_uid="c",
        cluster=ClusterName("home"),
        done=True,
        error=OperationError(StatusCode.ABORTED, reason, "why"),
        message="",
        cancel_requested=False,
        deployment="",
        create_time=NOW,
        update_time=NOW,
        end_time=NOW + timedelta(seconds=1),
    )


def test_an_operation_s_reason_is_the_contract_s_word() -> None:
    error = operation(failed("ROLLOUT_FAILED")).error
    assert error.reason == error_pb2.ERROR_REASON_ROLLOUT_FAILED
    assert error.code == 10


def test_a_pod_s_reason_is_none_of_the_contract_s_words() -> None:
    error = operation(failed("CrashLoop")).error
    assert error.reason == error_pb2.ERROR_REASON_UNSPECIFIED
    assert error.message == "why"


def test_a_deleted_resource_keeps_its_name_and_uid() -> None:
    event = cluster_event(WatchEvent(EventType.DELETED, name="clusters/home", uid="u1"))
    assert (event.cluster.name, event.cluster.uid) == ("clusters/home", "u1")


def test_a_heartbeat_has_no_resource() -> None:
    assert not cluster_event(WatchEvent(EventType.HEARTBEAT, resume_token="r")).HasField("cluster")


def test_what_can_be_guessed_is_taken_out_and_names_stay() -> None:
    request = app_pb2.DeployAppRequest(app_id="web")
    names = [f"N{number}" for number in range(200)]
    for name in names:
        request.bundle.variables[name] = "hunter2"
    common.clear_values(request, "bundle.variables")
    assert dict(request.bundle.variables) == dict.fromkeys(names, "")
    secret = variable_pb2.VariableValue(key="A", value="hunter2", etag="e")
    secrets = variable_pb2.SetSecretsRequest(secrets=[secret])
    common.clear_values(secrets, "secrets")
    assert list(secrets.secrets) == [variable_pb2.VariableValue(key="A", etag="e")]
    user = user_pb2.CreateUserRequest(user_id="anne", password="hunter2")
    common.clear_values(user, "password")
    assert user == user_pb2.CreateUserRequest(user_id="anne")
