"""Deploys on a real cluster: what becomes ready, what fails and why, and what is left afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.kube import KubeClient, ObjectRef
from agent.workloads.errors import WorkloadError
from agent.workloads.guards import EnvironmentLimits
from agent.workloads.inventory import Inventories, Stage
from agent.workloads.model import Action, EnvironmentSpec, Phase
from tests.integration.agent.conftest import IMAGE, QUICK, App, eventually

pytestmark = pytest.mark.cluster

SLEEP = f"""
    image: {IMAGE}
    command: sleep 3600
    init: false
    stop_grace_period: 0s
"""
WEB = f"""
services:
  web:{SLEEP}
"""
WITH_VOLUME = f"""
services:
  db:{SLEEP}    volumes: ["data:/data"]
volumes:
  data:
"""


async def test_a_deploy_becomes_ready_and_a_second_one_changes_nothing(app: App) -> None:
    first = await app.deploy(WEB)
    assert (first.code, first.message) == (0, "revision 1 is ready")
    phases = list(dict.fromkeys(state.phase for _, state in app.progress if state))
    assert phases == [
        *(Phase.PLANNING, Phase.APPLYING, Phase.ROLLING_OUT, Phase.PRUNING, Phase.READY)
    ]
    assert first.progress is not None
    (web,) = first.progress.services
    assert (web.service, web.state, web.ready, web.desired) == ("web", "READY", 1, 1)
    before = await app.get("apps/v1", "Deployment", "web")
    second = await app.deploy(WEB)
    after = await app.get("apps/v1", "Deployment", "web")
    assert second.code == 0
    assert before is not None
    assert after is not None
    assert before["metadata"]["generation"] == after["metadata"]["generation"]


async def test_a_rejected_project_touches_nothing(app: App, kube: KubeClient) -> None:
    outcome = await app.deploy("services:\n  web:\n    image: x\n    privileged: true\n")
    assert outcome.reason == "COMPOSE_REJECTED"
    assert "compose.yaml:4" in outcome.message
    assert await kube.get("v1", "Namespace", app.environment.namespace) is None


async def test_a_missing_image_fails_and_a_second_deploy_heals_it(app: App) -> None:
    failed = await app.deploy(WEB.replace(IMAGE, "registry.invalid/nothing:1"))
    assert (failed.code, failed.reason) == (10, "ImageNotFound")
    assert "registry.invalid/nothing:1" in failed.message
    assert "no earlier revision" in failed.message
    healed = await app.deploy(WEB)
    assert healed.code == 0, healed.message


async def test_a_failed_rollout_leaves_the_old_pod_serving(app: App) -> None:
    await app.deploy(WEB)
    (old,) = await app.pods("web")
    failed = await app.deploy(WEB.replace(IMAGE, "registry.invalid/nothing:1"))
    assert failed.reason == "ImageNotFound"
    assert "revision 1 was put back and serves" in failed.message
    now = [p for p in await app.pods("web") if "deletionTimestamp" not in p["metadata"]]
    assert [pod["metadata"]["uid"] for pod in now] == [old["metadata"]["uid"]]


async def test_an_app_with_a_volume_gets_its_old_revision_back(app: App) -> None:
    await app.deploy(WITH_VOLUME)
    failed = await app.deploy(WITH_VOLUME.replace(IMAGE, "registry.invalid/nothing:1"))
    assert "revision 1 was put back and serves" in failed.message
    deployment = await app.get("apps/v1", "Deployment", "db")
    assert deployment is not None
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE
    assert deployment["status"]["availableReplicas"] == 1


async def test_a_crash_loop_shows_the_exit_code_and_the_last_lines(app: App) -> None:
    compose = WEB.replace("sleep 3600", "sh -c 'echo cannot find my wallet; exit 7'")
    outcome = await app.deploy(compose)
    assert outcome.reason == "CrashLoop"
    assert "code 7" in outcome.message
    assert "cannot find my wallet" in outcome.message


async def test_a_pod_that_fits_nowhere_says_what_is_missing(app: App) -> None:
    app.limits = EnvironmentLimits(
        quota={"pods": "10"}, max_limits={"memory": "9999Gi", "cpu": "9999"}
    )
    compose = (
        f"{WEB}    deploy: {{resources: {{reservations: {{memory: 900G}}, "
        "limits: {memory: 900G}}}\n"
    )
    outcome = await app.deploy(compose, deadline=8)
    assert outcome.reason == "Unschedulable"
    assert "memory" in outcome.message


async def test_a_quota_that_is_used_up_tells_the_numbers(app: App) -> None:
    app.limits = EnvironmentLimits(quota={"pods": "1"})
    two = WEB + "  more:" + SLEEP
    outcome = await app.deploy(two)
    assert outcome.reason == "QUOTA_EXCEEDED"
    assert "pods: 2 wanted, 1 left (1 in all, 0 used by others)" in outcome.message
    assert "nothing was applied" in outcome.message


async def test_what_can_never_fit_the_quota_is_refused_before_anything_is_applied(
    app: App,
) -> None:
    app.limits = EnvironmentLimits(quota={"limits.memory": "1Gi"}, max_limits={"memory": "64Gi"})
    compose = f"{WEB}    deploy: {{resources: {{limits: {{memory: 2G}}}}}}\n"
    outcome = await app.deploy(compose)
    assert outcome.reason == "QUOTA_EXCEEDED"
    assert "nothing was applied" in outcome.message
    assert await app.get("apps/v1", "Deployment", "web") is None


async def test_a_failing_probe_is_told(app: App) -> None:
    compose = f"{WEB}    healthcheck: {{test: [CMD, sh, -c, 'echo no heartbeat; exit 1'], interval: 1s}}\n"
    outcome = await app.deploy(compose, deadline=15)
    assert outcome.reason == "ProbeFailing"
    assert "no heartbeat" in outcome.message


async def test_a_failed_job_stops_the_deploy_before_what_waits_for_it(app: App) -> None:
    compose = f"""
