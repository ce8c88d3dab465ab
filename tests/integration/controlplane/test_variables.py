"""Variables over the API, and keys that change while deploys run."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from skerry.agent.v1 import command_pb2
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    deployment_pb2,
    deployment_pb2_grpc,
    variable_pb2,
    variable_pb2_grpc,
)

from controlplane import app, doctor
from controlplane.domain.clock import SystemClock
from controlplane.settings import load
from tests.integration.controlplane.harness import (
    ORGANIZATION,
    PATIENCE,
    Plane,
    Worker,
    agent,
    bundle,
    control_plane,
    environment,
    failure,
    until,
)
from tests.integration.controlplane.tenants import as_, person, tenant

CANARY = "c4n4ry-hunter2-2342"
PROD = f"{ORGANIZATION}/projects/shop/environments/prod"
WEB = f"{PROD}/apps/web"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def value(key: str, text: str, etag: str = "") -> variable_pb2.VariableValue:
    return variable_pb2.VariableValue(key=key, value=text, etag=etag)


async def put(plane: Plane, parent: str, *, secret: bool = False, **values: str) -> None:
    stub = plane.stub(variable_pb2_grpc.VariableServiceStub)
    given = [value(key, text) for key, text in values.items()]
    if secret:
        await stub.SetSecrets(variable_pb2.SetSecretsRequest(parent=parent, secrets=given))
    else:
        await stub.SetVariables(variable_pb2.SetVariablesRequest(parent=parent, variables=given))


async def deploy(plane: Plane, name: str = "web") -> app_pb2.DeployAppResponse:
    apps = plane.stub(app_pb2_grpc.AppServiceStub)
    started: app_pb2.DeployAppResponse = await apps.DeployApp(
        app_pb2.DeployAppRequest(parent=PROD, app_id=name, bundle=bundle())
    )
    return started


def deployed(worker: Worker) -> list[command_pb2.DeployApp]:
    return [item.deploy_app for item in worker.commands if item.HasField("deploy_app")]


def in_clear(folder: Path) -> list[Path]:
    """The files that hold the canary."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if CANARY.encode() in file.read_bytes()]


