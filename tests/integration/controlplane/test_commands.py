"""`skerry-controlplane` migrate, doctor and token, as a person runs them."""

import asyncio
import json
import logging
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from skerry.platform.v1 import server_pb2, server_pb2_grpc
from typer.testing import CliRunner, Result

from controlplane.__main__ import cli
from tests.integration.controlplane.harness import control_plane

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Each command sets logging up for its own process; here it is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command on free ports and a data folder of its own."""
    config = tmp_path / "settings.toml"
    config.write_text(
        f'data_dir = "{tmp_path / "data"}"\napi_listen = "127.0.0.1:0"\nagent_listen = "127.0.0.1:0"\n'
        'edge_listen = "127.0.0.1:0"\nlog_level = "error"\n'
    )

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, f"--config={config}"])

    return invoke


def verdicts(result: Result) -> dict[str, str]:
    return {item["check"]: item["verdict"] for item in json.loads(result.stdout)["findings"]}


def test_migrate_makes_the_database_and_check_sees_it(run: Run) -> None:
    missing = run("migrate", "--check")
    assert missing.exit_code == 1
    assert "database: none" in missing.stdout
    assert run("migrate").exit_code == 0
    assert run("migrate", "--check").exit_code == 0
    # A second time changes nothing.
    assert run("migrate").exit_code == 0


def test_doctor_has_nothing_against_a_fresh_machine(run: Run) -> None:
    result = run("doctor", "-o", "json")
    assert result.exit_code == 0, result.output
    assert "fail" not in verdicts(result).values()


def test_doctor_says_how_to_mend_a_damaged_database(run: Run, tmp_path: Path) -> None:
    run("migrate")
    path = tmp_path / "data" / "skerry.db"
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 20_000)
    result = run("doctor", "-o", "json")
    assert result.exit_code == 1
    assert verdicts(result)["database"] == "fail"
    assert "restore" in result.stdout


def test_doctor_sees_missing_migrations(run: Run, tmp_path: Path) -> None:
    run("migrate")
    with sqlite3.connect(tmp_path / "data" / "skerry.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
    database.close()
    assert verdicts(run("doctor", "-o", "json"))["migrations"] == "warn"


def test_doctor_sees_a_taken_port(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = tmp_path / "settings.toml"
        config.write_text(config.read_text().replace("127.0.0.1:0", address, 1))
        result = run("doctor", "-o", "json")
    assert result.exit_code == 1
    assert verdicts(result)["API port"] == "fail"
    assert verdicts(result)["agent port"] == "ok"


def test_doctor_sees_an_open_key(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "pki").mkdir(parents=True, mode=0o700)
    for name in ("ca.crt", "ca.key"):
        (data / "pki" / name).write_text("x")
    data.chmod(0o755)
    result = run("doctor", "-o", "json")
    assert result.exit_code == 1
    assert (verdicts(result)["CA"], verdicts(result)["data folder"]) == ("fail", "warn")


def test_doctor_sees_a_wrong_setting(run: Run, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('api_listen = "here"')
    result = run("doctor")
    assert result.exit_code == 1
    assert "SKERRY_CONTROLPLANE_API_LISTEN" in result.stdout


async def test_doctor_knows_a_running_control_plane(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        config = tmp_path / "settings.toml"
        config.write_text(
            f'data_dir = "{tmp_path / "data"}"\napi_listen = "127.0.0.1:{plane.running.api_port}"\n'
            f'agent_listen = "127.0.0.1:{plane.running.agent_port}"\n'
            f'edge_listen = "127.0.0.1:{plane.running.edge_port}"\n'
        )
        result = await in_thread("doctor", "-o", "json", f"--config={config}")
    assert result.exit_code == 0, result.output
    assert verdicts(result)["API port"] == "ok"
    assert verdicts(result)["CA"] == "ok"
    assert verdicts(result)["server certificate"] == "ok"
    assert "a control plane answers" in result.stdout


async def test_a_token_made_beside_a_running_control_plane_works_at_once(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        result = await in_thread(
            "token", "create", "--name", "ci", "--ttl", "1h", f"--data-dir={tmp_path / 'data'}"
        )
        assert result.exit_code == 0, result.output
        plane.token = result.stdout.strip().splitlines()[-1]
        stub = plane.stub(server_pb2_grpc.ServerServiceStub)
        info = await stub.GetServerInfo(server_pb2.GetServerInfoRequest())
        assert info.principal == "admin"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", ""], "1 to 100"),
        (["--name", "x" * 101], "1 to 100"),
        (["--name", "ci", "--ttl", "soon"], "not a duration"),
    ],
)
def test_a_bad_token_request_is_explained(run: Run, arguments: list[str], words: str) -> None:
    result = run("token", "create", *arguments)
    assert result.exit_code != 0
    assert words in result.stderr


def test_a_settings_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["serve", f"--config={tmp_path / 'none.toml'}"])
    assert result.exit_code == 2
    assert "none.toml" in result.stderr


async def in_thread(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, list(arguments))