services:
  migrate:{SLEEP.replace("sleep 3600", "sh -c 'echo no such table; exit 3'")}    restart: "no"
  web:{SLEEP}    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
"""
    outcome = await app.deploy(compose)
    assert outcome.reason == "JobFailed"
    assert "no such table" in outcome.message
    assert await app.get("apps/v1", "Deployment", "web") is None


async def test_a_completed_job_is_not_run_again(app: App) -> None:
    compose = f"""
services:
  migrate:{SLEEP.replace("sleep 3600", "echo done")}    restart: "no"
  web:{SLEEP}    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
"""
    assert (await app.deploy(compose)).code == 0
    (before,) = await app.kube.list("batch/v1", "Job", app.environment.namespace)
    assert (await app.deploy(compose)).code == 0
    (after,) = await app.kube.list("batch/v1", "Job", app.environment.namespace)
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    assert len(await app.pods("migrate")) == 1


async def test_what_a_revision_no_longer_has_is_pruned_but_not_its_volumes(app: App) -> None:
    both = WITH_VOLUME.replace("volumes:\n  data:", f"  old:{SLEEP}volumes:\n  data:")
    assert (await app.deploy(both)).code == 0
    outcome = await app.deploy(WEB)
    assert outcome.code == 0
    assert "Deployment old" in outcome.message
    assert await app.get("apps/v1", "Deployment", "old") is None
    assert await app.get("v1", "Service", "old") is None
    assert await app.get("apps/v1", "Deployment", "db") is None
    assert await app.get("v1", "PersistentVolumeClaim", "demo-data") is not None


async def test_another_apps_object_is_left_alone(app: App) -> None:
    await app.deploy(WEB)
    other = App(app.kube, app.environment, name="other")
    outcome = await other.deploy(WEB)
    assert outcome.reason == "OBJECT_OWNED_ELSEWHERE"
    assert "Deployment web belongs to app demo" in outcome.message
    record = await Inventories(app.kube).load(app.environment.namespace, "other")
    assert record is None


async def test_a_namespace_of_somebody_else_is_left_alone(app: App, namespace: str) -> None:
    outcome = await app.deploy(WEB)
    assert outcome.reason == "OBJECT_OWNED_ELSEWHERE"
    assert namespace in outcome.message


async def test_a_field_changed_by_hand_is_refused_with_the_name_of_who_did_it(app: App) -> None:
    await app.deploy(WEB)
    scaled = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": app.environment.namespace},
        "spec": {"replicas": 0},
    }
    await app.kube.apply(scaled, field_manager="my-hands", force=True, strict=False)
    outcome = await app.deploy(WEB)
    assert outcome.reason == "OBJECT_OWNED_ELSEWHERE"
    assert "my-hands" in outcome.message
    assert ".spec.replicas" in outcome.message


async def test_a_headless_service_becomes_an_ordinary_one(app: App) -> None:
    await app.deploy(WEB)
    headless = await app.get("v1", "Service", "web")
    assert headless is not None
    assert headless["spec"]["clusterIP"] == "None"
    assert (await app.deploy(f"{WEB}    ports: ['8080:8080']\n")).code == 0
    ordinary = await app.get("v1", "Service", "web")
    assert ordinary is not None
    assert ordinary["spec"]["clusterIP"] != "None"


async def test_a_deploy_that_was_cut_off_converges_when_it_comes_again(app: App) -> None:
    request = app.request(WEB)
    running = asyncio.create_task(app.run(request))

    async def applied() -> bool:
        return await app.get("apps/v1", "Deployment", "web") is not None

    await eventually(applied)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    outcome = await app.run(request)
    assert outcome.code == 0
    assert len(await app.pods("web")) == 1


async def test_a_failed_deploy_that_comes_again_only_tells_its_result(app: App) -> None:
    request = app.request(WEB.replace(IMAGE, "registry.invalid/nothing:1"))
    first = await app.run(request)
    app.progress.clear()
    again = await app.run(request)
    assert (again.code, again.reason, again.message) == (first.code, first.reason, first.message)
    assert not any(state and state.phase is Phase.APPLYING for _, state in app.progress)


async def test_the_inventory_says_how_the_last_deploy_ended(app: App) -> None:
    await app.deploy(WEB)
    await app.deploy(WEB.replace(IMAGE, "registry.invalid/nothing:1"))
    record = await Inventories(app.kube).load(app.environment.namespace, "demo")
    assert record is not None
    assert (record.revision, record.stage) == (1, Stage.FAILED)
    assert record.failed is not None
    assert (record.failed.revision, record.failed.reason) == (2, "ImageNotFound")


async def test_removal_keeps_volumes_and_a_later_deploy_uses_them_again(app: App) -> None:
    await app.deploy(WITH_VOLUME)
    before = await app.get("v1", "PersistentVolumeClaim", "demo-data")
    removed = await app.remove()
    assert removed.code == 0
    assert "volumes kept: demo-data" in removed.message
    assert await app.pods("db") == []
    assert await app.get("apps/v1", "Deployment", "db") is None
    again = await app.deploy(WITH_VOLUME)
    assert again.code == 0, again.message
    after = await app.get("v1", "PersistentVolumeClaim", "demo-data")
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] == after["metadata"]["uid"]


async def test_removal_deletes_volumes_when_asked(app: App) -> None:
    await app.deploy(WITH_VOLUME)
    await app.remove(volumes=True)

    async def gone() -> bool:
        return await app.get("v1", "PersistentVolumeClaim", "demo-data") is None

    await eventually(gone)


async def test_removing_what_is_not_there_succeeds(app: App) -> None:
    assert (await app.remove()).code == 0


async def test_a_preview_of_a_new_environment_creates_nothing(app: App, kube: KubeClient) -> None:
    preview = await app.preview(WEB)
    assert {change.action for change in preview.changes} == {Action.CREATE}
    assert any("does not exist yet" in d.message for d in preview.diagnostics)
    assert await kube.get("v1", "Namespace", app.environment.namespace) is None


async def test_a_preview_shows_each_change_and_hides_secrets(app: App) -> None:
    compose = WITH_VOLUME.replace(
        "    volumes:", "    environment: {PASSWORD: hunter2}\n    volumes:"
    )
    await app.deploy(compose)
    preview = await app.preview(
        compose.replace("hunter2", "hunter3").replace("sleep 3600", "sleep 3601")
    )
    actions = {(change.kind, change.name): change for change in preview.changes}
    assert actions["PersistentVolumeClaim", "demo-data"].action is Action.UNCHANGED
    deployment = actions["Deployment", "db"]
    assert deployment.action is Action.UPDATE
    assert '-        - "3600"' in deployment.diff.replace("'", '"')
    assert actions["Secret", "demo-db-env"].action is Action.UPDATE
    everything = preview.manifests + "".join(change.diff for change in preview.changes)
    assert "aHVudGVyMg" not in everything
    assert "aHVudGVyMw" not in everything
    assert "hidden" in actions["Secret", "demo-db-env"].diff


async def test_a_preview_has_the_facts_also_of_a_rejected_project(app: App) -> None:
    preview = await app.preview(WITH_VOLUME)
    assert [service.name for service in preview.services] == ["db"]
    assert [volume.claim for volume in preview.volumes] == ["demo-data"]
    rejected = await app.preview(WITH_VOLUME + "unknown: 1\n")
    assert (rejected.rejected, rejected.changes) == (True, ())
    assert rejected.services == preview.services
    assert rejected.volumes == preview.volumes


async def test_a_preview_shows_what_would_be_deleted_and_refused(app: App) -> None:
    await app.deploy(WEB + "  old:" + SLEEP)
    preview = await app.preview(WEB)
    deleted = {(c.kind, c.name) for c in preview.changes if c.action is Action.DELETE}
    assert ("Deployment", "old") in deleted
    other = App(app.kube, app.environment, name="other")
    refused = await other.preview(WEB)
    assert refused.rejected
    assert all("belongs to app demo" in c.message for c in refused.changes)


async def test_a_slow_crash_is_not_taken_for_ready(app: App) -> None:
    app.policy = replace(QUICK, steady=4.0)
    outcome = await app.deploy(WEB.replace("sleep 3600", "sh -c 'sleep 1; exit 9'"))
    assert outcome.reason == "CrashLoop"


async def test_an_environment_is_guarded(app: App, kube: KubeClient) -> None:
    await app.environments.ensure(app.environment)
    await app.environments.ensure(app.environment)
    namespace = app.environment.namespace
    policies = {
        p["metadata"]["name"]
        for p in await kube.list("networking.k8s.io/v1", "NetworkPolicy", namespace)
    }
    assert "skerry-default-deny" in policies
    account = await kube.get("v1", "ServiceAccount", "default", namespace)
    assert account is not None
    assert account["automountServiceAccountToken"] is False
    (nodes,) = [n["status"]["addresses"] for n in await kube.list("v1", "Node")][:1]
    internet = await kube.get("networking.k8s.io/v1", "NetworkPolicy", "skerry-internet", namespace)
    assert internet is not None
    excepted = internet["spec"]["egress"][0]["to"][0]["ipBlock"]["except"]
    address = next(a["address"] for a in nodes if a["type"] == "InternalIP")
    assert any(address in cidr for cidr in excepted)


async def test_deleting_an_environment_returns_when_it_is_gone(
    kube: KubeClient, environment: EnvironmentSpec, app: App
) -> None:
    await app.environments.ensure(environment)
    await app.environments.delete(environment, lambda _: None)
    assert await kube.get("v1", "Namespace", environment.namespace) is None
    await app.environments.delete(environment, lambda _: None)


async def test_a_namespace_held_back_by_a_finalizer_says_so(
    kube: KubeClient, environment: EnvironmentSpec, app: App
) -> None:
    app.limits = EnvironmentLimits(delete_timeout=12.0)
    await app.environments.ensure(environment)
    held = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "held",
            "namespace": environment.namespace,
            "finalizers": ["example.com/hold"],
        },
    }
    await kube.apply(held, field_manager="test")
    told: list[str] = []
    with pytest.raises(WorkloadError, match=r"example\.com/hold") as caught:
        await app.environments.delete(environment, told.append)
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    assert any("example.com/hold" in message for message in told)
    ref = ObjectRef("v1", "ConfigMap", "held", environment.namespace)
    await kube.patch(ref, {"metadata": {"finalizers": None}})
    app.limits = EnvironmentLimits()
    await app.environments.delete(environment, told.append)


async def test_an_app_that_does_not_fit_is_refused_with_the_numbers(
    kube: KubeClient, environment: EnvironmentSpec
) -> None:
    quota = {**EnvironmentLimits().quota, "pods": "3"}
    app = App(kube, environment, EnvironmentLimits(quota=quota))
    text = f"services: {{web: {{image: '{IMAGE}', command: sleep 3600, deploy: {{replicas: 4}}}}}}"
    outcome = await app.deploy(text)
    assert (outcome.code, outcome.reason) == (8, "QUOTA_EXCEEDED")
    assert "pods: 4 wanted, 3 left (3 in all, 0 used by others)" in outcome.message
    assert await app.get("apps/v1", "Deployment", "web") is None
    assert await app.pods("web") == []
