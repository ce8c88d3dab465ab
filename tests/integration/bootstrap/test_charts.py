"""HelmChart add-ons against the real helm-controller, with real charts from a real repository."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.bootstrap.addon import AddOn, HelmSource, Sign
from agent.bootstrap.machine import State
from agent.kube import ObjectRef
from tests.integration.bootstrap.conftest import IMAGE, Board, ChartRepository, World, polled

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata:
  name: tiny
  labels: {{app: tiny-by-hand-or-not}}
spec:
  selector: {{matchLabels: {{app: tiny}}}}
  template:
    metadata: {{labels: {{app: tiny}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: tiny
        image: {IMAGE}
        command: [sleep, "3600"]
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tiny}\ndata: {greeting: {{ .Values.greeting | quote }}}\n"


@pytest.fixture
def tiny(world: World, repository: ChartRepository) -> AddOn:
    """A chart with one Deployment, in a repository that is not up yet."""
    repository.publish("tiny", "1.0.0", {"deployment.yaml": DEPLOYMENT, "config.yaml": CONFIG_MAP})
    target = world.targets[0]
    return AddOn(
        name="tiny",
        version="1.0.0",
        source=HelmSource(
            release="tiny",
            chart="tiny",
            version="1.0.0",
            repository=repository.url,
            target_namespace=target,
            values="greeting: hello\n",
            timeout_seconds=90,  # 1m30s: not how anybody would write it but the controller does
            backoff_limit=2,
        ),
        ready=(ObjectRef("apps/v1", "Deployment", "tiny", target),),
        signs=(Sign("apps/v1", "Deployment", labels={"app": "tiny-by-hand-or-not"}),),
        timeout_seconds=120,
    )


async def releases(world: World) -> list[str]:
    found = await world.kube.list(
        "v1", "Secret", world.targets[0], field_selector="type=helm.sh/release.v1"
    )
    return sorted(secret["metadata"]["name"] for secret in found)


async def test_a_chart_is_installed(world, repository, tiny):
    repository.start()
    board = Board()
    world.start([tiny], board)
    status = await board.until_state("tiny", "READY")
    assert status.attempts == 1
    assert await releases(world) == ["sh.helm.release.v1.tiny.v1"]
    assert board.states == ["INSTALLING", "READY"]


async def test_an_unreachable_repository_fails_with_the_reason_and_heals(world, repository, tiny):
    board = Board()
    world.start([tiny], board)
    failed = await board.until_state("tiny", "FAILED")
    assert repository.url in failed.message
    assert "connection refused" in failed.log_tail
    assert failed.retry_time.seconds > 0
    again = await board.until(
        "tiny", lambda status: status.attempts >= 2 and status.state == "FAILED"
    )
    assert repository.url in again.message
    repository.start()
    ready = await board.until_state("tiny", "READY")
    assert ready.log_tail == ""
    assert await releases(world) == ["sh.helm.release.v1.tiny.v1"]


async def test_a_bootstrap_killed_half_way_converges_to_one_release(world, repository, tiny):
    repository.start()
    board = Board()
    world.start([tiny], board)
    async for _ in polled(0.02):
        if await world.kube.list("helm.cattle.io/v1", "HelmChart", world.namespace):
            break
    await world.kill()
    board = Board()
    world.start([tiny], board)
    await board.until_state("tiny", "READY")
    assert await releases(world) == ["sh.helm.release.v1.tiny.v1"]


async def test_a_restart_of_a_finished_bootstrap_does_nothing(world, repository, tiny):
    repository.start()
    board = Board()
    world.start([tiny], board)
    await board.until_state("tiny", "READY")
    jobs = await world.kube.list("batch/v1", "Job", world.namespace)
    await world.kill()
    board = Board()
    world.start([tiny], board)
    await board.until_state("tiny", "READY")
    assert board.states == ["READY"]
    now = await world.kube.list("batch/v1", "Job", world.namespace)
    assert [job["metadata"]["uid"] for job in now] == [job["metadata"]["uid"] for job in jobs]


async def test_an_add_on_installed_by_hand_is_external_and_untouched(world, tiny):
    target = world.targets[0]
    await world.kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": target}},
        field_manager="by-hand",
    )
    mine = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mine", "labels": {"app": "tiny-by-hand-or-not"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "mine"}},
            "template": {
                "metadata": {"labels": {"app": "mine"}},
                "spec": {"containers": [{"name": "c", "image": IMAGE}]},
            },
        },
    }
    await world.kube.apply(mine, field_manager="by-hand", namespace=target)
    board = Board()
    world.start([tiny], board)
    status = await board.until_state("tiny", "EXTERNAL")
    assert f"Deployment mine in {target}" in status.message
    assert not await world.kube.list("helm.cattle.io/v1", "HelmChart", world.namespace)
    found = await world.kube.get("apps/v1", "Deployment", "mine", target)
    assert {entry["manager"] for entry in found["metadata"]["managedFields"]} <= {
        "by-hand",
        "kube-controller-manager",
    }


async def test_a_new_version_is_an_upgrade(world, repository, tiny):
    repository.start()
    board = Board()
    world.start([tiny], board)
    await board.until_state("tiny", "READY")
    await world.kill()
    repository.publish("tiny", "2.0.0", {"deployment.yaml": DEPLOYMENT, "config.yaml": CONFIG_MAP})
    newer = replace(tiny, version="2.0.0", source=replace(tiny.source, version="2.0.0"))
    board = Board()
    world.start([newer], board)
    await board.until_state("tiny", "READY")
    assert board.states == ["INSTALLING", "READY"]
    assert await releases(world) == ["sh.helm.release.v1.tiny.v1", "sh.helm.release.v1.tiny.v2"]


async def test_a_chart_that_waits_for_another_comes_after_it(world, repository, tiny):
    repository.start()
    second = replace(
        tiny,
        name="second",
        depends_on=("tiny",),
        source=replace(tiny.source, release="second", values="greeting: two\n"),
        ready=(),
        signs=(),
    )
    # The two charts hold objects of the same names: the second may only start in a place of its own.
    world.targets.append(f"{world.namespace}-second")
    second = replace(second, source=replace(second.source, target_namespace=world.targets[1]))
    board = Board()
    world.start([tiny, second], board)
    waiting = await board.until("second", lambda status: bool(status.message))
    assert waiting.message == "waits for tiny"
    await board.until_state("second", "READY")
    assert board.snapshot()["addons/tiny"].add_on.state == "READY"


async def test_a_retry_does_not_wait_for_its_time(world, repository, tiny):
    board = Board()
    bootstrap = world.start([replace(tiny, timeout_seconds=600)], board)
    failed = await board.until_state("tiny", "FAILED")
    repository.start()
    assert bootstrap.retry("tiny") is State.FAILED
    ready = await board.until_state("tiny", "READY")
    assert ready.attempts > failed.attempts


async def test_a_broken_chart_is_repaired_by_its_next_version(world, repository, tiny):
    """A release left as failed makes helm refuse every later run: it has to be cleared away."""
    broken = DEPLOYMENT.replace("apps/v1", "apps/v9")
    repository.publish("tiny", "3.0.0", {"deployment.yaml": broken})
    repository.start()
    board = Board()
    world.start([replace(tiny, source=replace(tiny.source, version="3.0.0"))], board)
    failed = await board.until_state("tiny", "FAILED")
    assert "apps/v9" in failed.message + failed.log_tail
    await world.kill()
    board = Board()
    world.start([tiny], board)
    await board.until_state("tiny", "READY")


async def test_a_deleted_namespace_of_ours_is_made_again(world, repository, tiny):
    board = Board()
    world.start([tiny], board)
    await board.until_state("tiny", "FAILED")
    await world.kube.delete("v1", "Namespace", world.namespace)
    repository.start()
    await board.until_state("tiny", "READY", 150)


async def test_a_workload_that_goes_away_is_told_and_comes_back(world, repository, tiny):
    repository.start()
    board = Board()
    world.start([tiny], board)
    await board.until_state("tiny", "READY")
    pods = await world.kube.list("v1", "Pod", world.targets[0], label_selector="app=tiny")
    await world.kube.delete(
        "v1", "Pod", pods[0]["metadata"]["name"], world.targets[0], grace_seconds=0
    )
    gone = await board.until_state("tiny", "INSTALLING")
    assert "was ready, but now" in gone.message
    await board.until_state("tiny", "READY")


async def test_killed_at_many_moments_it_still_makes_one_release(world, repository, tiny):
    repository.start()
    for milliseconds in (5, 20, 60, 150, 400, 900, 1500):
        world.start([tiny], Board())
        await asyncio.sleep(milliseconds / 1000)  # the moment of death is the test's input
        await world.kill()
    board = Board()
    world.start([tiny], board)
    await board.until_state("tiny", "READY")
    assert await releases(world) == ["sh.helm.release.v1.tiny.v1"]
