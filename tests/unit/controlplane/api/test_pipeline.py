"""The interceptors treat all four kinds of RPC alike: over a real server and a real channel."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from controlplane.api.interceptors.access_log import AccessLog, identify
from controlplane.api.interceptors.call import Call, current
from controlplane.api.interceptors.drain import Drain
from controlplane.api.interceptors.errors import translate_errors
from controlplane.api.interceptors.limits import SizeLimit
from controlplane.api.interceptors.metrics import CallMetrics
from controlplane.api.interceptors.pipeline import Pipeline
from controlplane.domain.clock import SystemClock
from controlplane.domain.errors import InvalidField, NotFound, PermissionDenied

KINDS = ["unary", "server_stream", "client_stream", "bidi_stream"]
Do = Callable[[str], Awaitable[str]]


class Service:
    """One method of each kind; each does `do` with what it is asked and answers with what that returns."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def unary(self, request: StringValue, _context: Any) -> StringValue:
        return StringValue(value=await self._do(request.value))

    async def server_stream(
        self, request: StringValue, _context: Any
    ) -> AsyncIterator[StringValue]:
        yield StringValue(value=await self._do(request.value))

    async def client_stream(
        self, requests: AsyncIterator[StringValue], _context: Any
    ) -> StringValue:
        answers = [await self._do(request.value) async for request in requests]
        return StringValue(value="".join(answers))

    async def bidi_stream(
        self, requests: AsyncIterator[StringValue], _context: Any
    ) -> AsyncIterator[StringValue]:
        async for request in requests:
            yield StringValue(value=await self._do(request.value))


class Server:
    """A server with the real stages around `Service`, and a client for it."""

    def __init__(self, port: int, drain: Drain, registry: CollectorRegistry) -> None:
        self.drain = drain
        self.registry = registry
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")

    async def call(self, kind: str, text: str = "hello", **options: Any) -> str:
        """Calls with one message; the answers, joined."""
        serializers = {
            "request_serializer": StringValue.SerializeToString,
            "response_deserializer": StringValue.FromString,
        }
        make: dict[str, Any] = {
            "unary": self.channel.unary_unary,
            "server_stream": self.channel.unary_stream,
            "client_stream": self.channel.stream_unary,
            "bidi_stream": self.channel.stream_stream,
        }

        async def requests() -> AsyncIterator[StringValue]:
            yield StringValue(value=text)

        method = make[kind](f"/test.v1.Test/{kind}", **serializers)
        request = (
            requests() if kind in ("client_stream", "bidi_stream") else StringValue(value=text)
        )
        call = method(request, **options)
        if kind in ("unary", "client_stream"):
            answer: StringValue = await call
            return answer.value
        return "".join([answer.value async for answer in call])


async def admit_all(_call: Call) -> None:
    """Nobody is refused."""


async def authorize_all(_call: Call, _request: Any) -> None:
    """Nobody is refused."""


@contextlib.asynccontextmanager
async def serve(
    do: Do, *, admit: Callable[[Call], Awaitable[None]] = admit_all
) -> AsyncIterator[Server]:
    drain, registry, clock = Drain(), CollectorRegistry(), SystemClock()
    pipeline = Pipeline(
        identify=identify,
        admit=admit,
        stages=[AccessLog(clock), CallMetrics(registry, clock), translate_errors],
        check_request=SizeLimit(1000),
        authorize=authorize_all,
        watching=lambda _call, _interrupt: contextlib.nullcontext(),
        drain=drain,
    )
    service = Service(do)
    codec = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    handlers: Any = {
        "unary": grpc.unary_unary_rpc_method_handler(service.unary, **codec),
        "server_stream": grpc.unary_stream_rpc_method_handler(service.server_stream, **codec),
        "client_stream": grpc.stream_unary_rpc_method_handler(service.client_stream, **codec),
        "bidi_stream": grpc.stream_stream_rpc_method_handler(service.bidi_stream, **codec),
    }
    server = grpc.aio.server(interceptors=[pipeline])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.v1.Test", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = Server(port, drain, registry)
    try:
        yield client
    finally:
        await client.channel.close()
        await server.stop(None)


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The google.rpc details of an error by type name."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    found = {}
    for packed in status.details:
        message = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])()
        packed.Unpack(message)
        found[packed.TypeName().rpartition(".")[2]] = message
    return found


