"""Who loses a token or a role is out at once, open streams included."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    environment_pb2,
    environment_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
    member_pb2,
    member_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    terminal_pb2,
    terminal_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)

from tests.integration.controlplane.harness import Plane, Worker, agent, control_plane
from tests.integration.controlplane.tenants import Tenant, as_, code_of, metadata, person, tenant

Revoke = Callable[[Plane, str, Tenant], Awaitable[Any]]


async def logout(plane: Plane, token: str, _home: Tenant) -> None:
    await as_(plane, token, session_pb2_grpc.SessionServiceStub).Logout(session_pb2.LogoutRequest())


async def disable(plane: Plane, _token: str, _home: Tenant) -> None:
    request = user_pb2.UpdateUserRequest(user=user_pb2.User(name="users/anne", disabled=True))
    request.update_mask.paths.append("disabled")
    await plane.stub(user_pb2_grpc.UserServiceStub).UpdateUser(request)


async def take_role(plane: Plane, _token: str, home: Tenant) -> None:
    await plane.stub(member_pb2_grpc.MemberServiceStub).RevokeRole(
        member_pb2.RevokeRoleRequest(
            resource=home.organization, subject="users/anne", role="developer"
        )
    )


def watch(plane: Plane, token: str, home: Tenant) -> Any:
    return as_(plane, token, app_pb2_grpc.AppServiceStub).WatchApps(
        app_pb2.WatchAppsRequest(parent=home.environment)
    )


def tail(plane: Plane, token: str, home: Tenant) -> Any:
    return as_(plane, token, log_pb2_grpc.LogServiceStub).TailLogs(
        log_pb2.TailLogsRequest(app=home.app, follow=True)
    )


def shell(plane: Plane, token: str, home: Tenant) -> Any:
    async def requests() -> AsyncIterator[terminal_pb2.ExecRequest]:
        yield terminal_pb2.ExecRequest(start=terminal_pb2.ExecStart(app=home.app, stdin=True))
        await asyncio.Event().wait()

    return terminal_pb2_grpc.TerminalServiceStub(plane.channel).Exec(
        requests(), metadata=metadata(token)
    )


def terminal(plane: Plane, token: str, home: Tenant) -> Any:
    return as_(plane, token, terminal_pb2_grpc.TerminalServiceStub).OpenTerminal(
        terminal_pb2.OpenTerminalRequest(start=terminal_pb2.ExecStart(app=home.app))
    )


@pytest.mark.parametrize(
    ("revoke", "code"),
    [
        (logout, grpc.StatusCode.UNAUTHENTICATED),
        (disable, grpc.StatusCode.UNAUTHENTICATED),
        (take_role, grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_open_streams_end_at_once(
    tmp_path: Path, revoke: Revoke, code: grpc.StatusCode, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        control_plane(tmp_path / "data") as plane,
        agent(plane, Worker(), tmp_path / "agent"),
    ):
        home = await tenant(plane, "acme")
        token = await person(plane, "anne", developer=home.organization)
        calls = [open_one(plane, token, home) for open_one in (watch, tail, shell, terminal)]
        for call in calls:
            await call.read()
        started = time.monotonic()
        await revoke(plane, token, home)
        ends = await asyncio.gather(*(code_at_the_end(call) for call in calls))
        elapsed = time.monotonic() - started
        assert ends == [code] * 4
        with capsys.disabled():
            sys.stdout.write(f"\n{revoke.__name__}: 4 open streams ended in {elapsed:.3f} s\n")
        assert await code_of(watch(plane, token, home)) is code


async def code_at_the_end(call: Any) -> grpc.StatusCode:
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError:
        pass
    code: grpc.StatusCode = await call.code()
    return code


async def test_protecting_an_environment_closes_its_terminals(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path / "data") as plane,
        agent(plane, Worker(), tmp_path / "agent"),
    ):
        home = await tenant(plane, "acme")
        token = await person(plane, "anne", developer=home.organization)
        open_shell, watching = shell(plane, token, home), watch(plane, token, home)
        await open_shell.read()
        await watching.read()
        request = environment_pb2.UpdateEnvironmentRequest(
            environment=environment_pb2.Environment(name=home.environment, protected=True)
        )
        request.update_mask.paths.append("protected")
        await plane.stub(environment_pb2_grpc.EnvironmentServiceStub).UpdateEnvironment(request)
        assert await code_at_the_end(open_shell) is grpc.StatusCode.PERMISSION_DENIED
        assert not watching.done()


async def test_an_expired_session_ends_its_streams(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path / "data") as plane,
        agent(plane, Worker(), tmp_path / "agent"),
    ):
        home = await tenant(plane, "acme")
        request = session_pb2.CreateTokenRequest(display_name="short")
        request.ttl.FromMilliseconds(800)
        issued = await plane.stub(session_pb2_grpc.SessionServiceStub).CreateToken(request)
        call = watch(plane, issued.secret, home)
        assert await code_at_the_end(call) is grpc.StatusCode.UNAUTHENTICATED
