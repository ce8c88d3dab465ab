"""Unary calls: metadata, errors, repeats."""

from __future__ import annotations

import asyncio

import grpc
import pytest
import skerry
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from skerry import errors, names
from skerry.calls import MAX_ATTEMPTS
from skerry.platform.v1 import app_pb2

from tests.fakes.control_plane import TOKEN, FakeControlPlane
from tests.fakes.script import Fail

AWAY = Fail(grpc.StatusCode.UNAVAILABLE)


async def test_the_token_the_client_and_a_request_id_go_with_every_call(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    await client.server.info()
    await client.server.info()
    first, second = fake.calls
    assert first.metadata["authorization"] == f"Bearer {TOKEN}"
    assert first.metadata["x-skerry-client"] == f"skerry-python/{skerry.__version__}"
    assert first.metadata["x-request-id"] != second.metadata["x-request-id"]


async def test_a_wrong_token(fake: FakeControlPlane) -> None:
    async with skerry.Client(fake.address, "skt_wrong", insecure=True) as stranger:
        with pytest.raises(errors.Unauthenticated) as caught:
            await stranger.server.info()
    assert caught.value.reason is errors.ErrorReason.CREDENTIALS_INVALID


async def test_the_details_of_an_error_are_decoded(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="app_id", description="too long")
    fake.fail(
        "GetApp",
        Fail(
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_FIELD",
            "app_id is too long",
            {"limit": "30"},
            (
                bad,
                error_details_pb2.ResourceInfo(resource_name="apps/x"),
                error_details_pb2.RequestInfo(request_id="r-1"),
                error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2)),
            ),
        ),
    )
    with pytest.raises(errors.InvalidArgument, match="app_id is too long") as caught:
        await client.apps.get("x")
    assert caught.value.code is errors.Code.INVALID_ARGUMENT
    assert caught.value.reason is errors.ErrorReason.INVALID_FIELD
    assert caught.value.metadata == {"limit": "30"}
    assert caught.value.detail == errors.Detail(
        "INVALID_FIELD", {"limit": "30"}, {"app_id": "too long"}, "apps/x", 2.0, "r-1"
    )


async def test_every_page_is_read(fake: FakeControlPlane, client: skerry.Client) -> None:
    for number in range(7):
        fake.add_cluster(f"c{number}")
    found = [names.last(c.name) async for c in client.clusters.list(page_size=3)]
    assert found == [f"c{number}" for number in range(7)]
    assert len(fake.requests("ListClusters")) == 3


async def test_a_server_away_for_a_moment_is_called_again(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.fail("GetServerInfo", AWAY, Fail(grpc.StatusCode.UNAVAILABLE, "DRAINING"))
    assert (await client.server.info()).version == "0.1.0"
    assert len(fake.calls) == 3


async def test_repeats_end(fake: FakeControlPlane, client: skerry.Client) -> None:
    fake.fail("GetServerInfo", *[AWAY] * 10)
    with pytest.raises(errors.Unavailable):
        await client.server.info()
    assert len(fake.calls) == MAX_ATTEMPTS


async def test_a_repeated_mutation_keeps_its_request_id_and_is_done_once(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.add_environment("shop", "prod")
    fake.fail("DeployApp", AWAY)
    environment = names.environment("shop", "prod")
    await client.apps.deploy(environment, "web", app_pb2.Bundle())
    first, second = fake.requests("DeployApp")
    assert first.request_id == second.request_id
    assert len(fake.deployments) == 1


async def test_two_mutations_have_two_request_ids(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    await client.clusters.create("a")
    await client.clusters.create("b")
    one, other = fake.requests("CreateCluster")
    assert one.request_id != other.request_id


async def test_a_join_token_is_never_asked_for_twice(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.add_cluster("home")
    fake.fail("CreateJoinToken", AWAY)
    with pytest.raises(errors.Unavailable):
        await client.clusters.create_join_token("clusters/home")
    assert len(fake.requests("CreateJoinToken")) == 1


@pytest.mark.parametrize(
    "failure",
    [
        Fail(grpc.StatusCode.UNAVAILABLE, "AGENT_OFFLINE"),
        Fail(grpc.StatusCode.INTERNAL, "INTERNAL"),
        Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE"),
    ],
)
async def test_errors_that_no_repeat_heals_come_at_once(
    fake: FakeControlPlane, client: skerry.Client, failure: Fail
) -> None:
    fake.fail("GetServerInfo", failure)
    with pytest.raises(errors.SkerryError):
        await client.server.info()
    assert len(fake.calls) == 1


async def test_a_call_without_an_answer_ends_at_its_deadline(fake: FakeControlPlane) -> None:
    async with skerry.Client(fake.address, TOKEN, insecure=True, timeout=0.05) as hasty:
        fake.fail("GetServerInfo", _Never())
        with pytest.raises(errors.DeadlineExceeded, match="did not answer in time"):
            await hasty.server.info()


class _Never(Fail):
    """Does not answer."""

    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.UNKNOWN)

    async def abort(self, context: object) -> None:
        await asyncio.Event().wait()


def test_a_client_outside_a_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        skerry.Client("127.0.0.1:1")
