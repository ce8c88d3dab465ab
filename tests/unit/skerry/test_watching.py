"""Watches that go on after a cut."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import grpc
import pytest
import skerry
from skerry import errors, names
from skerry.platform.v1 import app_pb2, cluster_pb2, deployment_pb2, operation_pb2
from skerry.watching import Change, Event

from tests.fakes.control_plane import FakeControlPlane
from tests.fakes.script import Fail, Hold

AWAY = Fail(grpc.StatusCode.UNAVAILABLE)
PARENT = names.environment("shop", "prod")


def event(kind: str, app: str = "", token: str = "") -> app_pb2.WatchAppsResponse:
    return app_pb2.WatchAppsResponse(
        type=cluster_pb2.EventType.Value(f"EVENT_TYPE_{kind}"),
        app=app_pb2.App(name=app) if app else None,
        resume_token=token,
    )


async def take(stream: AsyncGenerator[Event[app_pb2.App], None], count: int) -> list[str]:
    said: list[str] = []
    async with aclosing(stream) as events:
        async for item in events:
            said.append(item.change.value + (f" {item.resource.name}" if item.resource else ""))
            if len(said) == count:
                break
    return said


async def test_a_cut_after_the_snapshot_is_resumed_by_token(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.script(
        "WatchApps",
        [event("SNAPSHOT", "a"), event("SYNCED", token="1"), event("UPDATED", "b", "2"), AWAY],
        [event("HEARTBEAT", token="3"), event("DELETED", "a", "4"), Hold()],
    )
    said = await take(client.apps.watch(PARENT), 4)
    assert said == ["snapshot a", "synced", "updated b", "deleted a"]
    assert [r.resume_token for r in fake.requests("WatchApps")] == ["", "2"]


async def test_the_token_of_a_heartbeat_counts(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.script(
        "WatchApps",
        [event("SYNCED", token="1"), event("HEARTBEAT", token="7"), AWAY],
        [event("UPDATED", "a", "8"), Hold()],
    )
    await take(client.apps.watch(PARENT), 2)
    assert fake.requests("WatchApps")[1].resume_token == "7"


async def test_half_a_snapshot_is_void(fake: FakeControlPlane, client: skerry.Client) -> None:
    fake.script(
        "WatchApps",
        [event("SNAPSHOT", "a", "1"), AWAY],
        [event("SNAPSHOT", "b"), event("SYNCED", token="2"), Hold()],
    )
    said = await take(client.apps.watch(PARENT), 4)
    assert said == ["snapshot a", "reset", "snapshot b", "synced"]


async def test_an_expired_token_means_a_new_snapshot(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.script(
        "WatchApps",
        [event("SYNCED", token="1"), AWAY],
        [Fail(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED")],
        [event("SNAPSHOT", "c"), event("SYNCED", token="9"), Hold()],
    )
    assert await take(client.apps.watch(PARENT), 4) == ["synced", "reset", "snapshot c", "synced"]


async def test_a_slow_watcher_that_was_cut_off_comes_back(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    slow = Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")
    fake.script(
        "WatchApps",
        [event("SYNCED", token="1"), slow],
        [event("UPDATED", "a", "2"), Hold()],
    )
    assert await take(client.apps.watch(PARENT), 2) == ["synced", "updated a"]


async def test_what_cannot_heal_ends_the_watch(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    gone = Fail(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND", "no such environment")
    fake.script("WatchApps", [event("SYNCED", token="1"), gone])
    with pytest.raises(errors.NotFound, match="no such environment"):
        await take(client.apps.watch(PARENT), 9)


async def test_a_server_that_was_never_there_ends_the_watch(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.script("WatchApps", [AWAY])
    with pytest.raises(errors.Unavailable):
        await take(client.apps.watch(PARENT), 1)


async def test_cuts_are_told(fake: FakeControlPlane, client: skerry.Client) -> None:
    cuts: list[errors.SkerryError] = []
    fake.script(
        "WatchApps", [event("SYNCED", token="1"), AWAY], [event("UPDATED", "a", "2"), Hold()]
    )
    await take(client.apps.watch(PARENT, on_cut=cuts.append), 2)
    assert [type(cut) for cut in cuts] == [errors.Unavailable]


async def test_add_ons_start_anew_after_a_cut(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    synced = cluster_pb2.WatchAddOnsResponse(type=cluster_pb2.EVENT_TYPE_SYNCED)
    fake.script("WatchAddOns", [synced, AWAY], [synced, Hold()])
    changes = []
    async with aclosing(client.clusters.watch_add_ons("clusters/home")) as events:
        async for item in events:
            changes.append(item.change)
            if len(changes) == 3:
                break
    assert changes == [Change.SYNCED, Change.RESET, Change.SYNCED]


def progress(phase: int, message: str = "") -> deployment_pb2.WatchDeploymentResponse:
    return deployment_pb2.WatchDeploymentResponse(
        deployment=deployment_pb2.Deployment(phase=phase, message=message)  # type: ignore[arg-type]
    )


async def test_deploy_and_wait_over_a_restart_of_the_server(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.add_environment("shop", "prod")
    applying = progress(deployment_pb2.DEPLOYMENT_PHASE_APPLYING)
    heartbeat = deployment_pb2.WatchDeploymentResponse()
    fake.script(
        "WatchDeployment",
        [applying, heartbeat, AWAY],
        [applying, progress(deployment_pb2.DEPLOYMENT_PHASE_READY)],
    )
    seen: list[int] = []
    ended = await client.apps.deploy_and_wait(
        PARENT, "web", app_pb2.Bundle(), on_progress=lambda d: seen.append(d.phase)
    )
    assert ended.phase == deployment_pb2.DEPLOYMENT_PHASE_READY
    assert seen == [
        deployment_pb2.DEPLOYMENT_PHASE_APPLYING,
        deployment_pb2.DEPLOYMENT_PHASE_READY,
    ]
    assert len(fake.requests("DeployApp")) == 1


async def test_a_failed_rollout_is_an_error_with_the_deployment(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.add_environment("shop", "prod")
    failed = progress(deployment_pb2.DEPLOYMENT_PHASE_FAILED, "web: image not found")
    fake.script("WatchDeployment", [failed])
    with pytest.raises(errors.RolloutFailed, match="web: image not found") as caught:
        await client.apps.deploy_and_wait(PARENT, "web", app_pb2.Bundle())
    assert caught.value.deployment.phase == deployment_pb2.DEPLOYMENT_PHASE_FAILED
    assert caught.value.reason is errors.ErrorReason.ROLLOUT_FAILED


async def test_a_rollout_that_takes_too_long(fake: FakeControlPlane, client: skerry.Client) -> None:
    fake.add_environment("shop", "prod")
    fake.script("WatchDeployment", [progress(deployment_pb2.DEPLOYMENT_PHASE_ROLLING_OUT), Hold()])
    with pytest.raises(errors.DeadlineExceeded, match="it goes on"):
        await client.apps.deploy_and_wait(PARENT, "web", app_pb2.Bundle(), timeout=0.1)


async def test_an_operation_that_fails_raises_what_a_call_would(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    running = operation_pb2.Operation(name="operations/op1", message="waiting")
    failed = operation_pb2.Operation(name="operations/op1", done=True)
    failed.error.code = errors.Code.FAILED_PRECONDITION
    failed.error.reason = 15
    failed.error.message = "it still holds apps"
    fake.operations["operations/op1"] = running
    fake.script(
        "WatchOperation",
        [
            operation_pb2.WatchOperationResponse(operation=running),
            operation_pb2.WatchOperationResponse(operation=failed),
        ],
    )
    with pytest.raises(errors.FailedPrecondition, match="still holds apps") as caught:
        await client.operations.wait("operations/op1")
    assert caught.value.reason is errors.ErrorReason.RESOURCE_IN_USE