async def echo(text: str) -> str:
    return text


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_passes(kind: str) -> None:
    async with serve(echo) as server:
        assert await server.call(kind) == "hello"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_domain_error_becomes_a_status_with_details(kind: str) -> None:
    async def fail(_text: str) -> str:
        raise NotFound("clusters/home")

    async with serve(fail) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.call(kind, metadata=(("x-request-id", "req-1"),))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    found = details(caught.value)
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == (
        "RESOURCE_NOT_FOUND",
        "skerry.dev",
    )
    assert found["ResourceInfo"].resource_name == "clusters/home"
    assert found["RequestInfo"].request_id == "req-1"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unexpected_exception_shows_nothing_of_the_inside(kind: str) -> None:
    async def fail(_text: str) -> str:
        raise RuntimeError("password=hunter2")

    async with serve(fail) as server:
        with capture_logs() as logs, pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.call(kind, metadata=(("x-request-id", "req-2"),))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in str(caught.value)
    assert "req-2" in (caught.value.details() or "")
    assert [entry["event"] for entry in logs] == ["call_failed_unexpectedly", "rpc"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_caller_never_reaches_the_servicer(kind: str) -> None:
    async def never(_text: str) -> str:
        raise AssertionError("reached")

    async def refuse(_call: Call) -> None:
        raise PermissionDenied("no")

    async with serve(never, admit=refuse) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.call(kind)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert details(caught.value)["ErrorInfo"].reason == "PERMISSION_DENIED"


@pytest.mark.parametrize("kind", ["unary", "server_stream"])
async def test_a_large_request_is_refused_with_its_size(kind: str) -> None:
    async with serve(echo) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.call(kind, "x" * 2000)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    info = details(caught.value)["ErrorInfo"]
    assert (info.reason, info.metadata["limit"]) == ("REQUEST_TOO_LARGE", "1000")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_call_cancels_the_servicer(kind: str) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def wait(_text: str) -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    async with serve(wait) as server:
        client = asyncio.create_task(server.call(kind))
        await began.wait()
        client.cancel()
        await asyncio.wait_for(ended.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await client


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_ends_the_servicer(kind: str) -> None:
    ended = asyncio.Event()

    async def wait(_text: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    async with serve(wait) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.call(kind, timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("kind", ["server_stream", "bidi_stream"])
async def test_a_waiting_stream_ends_when_the_server_drains(kind: str) -> None:
    began = asyncio.Event()

    async def wait(_text: str) -> str:
        began.set()
        await asyncio.Event().wait()
        return ""

    async with serve(wait) as server:
        client = asyncio.create_task(server.call(kind))
        await began.wait()
        server.drain.begin()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(client, 5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    found = details(caught.value)
    assert found["ErrorInfo"].reason == "DRAINING"
    assert found["RetryInfo"].retry_delay.ToMilliseconds() == 1000


async def test_a_unary_call_may_finish_while_the_server_drains() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def wait(text: str) -> str:
        began.set()
        await go_on.wait()
        return text

    async with serve(wait) as server:
        client = asyncio.create_task(server.call("unary"))
        await began.wait()
        server.drain.begin()
        go_on.set()
        assert await client == "hello"


async def test_the_request_id_comes_back_and_is_in_the_log() -> None:
    async with serve(echo) as server:
        method: Any = server.channel.unary_unary(
            "/test.v1.Test/unary",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=StringValue.FromString,
        )
        with capture_logs() as logs:
            call = method(StringValue(value="x"), metadata=(("x-request-id", "abc.1"),))
            await call
            trailers = dict(await call.trailing_metadata())
    assert trailers["x-request-id"] == "abc.1"
    assert [(entry["method"], entry["code"]) for entry in logs] == [("/test.v1.Test/unary", "OK")]


@pytest.mark.parametrize("given", ["a b", "x" * 65, ""])
async def test_an_unfit_request_id_is_replaced(given: str) -> None:
    seen = []

    async def look(text: str) -> str:
        seen.append(current().request_id)
        return text

    async with serve(look) as server:
        await server.call("unary", metadata=(("x-request-id", given),))
    assert seen != [given]
    assert len(seen[0]) == 32


async def test_calls_are_counted_by_code() -> None:
    async def fail(_text: str) -> str:
        raise InvalidField.of("name", "is required")

    async with serve(fail) as server:
        with pytest.raises(grpc.aio.AioRpcError):
            await server.call("unary")
        labels = {
            "grpc_type": "unary",
            "grpc_service": "test.v1.Test",
            "grpc_method": "unary",
            "grpc_code": "INVALID_ARGUMENT",
        }
        assert server.registry.get_sample_value("grpc_server_handled_total", labels) == 1