def keys(data_dir: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """`skerry-controlplane keys …` as an operator runs it, in a process of its own."""
    program = Path(sys.executable).parent / "skerry-controlplane"
    return subprocess.run(
        [program, "keys", *argv, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * 4,
    )


def listed(data_dir: Path) -> dict[str, dict[str, object]]:
    done = keys(data_dir, "list", "-o", "json")
    return {row["id"]: row for row in json.loads(done.stdout)["keys"]}


async def test_a_secret_reaches_the_agent_and_no_reply(data_dir: Path, tmp_path: Path) -> None:
    worker = Worker()
    async with control_plane(data_dir) as plane, agent(plane, worker, tmp_path / "agent"):
        await environment(plane)
        await put(plane, ORGANIZATION, SHARED="org", LEVEL="info")
        await put(plane, WEB, secret=True, TOKEN=CANARY)
        started = await deploy(plane)
        await until(lambda: len(deployed(worker)) == 1, "the deploy")
        (sent,) = deployed(worker)
        assert dict(sent.variables) == {"SHARED": "org", "LEVEL": "info", "TOKEN": CANARY}
        assert list(sent.secret_variables) == ["TOKEN"]
        variables = plane.stub(variable_pb2_grpc.VariableServiceStub)
        found = await variables.ListVariables(variable_pb2.ListVariablesRequest(parent=WEB))
        (token,) = found.variables
        assert (token.key, token.secret, token.value, token.version) == ("TOKEN", True, "", 1)
        assert token.updated_by == "users/admin"
        assert token.name == f"{WEB}/variables/TOKEN"
        holds = await variables.GetEffectiveVariables(
            variable_pb2.GetEffectiveVariablesRequest(parent=WEB)
        )
        assert [(v.variable.key, v.variable.value) for v in holds.variables] == [
            ("LEVEL", "info"),
            ("SHARED", "org"),
            ("TOKEN", ""),
        ]
        revision = await plane.stub(deployment_pb2_grpc.DeploymentServiceStub).GetRevision(
            deployment_pb2.GetRevisionRequest(name=f"{WEB}/revisions/{started.revision}")
        )
        sources = {v.key: (v.source, v.secret) for v in revision.revision.variables}
        assert sources["TOKEN"] == (f"{WEB}/variables/TOKEN", True)
        log = await plane.stub(audit_pb2_grpc.AuditServiceStub).ListAuditEntries(
            audit_pb2.ListAuditEntriesRequest()
        )
        entries = [e for e in log.entries if e.method.endswith("SetSecrets")]
        assert [dict(entry.details)["keys"] for entry in entries] == ["TOKEN"]
        assert CANARY not in f"{found}{holds}{revision}{log}"
    assert in_clear(data_dir) == []


async def test_pages_etags_and_deleting(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        await put(plane, ORGANIZATION, A="1", B="2", C="3")
        stub = plane.stub(variable_pb2_grpc.VariableServiceStub)
        request = variable_pb2.ListVariablesRequest(parent=ORGANIZATION, page_size=2)
        first = await stub.ListVariables(request)
        request.page_token = first.next_page_token
        second = await stub.ListVariables(request)
        assert [v.key for v in (*first.variables, *second.variables)] == ["A", "B", "C"]
        assert not second.next_page_token
        stale = variable_pb2.SetVariablesRequest(
            parent=ORGANIZATION, variables=[value("A", "x", "stale")]
        )
        assert (await failure(stub.SetVariables(stale))).reason == "ETAG_MISMATCH"
        gone = variable_pb2.DeleteVariablesRequest(
            parent=ORGANIZATION, keys=["A"], etag=first.variables[0].etag
        )
        await stub.DeleteVariables(gone)
        assert (await failure(stub.DeleteVariables(gone))).code is grpc.StatusCode.NOT_FOUND
        wrong = variable_pb2.SetSecretsRequest(parent=ORGANIZATION, secrets=[value("1A", CANARY)])
        refused = await failure(stub.SetSecrets(wrong))
        assert refused.reason == "INVALID_FIELD"
        assert "secrets[0].key" in refused.message
        assert CANARY not in refused.message


async def test_plain_and_secret_are_different_rights_and_tenants_do_not_meet(
    data_dir: Path, tmp_path: Path
) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        home, foreign = await tenant(plane, "one"), await tenant(plane, "two")
        developer = await person(plane, "dora", developer=home.organization)
        viewer = await person(plane, "vera", viewer=home.organization)
        for token, code in ((developer, None), (viewer, grpc.StatusCode.PERMISSION_DENIED)):
            stub = as_(plane, token, variable_pb2_grpc.VariableServiceStub)
            call = stub.SetSecrets(
                variable_pb2.SetSecretsRequest(parent=home.app, secrets=[value("A", CANARY)])
            )
            assert code is (await failure(call)).code if code else await call
        stub = as_(plane, developer, variable_pb2_grpc.VariableServiceStub)
        for place in (foreign.organization, foreign.project, foreign.environment, foreign.app):
            for call in (
                stub.SetVariables(
                    variable_pb2.SetVariablesRequest(parent=place, variables=[value("A", "1")])
                ),
                stub.ListVariables(variable_pb2.ListVariablesRequest(parent=place)),
                stub.GetEffectiveVariables(variable_pb2.GetEffectiveVariablesRequest(parent=place)),
                stub.DeleteSecrets(variable_pb2.DeleteSecretsRequest(parent=place, keys=["A"])),
            ):
                assert (await failure(call)).code is grpc.StatusCode.NOT_FOUND


async def test_keys_change_while_deploys_run(data_dir: Path, tmp_path: Path) -> None:
    worker = Worker()
    async with control_plane(data_dir) as plane, agent(plane, worker, tmp_path / "agent"):
        await environment(plane)
        await put(plane, PROD, secret=True, TOKEN=CANARY)
        await deploy(plane)
        (old,) = listed(data_dir)
        over = asyncio.Event()

        async def go_on_deploying() -> int:
            count = 0
            while not over.is_set() or count < 3:
                await put(plane, PROD, secret=True, **{f"N{count % 20}": str(count)})
                await deploy(plane, f"a{count % 5}")
                count += 1
            return count

        deploying = asyncio.create_task(go_on_deploying(), name="deploying")
        rotated = await asyncio.to_thread(keys, data_dir, "rotate")
        assert rotated.returncode == 0, rotated.stderr
        refused = await asyncio.to_thread(keys, data_dir, "retire", old)
        assert refused.returncode == 1
        assert "keys reencrypt" in refused.stderr
        done = await asyncio.to_thread(keys, data_dir, "reencrypt", "--retire")
        assert done.returncode == 0, done.stderr
        assert f"{old} is retired" in done.stdout
        over.set()
        count = await asyncio.wait_for(deploying, PATIENCE * 2)
        (new,) = listed(data_dir)
        assert new != old
        # The last deploy of each app arrives, with values of before and after.
        await put(plane, PROD, secret=True, LAST="last")
        await deploy(plane, "final")
        await until(lambda: deployed(worker)[-1].app == "final", "the last deploy")
        last = deployed(worker)[-1].variables
        assert (last["TOKEN"], last["LAST"]) == (CANARY, "last")
        assert last[f"N{(count - 1) % 20}"] == str(count - 1)
        assert all(item.variables["TOKEN"] == CANARY for item in deployed(worker))
        assert (await asyncio.to_thread(keys, data_dir, "retire", new)).returncode == 1
    # And after a restart everything opens with what the keyring has.
    async with control_plane(data_dir) as plane:
        found = await plane.stub(variable_pb2_grpc.VariableServiceStub).ListVariables(
            variable_pb2.ListVariablesRequest(parent=PROD, page_size=100)
        )
        assert [item.key for item in found.variables if item.problem] == []
        assert {item.key_id for item in found.variables} == {new}


async def test_a_lost_keyring_stops_the_start_and_has_a_way_out(data_dir: Path) -> None:
    settings = load(data_dir=data_dir, log_level="error")
    async with control_plane(data_dir) as plane:
        await put(plane, ORGANIZATION, secret=True, TOKEN=CANARY)
    keyring = data_dir / "keyring.json"
    kept = keyring.read_bytes()
    keyring.unlink()
    with pytest.raises(app.StartError, match="restore it from a backup"):
        async with control_plane(data_dir):
            pass
    assert not keyring.exists()
    assert verdict(settings) == (doctor.Verdict.FAIL, True)
    assert keys(data_dir, "create").returncode == 2
    assert keys(data_dir, "create", "--lost").returncode == 0
    assert verdict(settings) == (doctor.Verdict.FAIL, True)
    missing = keys(data_dir, "list")
    assert missing.returncode == 1
    assert "MISSING" in missing.stdout
    async with control_plane(data_dir) as plane:
        stub = plane.stub(variable_pb2_grpc.VariableServiceStub)
        request = variable_pb2.ListVariablesRequest(parent=ORGANIZATION)
        assert (await stub.ListVariables(request)).variables[0].problem
        await put(plane, ORGANIZATION, secret=True, TOKEN="anew")
        assert not (await stub.ListVariables(request)).variables[0].problem
    assert verdict(settings)[0] is doctor.Verdict.OK
    keyring.write_bytes(kept)
    assert verdict(settings)[0] is doctor.Verdict.FAIL


async def test_doctor_sees_old_keys_and_damage(data_dir: Path) -> None:
    settings = load(data_dir=data_dir)
    async with control_plane(data_dir) as plane:
        await put(plane, ORGANIZATION, secret=True, TOKEN=CANARY)
    assert verdict(settings)[0] is doctor.Verdict.OK
    keyring = app.open_keyring(settings, SystemClock())
    keyring.rotate(datetime.now(UTC))
    assert verdict(settings)[0] is doctor.Verdict.WARN
    with sqlite3.connect(data_dir / "skerry.db") as connection:
        connection.execute("UPDATE variables SET scope = 'organizations/other'")
    connection.close()
    found = next(f for f in doctor.examine(settings, now=datetime.now(UTC)) if f.check == "keyring")
    assert found.verdict is doctor.Verdict.FAIL
    assert "organizations/other/variables/TOKEN" in found.message
    (data_dir / "keyring.json").chmod(0o644)
    assert verdict(settings)[0] is doctor.Verdict.FAIL


def verdict(settings: app.Settings) -> tuple[doctor.Verdict, bool]:
    """What doctor says of the keyring, and whether it names a way out."""
    findings = doctor.examine(settings, now=datetime.now(UTC))
    found = next(item for item in findings if item.check == "keyring")
    assert CANARY not in found.message + found.fix
    return found.verdict, bool(found.fix)
