"""The audit log: everything that changes something and every refusal is in it, no secret is, and a missing entry shows."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    member_pb2,
    member_pb2_grpc,
    project_pb2,
    project_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    terminal_pb2,
    terminal_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)

from tests.integration.controlplane.harness import (
    Plane,
    Worker,
    agent,
    bundle,
    control_plane,
)
from tests.integration.controlplane.tenants import (
    as_,
    code_of,
    login,
    metadata,
    person,
    tenant,
)

CANARY = "canary-4711-do-not-keep"


async def entries(plane: Plane, token: str = "", **wanted: Any) -> list[audit_pb2.AuditEntry]:
    stub = as_(plane, token or plane.token, audit_pb2_grpc.AuditServiceStub)
    request = audit_pb2.ListAuditEntriesRequest(page_size=1000, **wanted)
    return list((await stub.ListAuditEntries(request)).entries)


def short(entry: audit_pb2.AuditEntry) -> tuple[str, str, str, str]:
    return entry.actor, entry.method.rpartition("/")[2], entry.resource, entry.result


async def create_project(plane: Plane, name: str, parent: str = "organizations/default") -> None:
    await plane.stub(project_pb2_grpc.ProjectServiceStub).CreateProject(
        project_pb2.CreateProjectRequest(parent=parent, project_id=name)
    )


async def test_what_was_done_by_whom_and_from_where(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        await create_project(plane, "shop")
        assert (
            await code_of(
                plane.stub(project_pb2_grpc.ProjectServiceStub).CreateProject(
                    project_pb2.CreateProjectRequest(
                        parent="organizations/default", project_id="shop"
                    )
                )
            )
            is grpc.StatusCode.ALREADY_EXISTS
        )
        failed, made = await entries(plane)
        assert short(made) == ("users/admin", "CreateProject", "organizations/default", "OK")
        assert dict(made.details) == {"project_id": "shop"}
        assert made.address == "127.0.0.1"
        assert made.call_id
        assert made.token.startswith("users/admin/tokens/")
        assert (failed.result, failed.reason) == ("ALREADY_EXISTS", "RESOURCE_EXISTS")
        assert (failed.sequence, made.sequence) == (2, 1)


async def test_logins_and_refusals(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        home, token = "organizations/default", await person(plane, "anne")
        with contextlib.suppress(grpc.aio.AioRpcError):
            await login(plane, "anne", CANARY)
        projects = as_(plane, token, project_pb2_grpc.ProjectServiceStub)
        await code_of(projects.GetProject(project_pb2.GetProjectRequest(name=f"{home}/projects/x")))
        await code_of(
            as_(plane, "sky_nonsense", project_pb2_grpc.ProjectServiceStub).ListProjects(
                project_pb2.ListProjectsRequest(parent=home)
            )
        )
        seen = [short(entry) for entry in await entries(plane)][:4]
        assert seen == [
            ("", "ListProjects", "", "UNAUTHENTICATED"),
            ("users/anne", "GetProject", f"{home}/projects/x", "NOT_FOUND"),
            ("", "Login", "", "UNAUTHENTICATED"),
            ("", "Login", "", "OK"),
        ]
        refused = await entries(plane, result="REFUSED")
        assert [entry.method.rpartition("/")[2] for entry in refused] == [
            "ListProjects",
            "GetProject",
            "Login",
        ]
        assert dict((await entries(plane, method="Login"))[0].details) == {"user": "anne"}


async def test_strangers_cannot_fill_the_log(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        stub = as_(plane, "sky_nonsense", project_pb2_grpc.ProjectServiceStub)
        for _ in range(60):
            await code_of(stub.ListProjects(project_pb2.ListProjectsRequest()))
        assert len(await entries(plane)) == 30


async def test_exec_has_a_beginning_and_an_end_and_no_arguments(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path / "data") as plane,
        agent(plane, Worker(), tmp_path / "agent"),
    ):
        home = await tenant(plane, "acme")

        async def requests() -> AsyncIterator[terminal_pb2.ExecRequest]:
            yield terminal_pb2.ExecRequest(
                start=terminal_pb2.ExecStart(
                    app=home.app, service="web", command=["/bin/mysql", f"-p{CANARY}"]
                )
            )

        async for _ in terminal_pb2_grpc.TerminalServiceStub(plane.channel).Exec(
            requests(), metadata=metadata(plane.token)
        ):
            pass
        ended, began = await entries(plane, parent=home.app, method="Exec")
        assert (began.result, ended.result) == ("STARTED", "OK")
        assert dict(began.details) == {"service": "web", "program": "mysql"}


async def test_owners_audit_their_own_and_nobody_elses(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path / "data") as plane,
        agent(plane, Worker(), tmp_path / "agent"),
    ):
        acme, other = await tenant(plane, "acme"), await tenant(plane, "other")
        owner = await person(plane, "anne", owner=acme.organization)
        seen = {entry.resource for entry in await entries(plane, owner)}
        assert seen == {acme.organization, acme.project, acme.environment}
        stub = as_(plane, owner, audit_pb2_grpc.AuditServiceStub)
        foreign = audit_pb2.ListAuditEntriesRequest(parent=other.organization)
        assert await code_of(stub.ListAuditEntries(foreign)) is grpc.StatusCode.NOT_FOUND
        verify = stub.VerifyAuditLog(audit_pb2.VerifyAuditLogRequest())
        assert await code_of(verify) is grpc.StatusCode.PERMISSION_DENIED


async def test_a_watch_sends_what_is_written(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        await create_project(plane, "before")
        call = plane.stub(audit_pb2_grpc.AuditServiceStub).WatchAuditEntries(
            audit_pb2.WatchAuditEntriesRequest()
        )
        assert not (await call.read()).HasField("entry")
        await create_project(plane, "shop")
        assert dict((await call.read()).entry.details) == {"project_id": "shop"}
        call.cancel()


@pytest.mark.parametrize(
    ("damage", "broken"),
    [
        ("DELETE FROM audit_entries WHERE sequence = 3", 3),
        ("DELETE FROM audit_entries WHERE sequence = 5", 5),
        ("UPDATE audit_entries SET actor = 'users/other' WHERE sequence = 2", 2),
        ("UPDATE audit_entries SET hash = x'00' WHERE sequence = 4", 4),
    ],
)
async def test_a_missing_or_changed_entry_shows(tmp_path: Path, damage: str, broken: int) -> None:
    async with control_plane(tmp_path / "data") as plane:
        for number in range(5):
            await create_project(plane, f"p{number}")
        verify = plane.stub(audit_pb2_grpc.AuditServiceStub).VerifyAuditLog
        whole = await verify(audit_pb2.VerifyAuditLogRequest())
        assert (whole.intact, whole.entries) == (True, 5)
        assert whole.head == (await entries(plane))[0].hash
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "skerry.db")) as database:
            database.execute(damage)
            database.commit()
        found = await verify(audit_pb2.VerifyAuditLogRequest())
        assert (found.intact, found.broken_sequence) == (False, broken)


async def test_no_secret_is_in_the_log(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path / "data") as plane,
        agent(plane, Worker(), tmp_path / "agent"),
    ):
        home = await tenant(plane, "acme")
        await plane.stub(user_pb2_grpc.UserServiceStub).CreateUser(
            user_pb2.CreateUserRequest(user_id="anne", password=CANARY)
        )
        token = await login(plane, "anne", CANARY)
        made = await plane.stub(session_pb2_grpc.SessionServiceStub).CreateToken(
            session_pb2.CreateTokenRequest(display_name="ci")
        )
        secret_bundle = bundle(
            f"services: {{web: {{image: nginx, environment: {{A: {CANARY}}}}}}}\n"
        )
        secret_bundle.variables["PASSWORD"] = CANARY
        await plane.stub(app_pb2_grpc.AppServiceStub).DeployApp(
            app_pb2.DeployAppRequest(parent=home.environment, app_id="other", bundle=secret_bundle)
        )
        await plane.stub(member_pb2_grpc.MemberServiceStub).GrantRole(
            member_pb2.GrantRoleRequest(resource=home.project, subject="users/anne", role="viewer")
        )
        text = str(await entries(plane))
        assert "GrantRole" in text
        assert CANARY not in text
        assert token not in text
        assert made.secret not in text
