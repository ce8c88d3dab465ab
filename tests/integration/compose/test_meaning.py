"""The meaning of a plan, seen from inside its pods on a real cluster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agent.compose import Context, Manifest, Plan, SourceFile, WaitFor, plan
from agent.kube import KubeClient

IMAGE = "docker.io/library/busybox:1.36"
COMPOSE = f"""
x-image: &image
  image: {IMAGE}
services:
  web:
    <<: *image
    user: "1000:1000"
    command:
      - sh
      - -c
      - |
        echo "env=$$PLAIN|$$DOLLARS"
        echo "id=$$(id -u):$$(id -g)"
        echo "file=$$(cat /single.conf) deep=$$(cat /conf/sub/deep.txt) secret=$$(cat /run/secrets/pw)"
        echo "old-name=$$(wget -qO- http://my_db:8000/) alias=$$(wget -qO- http://the-db:8000/)"
        echo "links=$$(env | grep -c MY_DB_)"
        touch /conf/new && echo "seeded folder is writable"
        touch /x 2>/dev/null || echo "root is read-only"
        grep -c /dev/shm /proc/mounts >/dev/null && df /dev/shm | awk 'NR==2 {{print "shm=" $$2}}'
        echo done
        sleep 3600
    environment: {{PLAIN: "a b", DOLLARS: "$$(PLAIN)$$$$x"}}
    volumes: ["./conf:/conf", "./single.conf:/single.conf:ro"]
    secrets: [pw]
    shm_size: 32m
    read_only: true
    depends_on:
      my_db: {{condition: service_healthy}}
      migrate: {{condition: service_completed_successfully}}
  my_db:
    <<: *image
    container_name: the-db
    command: sh -c 'sleep 2; mkdir -p /www; echo -n index > /www/index.html; exec httpd -f -p 8000 -h /www'
    healthcheck: {{test: "wget -qO- http://localhost:8000/ || exit 1", start_interval: 1s}}
  migrate:
    <<: *image
    command: wget -qO- http://my_db:8000/
    restart: "no"
    depends_on: {{my_db: {{condition: service_healthy}}}}
secrets: {{pw: {{content: "pa$$word"}}}}
"""
FILES = {"conf/a.txt": b"a", "conf/sub/deep.txt": b"deep", "single.conf": b"single"}

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(480)]


@pytest.fixture
async def kube(kubeconfig: str) -> AsyncIterator[KubeClient]:
    async with KubeClient(Path(kubeconfig)) as client:
        yield client


@pytest.fixture
async def namespace(kube: KubeClient) -> AsyncIterator[str]:
    name = f"test-compose-{random.randrange(16**6):06x}"
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    metadata = {"name": name, "labels": labels}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    await kube.apply(manifest, field_manager="test")
    yield name
    await kube.delete("v1", "Namespace", name)


async def until(kube: KubeClient, kind: Manifest, holds: Callable[[Manifest], bool]) -> Manifest:
    """Watch one object until a condition holds."""
    name, namespace = kind["metadata"]["name"], kind["metadata"]["namespace"]
    async with asyncio.timeout(180):
        async for event in kube.watch(kind["apiVersion"], kind["kind"], namespace):
            if event.obj.get("metadata", {}).get("name") == name and holds(event.obj):
                return event.obj
    raise AssertionError("the watch ended")


def has(condition: str) -> Callable[[Manifest], bool]:
    return lambda obj: any(
        c["type"] == condition and c["status"] == "True"
        for c in obj.get("status", {}).get("conditions", ())
    )


async def deploy(kube: KubeClient, result: Plan) -> None:
    for wave in result.waves:
        for manifest in wave.manifests:
            await kube.apply(manifest, field_manager="test")
        if wave.wait is WaitFor.JOBS_COMPLETE:
            for manifest in wave.manifests:
                if manifest["kind"] == "Job":
                    await until(kube, manifest, has("Complete"))
    for manifest in result.manifests:
        if manifest["kind"] == "Deployment":
            await until(kube, manifest, has("Available"))


async def test_an_app_sees_what_compose_promises_and_a_second_apply_changes_nothing(
    kube: KubeClient, namespace: str
) -> None:
    context = Context(app="live", namespace=namespace, files=FILES, wait_image=IMAGE)
    result = plan([SourceFile("compose.yml", COMPOSE.encode())], context)
    assert not result.rejected, [str(d) for d in result.diagnostics]
    await deploy(kube, result)
    (pod,) = await kube.list("v1", "Pod", namespace, "skerry.dev/service=web")
    log = b""
    async with asyncio.timeout(60):
        async for chunk in kube.logs(
            namespace, pod["metadata"]["name"], "web", follow=True, timestamps=False
        ):
            log += chunk
            if log.endswith(b"done\n"):
                break
    assert log.decode().splitlines() == [
        "env=a b|$(PLAIN)$$x",
        "id=1000:1000",
        "file=single deep=deep secret=pa$word",
        "old-name=index alias=index",
        "links=0",
        "seeded folder is writable",
        "root is read-only",
        "shm=32768",
        "done",
    ]
    again = [await kube.apply(manifest, field_manager="test") for manifest in result.manifests]
    assert [one.obj["metadata"]["name"] for one in again if one.changed] == []
