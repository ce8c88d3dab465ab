"""Third stage: the one place where an exception becomes a status. Wired by `app.py`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import structlog

from controlplane.api import errors
from controlplane.api.interceptors.call import Call, Context

log = structlog.get_logger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@contextlib.asynccontextmanager
async def translate_errors(call: Call, context: Context) -> AsyncIterator[None]:
    """Ends the call with the status of what was raised; says in `call` how it ended."""
    try:
        yield
    except asyncio.CancelledError:
        # The client hung up or its deadline passed: grpc has ended the call already.
        call.code = grpc.StatusCode.CANCELLED
        raise
    except grpc.aio.AbortError:
        # A servicer of a library, such as health, ended the call itself.
        call.code = context.code()
        raise
    except Exception as error:
        known = errors.from_exception(error)
        if known.reason == "INTERNAL":
            log.exception("call_failed_unexpectedly", method=call.method)
        status = errors.to_status(known, request_id=call.request_id)
        call.code, call.reason = _CODES[status.code], known.reason
        await context.abort(
            call.code,
            status.message,
            (
                ("x-request-id", call.request_id),
                ("grpc-status-details-bin", status.SerializeToString()),
            ),
        )
