"""What people get wrong: a clear error each, and nothing half applied."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from skerry.wire.join_token import JoinToken

from tests.e2e.platform import AGENT_SETTINGS, BIN, Platform, Process
from tests.e2e.waiting import wait_until

ALIAS_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)
BAD_FILES: dict[str, tuple[bytes, bytes]] = {
    "empty": (b"", b"empty"),
    "not a mapping": (b"- a\n- b\n", b"mapping"),
    "ten megabytes": (b"services: {}\n# " + b"x" * 10_000_000, b"MiB"),
    "deeply nested": (b"services: " + b"[" * 5000 + b"]" * 5000, b"nest"),
    "binary": (bytes(range(256)) * 8, b""),
    "alias bomb": (ALIAS_BOMB.encode(), b""),
    "not UTF-8": ("services: {web: {image: caf\xe9}}".encode("latin-1"), b"UTF-8"),
    "unknown key": (b"services:\n  web:\n    imaeg: nginx\n", b"Did you mean"),
    "privileged": (b"services:\n  web:\n    image: nginx\n    privileged: true\n", b"CMP311"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_compose_file_is_refused_and_nothing_is_applied(
    platform: Platform, environment: str, project: Path, name: str
) -> None:
    content, expected = BAD_FILES[name]
    compose = project / "docker-compose.yml"
    compose.write_bytes(content)
    done = platform.cli(
        "deploy", "--env", environment, "--app", "bad", "-f", str(compose), "--wait", check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2, 6), said[-2000:]
    assert b"Traceback" not in said
    assert expected in said, said[-2000:]
    assert len(said) < 20_000
    namespace = platform.json("env", "get", environment)["namespace"]
    assert not platform.kubectl(
        "get", "deploy,job,svc,secret,cm,pvc", "-n", namespace, "-l", "skerry.dev/app", "-o", "name"
    )


def test_a_check_says_it_without_the_cluster(
    platform: Platform, environment: str, project: Path
) -> None:
    compose = project / "docker-compose.yml"
    compose.write_text("services:\n  web:\n    imaeg: nginx\n  db:\n    image: postgres:16\n")
    where = ("--env", environment, "-f", str(compose))
    done = platform.cli("check", *where, "-o", "json", check=False)
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    (unknown,) = (d for d in answer["diagnostics"] if d["code"] == "CMP002")
    assert (unknown["line"], unknown["column"], unknown["hint"]) == (3, 5, 'Did you mean "image"?')
    facts = {one["service"]: one for one in answer["services"]}
    assert facts["db"]["ports"][0]["port"] == 5432
    compose.write_text("services:\n  web:\n    image: nginx\n")
    assert platform.cli("check", *where).returncode == 0
    schema = json.loads(platform.cli("check", "--env", environment, "--schema").stdout)
    assert "CMP311" in json.dumps(schema["$defs"]["service"]["properties"]["privileged"])


def test_an_unknown_token_is_told_so(platform: Platform) -> None:
    done = subprocess.run(
        [str(BIN / "skerry"), "cluster", "list"],
        env={**platform.cli_env, "SKERRY_TOKEN": "sky_unknown"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert b"token" in done.stderr


class Joiner:
    """Tries to join with a token and tells how it went."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self._platform = platform
        self._folder = folder
        self._tries = 0

    def join(self, token: str) -> Process:
        self._tries += 1
        file = self._folder / f"token-{self._tries}"
        file.write_text(token)
        process = Process(
            [
                str(BIN / "skerry-agent"), "run", "--kubeconfig", self._platform.kubeconfig,
                "--state-dir", str(self._folder / f"agent-{self._tries}"), "--join-token-file", str(file),
            ],
            AGENT_SETTINGS,
            self._folder / f"agent-{self._tries}.log",
        )  # fmt: skip
        process.start()
        return process

    def refused(self, token: str) -> str:
        process = self.join(token)
        try:
            assert process.wait(40) != 0
        finally:
            process.kill()
        assert "Traceback" not in process.output
        return process.output.lower()


@pytest.fixture
def joiner(platform: Platform, tmp_path: Path) -> Joiner:
    return Joiner(platform, tmp_path)


@pytest.fixture
def spare(platform: Platform, request: pytest.FixtureRequest) -> Iterator[str]:
    """A cluster that no agent has joined."""
    name = f"spare-{abs(hash(request.node.name)) % 10**6}"
    platform.cli("cluster", "create", name)
    yield name
    platform.cli("cluster", "delete", name, "--yes", check=False)


def test_a_join_token_admits_one_agent(platform: Platform, joiner: Joiner, spare: str) -> None:
    token = platform.json("cluster", "join-token", spare)["token"]
    first = joiner.join(token)
    try:
        platform.cli("cluster", "get", spare)
        wait = [str(BIN / "skerry"), "cluster", "get", spare, "-o", "json"]
        for _ in range(200):
            if (
                b'"connectTime"'
                in subprocess.run(
                    wait, env=platform.cli_env, capture_output=True, check=True
                ).stdout
            ):
                break
        else:
            pytest.fail(first.output[-2000:])
        assert "used" in joiner.refused(token)
    finally:
        first.kill()


def test_an_expired_join_token_is_refused(platform: Platform, joiner: Joiner, spare: str) -> None:
    token = platform.json("cluster", "join-token", spare, "--ttl", "1s")
    expires = datetime.datetime.fromisoformat(token["expireTime"])
    wait_until("the token has expired", lambda: datetime.datetime.now(datetime.UTC) > expires)
    assert "expired" in joiner.refused(token["token"])


def test_a_token_of_another_control_plane_is_refused_for_its_ca(
    platform: Platform, joiner: Joiner, spare: str, tmp_path: Path
) -> None:
    token = JoinToken.decode(platform.json("cluster", "join-token", spare)["token"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other",
         "-keyout", "/dev/null", "-outform", "DER", "-out", str(tmp_path / "ca.der")],
        check=True, capture_output=True,
    )  # fmt: skip
    other = JoinToken(
        address=token.address,
        ca_der=(tmp_path / "ca.der").read_bytes(),
        secret=token.secret,
        cluster=token.cluster,
    )
    said = joiner.refused(other.encode())
    assert "certificate" in said


def test_a_damaged_join_token_is_refused(joiner: Joiner) -> None:
    assert "join token" in joiner.refused("skj1.not-a-token")


def test_the_api_server_away_leaves_the_agent_connected_and_the_deploy_explained(
    platform: Platform, joiner: Joiner, spare: str, tmp_path: Path, project: Path
) -> None:
    away = tmp_path / "kubeconfig"
    away.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {"token": "x"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
            }
        )
    )
    original, platform.kubeconfig = platform.kubeconfig, str(away)
    agent = joiner.join(platform.json("cluster", "join-token", spare)["token"])
    try:
        wait_until(
            "the agent is connected",
            lambda: platform.connection(spare).endswith("ONLINE"),
            interval=0.3,
        )
        environment = f"away-{spare[-6:]}"
        platform.cli("env", "create", environment, "--cluster", spare, "--detach")
        compose = project / "docker-compose.yml"
        compose.write_text("services:\n  web:\n    image: busybox\n")
        planned = platform.cli(
            "plan", "--env", environment, "--app", "web", "-f", str(compose), check=False
        )
        assert planned.returncode in (5, 6), planned.stderr
        assert b"127.0.0.1:1" in planned.stderr
    finally:
        platform.kubeconfig = original
        agent.kill()
