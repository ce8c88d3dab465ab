"""Commands in real containers through the handler: terminal, resize, input, exit code, the end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from skerry.agent.v1 import link_pb2, stream_pb2

from agent.handlers.exec import ExecHandler
from agent.kube import KubeClient
from agent.link.errors import StreamError
from tests.integration.agent.conftest import eventually
from tests.integration.agent.streams import MemoryStream
from tests.integration.agent.test_logs import pod, start

pytestmark = pytest.mark.cluster


@pytest.fixture
async def web(kube: KubeClient, namespace: str) -> str:
    """A running pod of service web; its namespace."""
    await start(kube, pod(namespace, "a", "sleep 3600"))

    async def ready() -> bool:
        found = await kube.get("v1", "Pod", "a", namespace)
        return bool(found and found["status"]["phase"] == "Running")

    await eventually(ready)
    return namespace


@asynccontextmanager
async def running(kube: KubeClient, **query: Any) -> AsyncIterator[MemoryStream]:
    stream = MemoryStream()
    handler = ExecHandler(kube, new_mark=lambda: uuid.uuid4().hex)
    opened = link_pb2.Open(exec=stream_pb2.OpenExec(app="demo", **query))
    task = asyncio.create_task(handler(opened, stream))
    try:
        yield stream
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def to_end(stream: MemoryStream) -> tuple[bytes, bytes, stream_pb2.ExecEnded]:
    """stdout, stderr and how it ended."""
    output = {link_pb2.CHANNEL_STDOUT: b"", link_pb2.CHANNEL_STDERR: b""}
    while True:
        data = await stream.sent()
        if data.channel == link_pb2.CHANNEL_CONTROL:
            status = stream_pb2.ExecStatus.FromString(data.payload)
            if status.HasField("ended"):
                return *output.values(), status.ended  # type: ignore[return-value]
        else:
            output[data.channel] += data.payload


async def until(stream: MemoryStream, text: bytes) -> bytes:
    """Output up to the first time `text` is in it."""
    seen = b""
    while text not in seen:
        data = await stream.sent()
        if data.channel == link_pb2.CHANNEL_STDOUT:
            seen += data.payload
    return seen


async def processes(kube: KubeClient, namespace: str) -> bytes:
    session = await kube.exec(namespace, "a", "web", ["ps", "-o", "args"])
    seen = b"".join([payload async for _, payload in session.output()])
    await session.close()
    return seen


async def test_output_and_exit_code(kube: KubeClient, web: str) -> None:
    command = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    async with running(kube, namespace=web, command=command) as stream:
        out, err, ended = await to_end(stream)
    assert (out, err, ended.exit_code) == (b"out\n", b"err\n", 3)


async def test_the_first_thing_said_is_where_it_runs(kube: KubeClient, web: str) -> None:
    async with running(kube, namespace=web, command=["true"]) as stream:
        status = stream_pb2.ExecStatus.FromString((await stream.sent()).payload)
        assert (status.running.pod, status.running.container) == ("a", "web")
        await to_end(stream)


async def test_input_ends_when_the_far_end_says_so(kube: KubeClient, web: str) -> None:
    async with running(kube, namespace=web, command=["wc", "-c"], stdin=True) as stream:
        stream.type(b"x" * 100_000)
        stream.control(stream_pb2.ExecControl(stdin_eof=True))
        out, _, ended = await to_end(stream)
    assert (out.strip(), ended.exit_code) == (b"100000", 0)


async def test_a_terminal_with_its_size_and_a_resize(kube: KubeClient, web: str) -> None:
    command = ["sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done"]
    async with running(
        kube, namespace=web, command=command, tty=True, stdin=True, rows=33, columns=99
    ) as stream:
        await until(stream, b"ready")
        resize = stream_pb2.Resize(rows=50, columns=120)
        stream.control(stream_pb2.ExecControl(resize=resize))
        await until(stream, b"50 120")
        stream.type(b"\x03")
        _, _, ended = await to_end(stream)
    assert ended.exit_code == 130


async def test_without_a_command_there_is_a_shell(kube: KubeClient, web: str) -> None:
    async with running(kube, namespace=web, tty=True, stdin=True, rows=24, columns=80) as stream:
        stream.type(b"echo $((6*7))\n")
        await until(stream, b"42\r\n")
        stream.type(b"exit 5\n")
        _, _, ended = await to_end(stream)
    assert ended.exit_code == 5


async def test_the_end_of_input_ends_a_shell(kube: KubeClient, web: str) -> None:
    async with running(kube, namespace=web, tty=True, stdin=True) as stream:
        await until(stream, b"# ")  # a shell throws away what was typed before its prompt
        stream.hang_up()
        _, _, ended = await to_end(stream)
    assert ended.exit_code == 0


async def test_a_program_that_is_not_there(kube: KubeClient, web: str) -> None:
    async with running(kube, namespace=web, command=["no-such-program"]) as stream:
        _, err, ended = await to_end(stream)
    assert ended.exit_code == 127
    assert b"no-such-program" in err


@pytest.mark.parametrize("tty", [True, False])
async def test_a_command_whose_session_is_cut_does_not_run_on(
    kube: KubeClient, web: str, tty: bool
) -> None:
    stream = MemoryStream()
    command = ["sh", "-c", "echo up; sleep 4711"]
    request = stream_pb2.OpenExec(app="demo", namespace=web, command=command, tty=tty, stdin=True)
    handler = ExecHandler(kube, new_mark=lambda: uuid.uuid4().hex)
    task = asyncio.create_task(handler(link_pb2.Open(exec=request), stream))
    await until(stream, b"up")
    assert b"sleep 4711" in await processes(kube, web)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def ended() -> bool:
        return b"sleep 4711" not in await processes(kube, web)

    await eventually(ended, within=60)


@pytest.fixture
async def bare(kube: KubeClient, namespace: str) -> str:
    """A running pod whose only program is busybox under that one name: it has no `sh`."""
    manifest = pod(namespace, "a", "")
    spec = manifest["spec"]
    tools = {"name": "tools", "mountPath": "/tools"}
    copy = {**spec["containers"][0], "name": "copy", "volumeMounts": [tools]}
    copy["command"] = ["cp", "/bin/busybox", "/tools/busybox"]
    spec["initContainers"] = [copy]
    main = spec["containers"][0]
    main["command"] = ["/tools/busybox", "sleep", "3600"]
    main["env"] = [{"name": "PATH", "value": "/tools"}]
    main["volumeMounts"] = [tools]
    spec["volumes"] = [{"name": "tools", "emptyDir": {}}]
    await start(kube, manifest)
    return namespace


async def test_an_image_without_a_shell_runs_the_command_with_all_of_its_input(
    kube: KubeClient, bare: str
) -> None:
    command = ["busybox", "cat"]
    async with running(kube, namespace=bare, command=command, stdin=True) as stream:
        stream.type(b"typed at once")
        stream.hang_up()
        out, _, ended = await to_end(stream)
    assert (out, ended.exit_code) == (b"typed at once", 0)


async def test_an_image_without_a_shell_has_no_login(kube: KubeClient, bare: str) -> None:
    with pytest.raises(StreamError, match="has no shell"):
        async with running(kube, namespace=bare, tty=True):
            pass


async def test_a_service_that_is_not_there(kube: KubeClient, web: str) -> None:
    with pytest.raises(StreamError, match="no service nope") as caught:
        async with running(kube, namespace=web, service="nope", command=["true"]):
            pass
    assert caught.value.reason == "INVALID_FIELD"


async def test_an_app_that_does_not_run(kube: KubeClient, namespace: str) -> None:
    with pytest.raises(StreamError, match="running") as caught:
        async with running(kube, namespace=namespace, command=["true"]):
            pass
    assert caught.value.reason == "NO_RUNNING_POD"
