"""Runs the stages around a servicer's method, the same way for all four kinds of RPC. The one gRPC interceptor of the servers."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from controlplane.api.interceptors import call as calls
from controlplane.api.interceptors.call import Call, Context, Kind, Stage
from controlplane.api.interceptors.drain import Drain

# In quotes: generic for the type checker only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"

_KINDS: dict[tuple[bool, bool], Kind] = {
    (False, False): "unary",
    (False, True): "server_stream",
    (True, False): "client_stream",
    (True, True): "bidi_stream",
}


class Pipeline(grpc.aio.ServerInterceptor):
    """Admits a call, then runs its servicer inside the stages, the first stage outermost.

    `admit` runs before the request is read: a caller who is refused cannot make the server hold a large message.
    `check_request` sees each unary request before the servicer does.
    """

    def __init__(
        self,
        *,
        identify: Callable[[str, Kind, grpc.HandlerCallDetails], Call],
        admit: Callable[[Call], Awaitable[None]],
        stages: Sequence[Stage],
        check_request: Callable[[Message], None],
        drain: Drain,
    ) -> None:
        self._identify = identify
        self._admit = admit
        self._stages = tuple(stages)
        self._check_request = check_request
        self._drain = drain

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Called by grpc.aio for each call, in the task that will serve it."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        kind = _KINDS[handler.request_streaming, handler.response_streaming]
        call = self._identify(handler_call_details.method, kind, handler_call_details)
        calls.enter(call)
        try:
            await self._admit(call)
        except Exception as refusal:
            return self._refuse(call, refusal)
        return self._wrap(call, handler)

    def _refuse(self, call: Call, refusal: Exception) -> Handler:
        """A handler that ends the call with the refusal, without reading what the client sends."""

        async def refused(_requests: AsyncIterator[Any], context: Context) -> None:
            async with self._inside(call, context):
                raise refusal

        return grpc.stream_stream_rpc_method_handler(refused)

    def _wrap(self, call: Call, handler: Handler) -> Handler:
        behaviour: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )

        async def serve(request: Any, context: Context) -> Any:
            async with self._inside(call, context):
                if isinstance(request, Message):
                    self._check_request(request)
                answer = behaviour(request, context)
                if isinstance(answer, AsyncGenerator):
                    return await self._write(answer, context)
                # One message, or a method that reads and writes on the context itself.
                return await answer

        make: Any = {
            "unary": grpc.unary_unary_rpc_method_handler,
            "server_stream": grpc.unary_stream_rpc_method_handler,
            "client_stream": grpc.stream_unary_rpc_method_handler,
            "bidi_stream": grpc.stream_stream_rpc_method_handler,
        }[call.kind]
        wrapped: Handler = make(
            serve,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return wrapped

    @contextlib.asynccontextmanager
    async def _inside(self, call: Call, context: Context) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for stage in self._stages:
                await stack.enter_async_context(stage(call, context))
            yield

    async def _write(self, answers: AsyncGenerator[Any, None], context: Context) -> None:
        # Written out rather than yielded on: a generator left at a `yield` by a cancelled call would be closed by the garbage
        # collector at some later time, in another task, and its cleanup with it.
        async with contextlib.aclosing(answers) as messages:
            while True:
                self._drain.check()
                try:
                    message = await self._drain.within(anext(messages))
                except StopAsyncIteration:
                    return
                await context.write(message)
