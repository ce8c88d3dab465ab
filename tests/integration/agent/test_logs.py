"""Logs of real pods through the handler: following, restarts, replacement, cursors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from skerry.agent.v1 import link_pb2, stream_pb2

from agent.handlers.logs import LogsHandler
from agent.kube import KubeClient, Manifest
from agent.link.errors import StreamError
from tests.integration.agent.conftest import IMAGE, eventually
from tests.integration.agent.streams import MemoryStream

pytestmark = pytest.mark.cluster


def pod(namespace: str, name: str, script: str, *, restart: str = "Never") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/managed-by": "skerry",
                "skerry.dev/app": "demo",
                "skerry.dev/service": "web",
            },
        },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": restart,
            "automountServiceAccountToken": False,
            "containers": [{"name": "web", "image": IMAGE, "command": ["sh", "-c", script]}],
        },
    }


async def start(kube: KubeClient, manifest: Manifest) -> None:
    """Make the pod and wait until its container has begun to run."""
    await kube.apply(manifest, field_manager="test")
    metadata = manifest["metadata"]

    async def running() -> bool:
        found = await kube.get("v1", "Pod", metadata["name"], metadata["namespace"])
        return bool(found and found["status"].get("phase") != "Pending")

    await eventually(running)


@asynccontextmanager
async def tailing(kube: KubeClient, **query: Any) -> AsyncIterator[MemoryStream]:
    """A running logs stream."""
    stream = MemoryStream()
    opened = link_pb2.Open(logs=stream_pb2.OpenLogs(app="demo", **query))
    task = asyncio.create_task(LogsHandler(kube)(opened, stream))
    try:
        yield stream
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def read_all(kube: KubeClient, **query: Any) -> list[stream_pb2.LogEvent]:
    """Everything a stream without `follow` says."""
    stream = MemoryStream()
    opened = link_pb2.Open(logs=stream_pb2.OpenLogs(app="demo", **query))
    await LogsHandler(kube)(opened, stream)
    return [await stream.event() for _ in range(stream.waiting())]


def texts(events: list[stream_pb2.LogEvent]) -> list[str]:
    """The lines without their times."""
    lines = b"".join(event.lines for event in events).decode().splitlines()
    return [line.partition(" ")[2] for line in lines]


async def until_line(stream: MemoryStream, text: str) -> list[stream_pb2.LogEvent]:
    """Events up to the one with a line of that text."""
    events = [await stream.event()]
    while text not in texts(events[-1:]):
        events.append(await stream.event())
    return events


async def test_the_whole_log_of_a_pod(kube: KubeClient, namespace: str) -> None:
    await start(kube, pod(namespace, "a", "for i in 1 2 3; do echo line $i; done; sleep 3600"))

    async def written() -> bool:
        events = await read_all(kube, namespace=namespace)
        return texts(events) == ["line 1", "line 2", "line 3"]

    await eventually(written)
    events = await read_all(kube, namespace=namespace, tail_lines=2)
    assert texts(events) == ["line 2", "line 3"]
    assert [event.WhichOneof("event") for event in events] == ["started", "lines", "ended"]
    assert (events[1].service, events[1].pod, events[1].container) == ("web", "a", "web")


async def test_following_shows_lines_as_they_are_written(kube: KubeClient, namespace: str) -> None:
    script = "i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.2; done"
    await start(kube, pod(namespace, "a", script))
    async with tailing(kube, namespace=namespace, follow=True) as stream:
        events = await until_line(stream, "tick 5")
    assert texts(events)[:6] == [f"tick {i}" for i in range(6)]


async def test_nothing_goes_on_after_the_stream_is_gone(kube: KubeClient, namespace: str) -> None:
    await start(kube, pod(namespace, "a", "echo one; sleep 3600"))
    async with tailing(kube, namespace=namespace, follow=True) as stream:
        await until_line(stream, "one")
    left = {task.get_name() for task in asyncio.all_tasks() if task.get_name() != "Task-1"}
    assert not {name for name in left if name.startswith(("log-", "observe-"))}


async def test_following_goes_on_through_a_restart_of_the_container(
    kube: KubeClient, namespace: str
) -> None:
    script = "for i in 1 2 3; do echo run; done; echo last words; sleep 1; exit 1"
    await start(kube, pod(namespace, "a", script, restart="Always"))
    async with tailing(kube, namespace=namespace, follow=True) as stream:
        events: list[stream_pb2.LogEvent] = []
        while not any(event.restarts == 1 and event.lines for event in events):
            events.append(await stream.event())
    assert texts([e for e in events if e.restarts == 0]) == ["run", "run", "run", "last words"]
    ended = [e.ended for e in events if e.WhichOneof("event") == "ended"]
    assert ended == ["the container exited with code 1"]


async def test_following_shows_a_pod_that_comes_later(kube: KubeClient, namespace: str) -> None:
    await start(kube, pod(namespace, "a", "echo first; sleep 3600"))
    async with tailing(kube, namespace=namespace, follow=True) as stream:
        await until_line(stream, "first")
        await kube.delete("v1", "Pod", "a", namespace)
        await kube.apply(pod(namespace, "b", "echo second; sleep 3600"), field_manager="test")
        events = [await stream.event()]
        while not ("second" in texts(events) and any(event.ended for event in events)):
            events.append(await stream.event())
    assert {event.pod for event in events if event.lines} == {"b"}
    assert [event.pod for event in events if event.ended] == ["a"]


async def test_resuming_at_a_cursor_loses_and_doubles_nothing(
    kube: KubeClient, namespace: str
) -> None:
    script = "i=0; while [ $i -lt 500 ]; do echo n$i; i=$((i+1)); done; sleep 3600"
    await start(kube, pod(namespace, "a", script))

    async def written() -> bool:
        return texts(await read_all(kube, namespace=namespace))[-1:] == ["n499"]

    await eventually(written)
    everything = await read_all(kube, namespace=namespace)
    lines = b"".join(event.lines for event in everything).splitlines()
    for position in (0, 1, 250, 498):
        when = lines[position].split(b" ")[0]
        same = sum(line.startswith(when + b" ") for line in lines[: position + 1])
        cursor = stream_pb2.LogCursor(
            pod="a",
            pod_uid=everything[0].pod_uid,
            container="web",
            time=when.decode(),
            lines_at_time=same,
        )
        rest = await read_all(kube, namespace=namespace, cursors=[cursor])
        assert texts(rest) == [f"n{i}" for i in range(position + 1, 500)]


async def test_a_cursor_of_an_earlier_run_reads_the_rest_of_that_run_first(
    kube: KubeClient, namespace: str
) -> None:
    script = "if [ -e /tmp/x/y ]; then echo again; sleep 3600; fi; mkdir /tmp/x; echo one; echo two"
    manifest = pod(namespace, "a", f"{script}; touch /tmp/x/y; exit 1", restart="Always")
    manifest["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]
    manifest["spec"]["containers"][0]["volumeMounts"] = mounts
    await start(kube, manifest)

    async def restarted() -> bool:
        return texts(await read_all(kube, namespace=namespace)) == ["again"]

    await eventually(restarted)
    before = await read_all(kube, namespace=namespace, previous=True)
    assert texts(before) == ["one", "two"]
    first = before[1].lines.split(b" ")[0].decode()
    cursor = stream_pb2.LogCursor(
        pod="a",
        pod_uid=before[0].pod_uid,
        container="web",
        time=first,
        lines_at_time=1,
        restarts=0,
    )
    rest = await read_all(kube, namespace=namespace, cursors=[cursor])
    assert texts(rest) == ["two", "again"]


async def test_a_line_longer_than_a_frame_comes_in_pieces_and_is_said(
    kube: KubeClient, namespace: str
) -> None:
    await start(kube, pod(namespace, "a", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo end"))

    async def ended() -> bool:
        return texts(await read_all(kube, namespace=namespace))[-1:] == ["end"]

    await eventually(ended)
    events = await read_all(kube, namespace=namespace)
    assert all(len(event.lines) <= 16 * 1024 for event in events)
    assert any("longer than" in event.gap for event in events)
    assert "".join(texts(events)) == "x" * 40000 + "end"


async def test_a_consumer_that_stalls_holds_the_reader_back(
    kube: KubeClient, namespace: str
) -> None:
    await start(kube, pod(namespace, "a", "yes 0123456789 | head -n 300000; sleep 3600"))
    stream = MemoryStream(capacity=4)
    opened = link_pb2.Open(logs=stream_pb2.OpenLogs(app="demo", namespace=namespace, follow=True))
    task = asyncio.create_task(LogsHandler(kube)(opened, stream))

    async def full() -> bool:
        return stream.waiting() == 4

    await eventually(full)
    count = 0
    while count < 300_000:
        count += (await stream.event()).lines.count(b"\n")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert count == 300_000


async def test_an_app_without_pods_says_so(kube: KubeClient, namespace: str) -> None:
    with pytest.raises(StreamError, match="has no pods") as caught:
        await read_all(kube, namespace=namespace)
    assert caught.value.reason == "NO_RUNNING_POD"


async def test_reading_is_fast(kube: KubeClient, namespace: str) -> None:
    """A guard against reading line by line; the measured figure is the benchmark's business."""
    await start(kube, pod(namespace, "a", "yes 0123456789012345678901234567890 | head -n 200000"))

    async def written() -> bool:
        found = await kube.get("v1", "Pod", "a", namespace)
        return bool(found and found["status"]["phase"] == "Succeeded")

    await eventually(written)
    stream = MemoryStream(capacity=100_000)
    opened = link_pb2.Open(logs=stream_pb2.OpenLogs(app="demo", namespace=namespace))
    began = time.process_time()
    await LogsHandler(kube)(opened, stream)
    used = time.process_time() - began
    lines = 0
    for _ in range(stream.waiting()):
        lines += (await stream.event()).lines.count(b"\n")
    assert lines >= 199_000  # the file may have been rotated
    assert used < 2.0, f"{lines / used:.0f} lines a second of processor time"
