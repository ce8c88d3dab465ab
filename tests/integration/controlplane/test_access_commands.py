"""The commands of users, roles, tokens and the audit log, as programs against a real control plane."""

import asyncio
import base64
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from skerry.setup_link import SetupLink

from controlplane.auth import totp
from tests.integration.controlplane.harness import MovableClock, Plane, control_plane

PASSWORD = "a long enough passphrase"


class Shell:
    """Runs `skerry` with a configuration of its own."""

    def __init__(self, plane: Plane, folder: Path, name: str, token: str = "") -> None:
        ca = folder / "ca.crt"
        ca.write_bytes(plane.running.ca_pem)
        self.ca = ca
        self.server = f"localhost:{plane.running.api_port}"
        self._env = {
            **os.environ,
            "SKERRY_CONFIG": str(folder / f"{name}.toml"),
            "SKERRY_SERVER": self.server,
            "SKERRY_CA_FILE": str(ca),
            **({"SKERRY_TOKEN": token} if token else {}),
        }

    @contextlib.asynccontextmanager
    async def started(self, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A command that goes on for a while."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from skerry.cli.main import main; main()", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._env,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def run(self, *words: str, stdin: str = "", fails: bool = False) -> str:
        """The standard output of a command that must succeed, or the standard error of one that must not."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from skerry.cli.main import main; main()",
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._env,
        )
        out, err = await process.communicate(stdin.encode())
        assert (process.returncode != 0) is fails, (words, out, err)
        return (err if fails else out).decode()


async def test_a_team_from_the_first_user_to_the_audit_log(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        admin = Shell(plane, tmp_path, "admin", plane.token)
        anne = Shell(plane, tmp_path, "anne", "")
        run = admin.run
        await run("organization", "create", "acme")
        await run("user", "create", "anne", "--password-stdin", stdin=PASSWORD)
        await run("group", "create", "ops", "--organization", "acme")
        await run("group", "add", "ops", "anne", "--organization", "acme")
        group = "organizations/acme/groups/ops"
        await run("member", "add", group, "--role", "maintainer", "--on", "organizations/acme")
        assert group in await run("member", "list", "--on", "organizations/acme")
        assert "users/admin" in await run("whoami")

        await anne.run(
            *("login", anne.server, "--ca-file", str(anne.ca)),
            *("--user", "anne", "--password-stdin"),
            stdin=PASSWORD,
        )
        anne._env.pop("SKERRY_SERVER")
        anne._env.pop("SKERRY_CA_FILE")
        assert "apps.deploy" in await anne.run("whoami")
        assert "acme" in await anne.run("organization", "list")
        assert "default" not in await anne.run("organization", "list")
        assert "users.manage" in await anne.run("user", "list", fails=True)
        secret = (await anne.run("token", "create", "ci", "--permission", "logs.read")).strip()
        assert secret.startswith("sky_")
        tokens = json.loads(await anne.run("token", "list", "-o", "json"))["tokens"]
        assert [token["displayName"] for token in tokens] == ["ci", "login"]
        await anne.run("token", "revoke", tokens[0]["name"], "--yes")

        await run("role", "create", "reader", "--permission", "logs.read")
        assert "reader" in await run("role", "list")
        await run("service-account", "create", "ci")
        made = await run("service-account", "token", "ci", "pipeline")
        assert made.startswith("sky_")
        await run("user", "disable", "anne")
        assert "skerry login" in await anne.run("whoami", fails=True)

        entries = [json.loads(line) for line in (await run("audit", "export")).splitlines()]
        assert entries[0]["method"].endswith("/WhoAmI")
        assert entries[0]["result"] == "UNAUTHENTICATED"
        assert [entry["sequence"] for entry in reversed(entries)] == [
            str(number) for number in range(1, len(entries) + 1)
        ]
        assert PASSWORD not in str(entries)
        assert (await run("audit", "verify")).strip() == entries[0]["hash"]
        assert "ListUsers" in await run("audit", "list", "--result", "REFUSED")


async def test_the_first_start_prints_a_link_that_makes_the_first_owner(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data", admin_token_file=None) as plane:
        link = plane.running.setup_link
        assert link is not None
        first = Shell(plane, tmp_path, "first")
        # Nothing but the link: the server and what it is known by are in it.
        first._env.pop("SKERRY_SERVER")
        first._env.pop("SKERRY_CA_FILE")
        words = ("login", "--setup", link, "--password-stdin", "--user", "anne")
        assert "as Anne" not in await first.run(*words, stdin="short", fails=True)
        await first.run(*words, stdin=PASSWORD)
        assert "users.manage" in await first.run("whoami")
        assert "setup-link" in await first.run(*words, stdin=PASSWORD, fails=True)
        entries = [json.loads(line) for line in (await first.run("audit", "export")).splitlines()]
        made = [entry for entry in entries if entry["method"].endswith("/CompleteSetup")]
        assert [entry["result"] for entry in made] == ["UNAUTHENTICATED", "OK", "INVALID_ARGUMENT"]
        assert made[1]["details"] == {"user_id": "anne"}
        assert PASSWORD not in str(entries)
        code = SetupLink.parse(link).code
        assert code not in str(entries)
    async with control_plane(tmp_path / "data", admin_token_file=None) as plane:
        assert plane.running.setup_link is None


async def test_the_machine_itself_gives_another_link(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data", admin_token_file=None) as plane:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "controlplane",
                "setup-link",
                "--data-dir",
                str(plane.data_dir),
            ),
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "SKERRY_CONTROLPLANE_API_ADVERTISE_ADDRESS": f"localhost:{plane.running.api_port}",
            },
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        again = Shell(plane, tmp_path, "again")
        again._env.pop("SKERRY_CA_FILE")
        words = ("login", "--password-stdin", "--setup")
        # The one of the start is worthless now.
        await again.run(*words, plane.running.setup_link or "", stdin=PASSWORD, fails=True)
        await again.run(*words, out.decode().strip(), stdin=PASSWORD)
        assert "users/admin" in await again.run("whoami")


async def test_another_machine_is_let_in_by_a_code(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        admin = Shell(plane, tmp_path, "admin", plane.token)
        laptop = Shell(plane, tmp_path, "laptop")
        words = ("login", laptop.server, "--ca-file", str(laptop.ca), "--device")
        async with laptop.started(*words) as process:
            assert process.stderr is not None
            line = (await process.stderr.readline()).decode()
            code = line.split()[-1]
            assert "skerry on" in await admin.run("device", "show", code)
            assert "--yes" in await admin.run("device", "approve", code, fails=True)
            await admin.run("device", "approve", code, "--yes")
            await process.communicate()
            assert process.returncode == 0
        assert "users/admin" in await laptop.run("whoami")
        assert "nobody waits" in await admin.run("device", "approve", code, "--yes", fails=True)
        async with laptop.started(*words) as process:
            assert process.stderr is not None
            code = (await process.stderr.readline()).decode().split()[-1]
            await admin.run("device", "deny", code)
            _, err = await process.communicate()
            assert (process.returncode, b"denied" in err) == (4, True)


async def test_a_second_factor_from_the_key_to_the_last_recovery_code(tmp_path: Path) -> None:
    clock = MovableClock()
    async with control_plane(tmp_path / "data", clock=clock) as plane:
        admin = Shell(plane, tmp_path, "admin", plane.token)
        anne = Shell(plane, tmp_path, "anne")
        words = (
            *("login", anne.server, "--ca-file", str(anne.ca)),
            "--user",
            "anne",
            "--password-stdin",
        )
        await admin.run("user", "create", "anne", "--password-stdin", stdin=PASSWORD)
        await anne.run(*words, stdin=PASSWORD)
        made = await anne.run("user", "totp", "enroll", "--password-stdin", stdin=PASSWORD)
        key = base64.b32decode(made.splitlines()[0])
        codes = (
            await anne.run("user", "totp", "confirm", totp.code_at(key, clock.now()))
        ).splitlines()
        assert "--code" in await anne.run(*words, stdin=PASSWORD, fails=True)
        await anne.run(*words, "--code", codes[0], stdin=PASSWORD)
        await anne.run(*words, "--code", codes[0], stdin=PASSWORD, fails=True)
        clock.ahead += timedelta(minutes=2)
        await anne.run(*words, "--code", totp.code_at(key, clock.now()), stdin=PASSWORD)
        await admin.run("user", "reset-totp", "anne", "--yes")
        await anne.run(*words, stdin=PASSWORD)
        entries = await admin.run("audit", "export")
        for method in ("EnrollTotp", "ConfirmTotp", "ResetTotp"):
            assert method in entries
        assert not any(code in entries for code in codes)


async def test_environments_are_protected_and_the_log_is_asked_for_a_time(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        run = Shell(plane, tmp_path, "admin", plane.token).run
        await run("cluster", "create", "home")
        await run("project", "create", "shop")
        words = ("--project", "shop", "-o", "json")
        made = await run("env", "create", "prod", "--detach", "--protected", *words)
        assert json.loads(made)["protected"]
        await run("env", "update", "prod", "--project", "shop", "--unprotected")
        assert not json.loads(await run("env", "get", "prod", *words))["protected"]
        assert "--protected" in await run("env", "update", "prod", *words, fails=True)
        assert "UpdateEnvironment" in await run("audit", "list", "--since", "1h")
        assert "UpdateEnvironment" not in await run("audit", "list", "--until", "1h")
