"""The installed `skerry` against a whole control plane with a connected agent: each walk once, over TLS."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import skerry
from skerry import errors, names
from skerry.agent.v1 import command_pb2
from skerry.platform.v1 import app_pb2, error_pb2, log_pb2

from tests.integration.controlplane.harness import (
    PATIENCE,
    Plane,
    Worker,
    agent,
    bundle,
    control_plane,
)

PROGRAM = Path(sys.executable).with_name("skerry")


@dataclass
class Skerry:
    """The program, logged in."""

    cwd: Path
    config: Path

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *arguments, cwd=self.cwd, env={"SKERRY_CONFIG": str(self.config)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(stdin), 2 * PATIENCE)
        return process.returncode, out.decode(), err.decode()

    async def ok(self, *arguments: str, stdin: bytes = b"") -> str:
        """Its standard output; fails unless it exits 0."""
        code, out, err = await self(*arguments, stdin=stdin)
        assert code == 0, err
        return out

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self.ok(*arguments, "-o", "json"))


@dataclass
class Stage:
    plane: Plane
    worker: Worker
    skerry: Skerry


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A control plane, its agent, and the CLI logged in, with the environment shop/prod."""
    worker = Worker()
    project = tmp_path / "web"
    project.mkdir()
    (project / "docker-compose.yml").write_text("services: {web: {image: nginx}}\n")
    program = Skerry(project, tmp_path / "config.toml")
    async with control_plane(tmp_path / "data") as plane:
        ca = tmp_path / "ca.crt"
        ca.write_bytes(plane.running.ca_pem)
        await program.ok(
            "login", f"localhost:{plane.running.api_port}", "--ca-file", str(ca), "--token-stdin",
            "--project", "shop", "--env", "prod", stdin=plane.token.encode(),
        )  # fmt: skip
        async with agent(plane, worker, tmp_path / "agent"):
            await program.ok("project", "create", "shop")
            await program.ok("env", "create", "prod")
            yield Stage(plane, worker, program)


async def test_from_login_to_delete(stage: Stage) -> None:
    run = stage.skerry
    shown = await run.json("cluster", "get", "home")
    assert shown["connection"] in ("CONNECTION_STATE_ONLINE", "CONNECTION_STATE_DEGRADED")
    assert shown["link"]["protocol"] == 1
    assert (await run.json("env", "get", "prod"))["namespace"].startswith("shop-prod-")

    code, out, err = await run("deploy", "--wait")
    assert code == 0, err
    assert "web revision 1 is ready" in err
    assert "web" in out
    app = await run.json("app", "get", "web")
    assert (app["state"], app["servingRevision"]) == ("STATE_READY", "1")
    assert [item["name"] for item in (await run.json("app", "list"))["apps"]] == [app["name"]]
    assert [item["revision"] for item in (await run.json("revisions", "web"))["revisions"]] == ["1"]
    deployments = (await run.json("deployments", "web"))["deployments"]
    assert [item["phase"] for item in deployments] == ["DEPLOYMENT_PHASE_READY"]
    assert "deploy" in await run.ok("operation", "list")

    assert await run.ok("logs", "web") == "hello\n"
    assert await run("exec", "-i", "web", "--", "cat", stdin=b"echoed") == (7, "echoed", "")

    await run.ok("deploy")
    assert "Back to revision 1" in (await run("rollback", "web"))[2]
    await run.ok("app", "delete", "web", "--yes")
    assert (await run.json("app", "list"))["apps"] == []
    kinds = [command.WhichOneof("kind") for command in stage.worker.commands]
    assert kinds == ["ensure_environment", "deploy_app", "deploy_app", "deploy_app", "delete_app"]


async def test_what_the_project_folder_holds_reaches_the_agent(stage: Stage) -> None:
    folder = stage.skerry.cwd
    (folder / "docker-compose.yml").write_text(
        "services: {web: {image: 'nginx:${TAG}', env_file: web.env}}\n"
    )
    (folder / "web.env").write_text("A=1\n")
    (folder / "prod.env").write_text("TAG=7\n")
    await stage.skerry.ok("deploy", "--env-file", "prod.env")
    sent = stage.worker.commands[-1].deploy_app
    assert sorted(file.path for file in sent.files) == ["docker-compose.yml", "web.env"]
    assert dict(sent.variables) == {"TAG": "7"}


async def test_a_rollout_that_fails_ends_with_1(stage: Stage) -> None:
    stage.worker.outcome = command_pb2.CommandResult(
        code=errors.Code.ABORTED,
        reason=error_pb2.ErrorReason.Name(error_pb2.ERROR_REASON_ROLLOUT_FAILED).removeprefix(
            "ERROR_REASON_"
        ),
        message="web: image nginx not found",
    )
    code, _, err = await stage.skerry("deploy")
    assert code == 1
    assert "image nginx not found" in err


