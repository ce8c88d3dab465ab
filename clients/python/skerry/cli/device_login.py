"""Logging in by a code: shows it, and asks until somebody has approved it. Used by `skerry login`."""

from __future__ import annotations

import asyncio
import socket

import skerry
from skerry.cli.exit_codes import CliError, ExitCode
from skerry.cli.run import Run
from skerry.platform.v1 import device_login_pb2

_WAITING = frozenset(
    {
        device_login_pb2.DEVICE_LOGIN_STATE_PENDING,
        device_login_pb2.DEVICE_LOGIN_STATE_SLOW_DOWN,
    }
)


async def login_by_code(run: Run, client: skerry.Client) -> str:
    """The session's token. Raises CliError when it was denied, or nobody answered in time."""
    started = await client.device_logins.start(f"skerry on {socket.gethostname()}"[:100])
    code = started.user_code
    if started.verification_uri:
        run.out.insist(
            f"Open {started.verification_uri}?user_code={code} and check the code {code}"
        )
    run.out.insist(f"Where you are logged in already: skerry device approve {code}")
    interval = started.interval
    while True:
        await asyncio.sleep(interval.ToTimedelta().total_seconds())
        try:
            answer = await client.device_logins.poll(started.device_code)
        except skerry.errors.Unavailable as error:
            # A server that is away for a moment has not forgotten the code (RFC 8628 §3.5).
            run.cut(error)
            continue
        if answer.state not in _WAITING:
            break
        interval = answer.interval
    if answer.state == device_login_pb2.DEVICE_LOGIN_STATE_APPROVED:
        return answer.secret
    if answer.state == device_login_pb2.DEVICE_LOGIN_STATE_DENIED:
        raise CliError("the login was denied", ExitCode.AUTH)
    raise CliError("nobody approved the code in time: run it again", ExitCode.AUTH)
