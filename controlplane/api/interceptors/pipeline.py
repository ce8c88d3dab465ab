"""Runs the stages around a servicer's method, the same way for all four kinds of RPC. The one gRPC interceptor of the servers."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from controlplane.api.interceptors import call as calls
from controlplane.api.interceptors.call import Call, Context, Kind, Stage
from controlplane.api.interceptors.drain import Drain
from controlplane.api.interceptors.interrupts import Interrupt

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
    `check_request` sees each request that comes alone before the servicer does; `authorize` sees that, or the first of a stream.
    `watching` guards a stream while it is open: it may fire the interrupt.
    """

    def __init__(
        self,
        *,
        identify: Callable[[str, Kind, grpc.HandlerCallDetails], Call],
        admit: Callable[[Call], Awaitable[None]],
        stages: Sequence[Stage],
        check_request: Callable[[Message], None],
        authorize: Callable[[Call, Message], Awaitable[None]],
        watching: Callable[[Call, Interrupt], AbstractContextManager[None]],
        drain: Drain,
    ) -> None:
        self._identify = identify
        self._admit = admit
        self._stages = tuple(stages)
        self._check_request = check_request
        self._authorize = authorize
        self._watching = watching
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
            interrupt = Interrupt()
            async with self._inside(call, context):
                if isinstance(request, Message):
                    self._check_request(request)
                    await self._authorize(call, request)
                elif call.principal is not None:
                    request = _Guarded(request, call, self._authorize, interrupt)
                answer = behaviour(request, context)
                if isinstance(answer, AsyncGenerator):
                    with self._drain.watching(interrupt), self._watching(call, interrupt):
                        return await self._write(answer, context, interrupt)
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

    @staticmethod
    async def _write(
        answers: AsyncGenerator[Any, None], context: Context, interrupt: Interrupt
    ) -> None:
        # Written out rather than yielded on: a generator left at a `yield` by a cancelled call would be closed by the garbage
        # collector at some later time, in another task, and its cleanup with it.
        async with contextlib.aclosing(answers) as messages:
            while True:
                interrupt.check()
                try:
                    message = await interrupt.within(anext(messages))
                except StopAsyncIteration:
                    return
                await context.write(message)


class _Guarded:
    """A stream of requests whose first one is authorised before the servicer gets it, and which ends once the call is interrupted.

    No generator: closing one would cancel a pending read (grpc/grpc#43360).
    """

    def __init__(
        self,
        requests: AsyncIterator[Any],
        call: Call,
        authorize: Callable[[Call, Message], Awaitable[None]],
        interrupt: Interrupt,
    ) -> None:
        self._requests = requests
        self._call = call
        self._authorize = authorize
        self._interrupt = interrupt
        self._first = True

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        request = await anext(self._requests)
        if self._first:
            self._first = False
            await self._authorize(self._call, request)
        # A caller who lost the right to speak is not heard, also when nobody reads what they would be told.
        self._interrupt.check()
        return request