REFUSALS = [
    (["app", "get", "nobody"], 3, "nobody"),
    (["deploy", "--env", "staging"], 3, "skerry env create staging --project shop"),
    (["project", "create", "shop"], 6, "shop"),
    (["project", "delete", "shop", "--yes"], 6, "shop"),
    (["cluster", "join-token", "nowhere"], 3, "nowhere"),
    (["exec", "nobody", "--", "true"], 3, "nobody"),
    (["logs", "nobody"], 3, "nobody"),
    (["operation", "get", "01JD0000000000000000000000"], 3, "01jd"),
]


async def test_the_refusals_of_the_real_server(stage: Stage) -> None:
    ended = await asyncio.gather(*(stage.skerry(*arguments) for arguments, _, _ in REFUSALS))
    for (arguments, code, said), (got, out, err) in zip(REFUSALS, ended, strict=True):
        assert (got, out) == (code, ""), (arguments, err)
        assert said in err, arguments
        assert err.startswith("error: "), arguments


async def test_a_wrong_token_and_a_wrong_ca(stage: Stage, tmp_path: Path) -> None:
    server = f"localhost:{stage.plane.running.api_port}"
    stranger = Skerry(tmp_path, tmp_path / "stranger.toml")
    ca = str(tmp_path / "ca.crt")
    code, _, err = await stranger("login", server, "--ca-file", ca, "--token", "skt_wrong")
    assert (code, "token" in err) == (4, True)
    code, _, err = await stranger("login", server, "--token", "skt_wrong")
    assert code == 5
    assert "is not trusted" in err
    assert not stranger.config.exists()


async def test_doctor_finds_all_well(stage: Stage) -> None:
    checks = (await stage.skerry.json("doctor"))["checks"]
    assert {check["verdict"] for check in checks} == {"ok"}


async def test_the_sdk_follows_over_a_restart_of_the_control_plane(tmp_path: Path) -> None:
    """Watches and log follows are the SDK's own promise: the server is stopped for good and started anew."""
    worker = Worker(log_lines=[b"2030-01-01T00:00:00.000000001Z hello\n"])
    environment = names.environment("shop", "prod")
    async with control_plane(tmp_path / "data") as plane:
        port, token, ca = plane.running.api_port, plane.token, plane.running.ca_pem
        agent_port = plane.running.agent_port
        async with (
            agent(plane, worker, tmp_path / "agent"),
            skerry.Client(f"localhost:{port}", token, ca=ca) as client,
        ):
            await client.projects.create("shop")
            made = await client.environments.create(names.project("shop"), "prod")
            await client.operations.wait(made.operation.name)
            await client.apps.deploy_and_wait(environment, "web", bundle(), timeout=PATIENCE)
    fixed = {"api_listen": f"127.0.0.1:{port}", "agent_listen": f"127.0.0.1:{agent_port}"}
    async with skerry.Client(f"localhost:{port}", token, ca=ca) as client:
        seen: list[str] = []
        cuts: list[errors.SkerryError] = []
        arrived = asyncio.Event()

        async def watch() -> None:
            async for event in client.apps.watch(environment, on_cut=cuts.append):
                seen.append(event.change.value)
                arrived.set()

        async with control_plane(tmp_path / "data", **fixed):
            task = asyncio.create_task(watch())
            await asyncio.wait_for(arrived.wait(), PATIENCE)
            while "synced" not in seen:
                arrived.clear()
                await asyncio.wait_for(arrived.wait(), PATIENCE)
        before = len(seen)
        async with control_plane(tmp_path / "data", **fixed):
            await client.projects.create("blog")
            deploy = await client.apps.deploy(environment, "api", bundle())
            assert deploy.revision == 1
            while not any(change == "updated" for change in seen[before:]):
                arrived.clear()
                await asyncio.wait_for(arrived.wait(), PATIENCE)
        task.cancel()
        await asyncio.wait({task})
    assert cuts
    assert "reset" not in seen


async def test_the_sdk_reads_logs_as_events(stage: Stage) -> None:
    await stage.skerry.ok("deploy")
    address = f"localhost:{stage.plane.running.api_port}"
    async with skerry.Client(address, stage.plane.token, ca=stage.plane.running.ca_pem) as client:
        app = names.app("shop", "prod", "web")
        events = [event async for event in client.logs.tail(app)]
        found: app_pb2.App = await client.apps.get(app)
    assert found.serving_revision == 1
    assert [type(event) for event in events] == [
        log_pb2.LogSource,
        log_pb2.LogChunk,
        log_pb2.LogSource,
    ]
