"""Terminals through cuts and from one client to the next: `skerry exec -it` and `skerry terminal` as a person uses them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pexpect
import pytest

from tests.e2e.cutting_proxy import CuttingProxy
from tests.e2e.platform import BIN, Platform
from tests.e2e.test_terminal import SHELL
from tests.e2e.waiting import wait_until


@pytest.fixture(scope="module")
def box(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The environment in which the app `box` runs."""
    compose = tmp_path_factory.mktemp("box") / "docker-compose.yml"
    compose.write_text(SHELL)
    name = f"r{uuid.uuid4().hex[:8]}"
    platform.cli("env", "create", name, "--cluster", "home")
    platform.cli("deploy", "--env", name, "-f", str(compose), "--wait")
    yield name
    namespace = platform.json("env", "get", name)["namespace"]
    platform.kubectl("delete", "namespace", namespace, "--wait=false", check=False)


def spawn(platform: Platform, *argv: str, config: str | None = None) -> pexpect.spawn:
    env = platform.cli_env | ({"SKERRY_CONFIG": config} if config else {})
    return pexpect.spawn(
        str(BIN / "skerry"), list(argv), env=env, dimensions=(24, 80), timeout=90, encoding="utf-8"
    )


def shell(platform: Platform, box: str, config: str | None = None) -> pexpect.spawn:
    child = spawn(platform, "exec", "-it", "--env", box, "box", "--", "sh", config=config)
    child.expect("# ")
    return child


def in_box(platform: Platform, box: str, command: str) -> int:
    """Run a command in the container behind the platform's back; its exit code."""
    namespace = platform.json("env", "get", box)["namespace"]
    text = platform.kubectl(
        *("exec", "-n", namespace, "deploy/box", "--", "sh", "-c"), f"{command} && echo it-is-so",
        check=False,
    )  # fmt: skip
    return 0 if "it-is-so" in text else 1


def finish(child: pexpect.spawn, code: int) -> None:
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code


def cut_link(platform: Platform) -> None:
    """Nothing passes until both ends have found out."""
    before = platform.agent.output.count("exec_stream_cut")
    platform.proxy.cut()
    wait_until(
        "the agent finds that the link is dead",
        lambda: platform.agent.output.count("exec_stream_cut") > before,
        timeout=120,
    )


def test_a_cut_of_the_link_is_invisible_to_a_terminal(platform: Platform, box: str) -> None:
    child = shell(platform, box)
    child.sendline(
        "rm -f /tmp/half; for i in $(seq 1 2000); do echo line-$i-; "
        "if [ $i = 1000 ]; then touch /tmp/half; until [ -e /tmp/on ]; do sleep 0.1; done; fi; done; read typed; echo got-$typed-"
    )
    child.expect("line-10-")
    seen = str(child.before) + str(child.after)
    cut_link(platform)
    child.send("while-it-was-away\r")
    assert in_box(platform, box, "touch /tmp/on") == 0
    platform.proxy.heal()
    child.expect("got-while-it-was-away-")
    seen += str(child.before)
    assert re.findall(r"line-(\d+)-", seen) == [str(number) for number in range(1, 2001)]
    child.sendline("exit 5")
    finish(child, 5)


def test_what_does_not_fit_into_the_ring_is_said(platform: Platform, box: str) -> None:
    child = shell(platform, box)
    child.sendline(
        "rm -f /tmp/go /tmp/done; echo rea''dy; until [ -e /tmp/go ]; do sleep 0.1; done; seq 1 200000; touch /tmp/done"
    )
    child.expect("ready")
    cut_link(platform)
    assert in_box(platform, box, "touch /tmp/go") == 0
    wait_until(
        "the command has printed all",
        lambda: in_box(platform, box, "test -e /tmp/done") == 0,
        timeout=60,
        interval=0.5,
    )
    platform.proxy.heal()
    child.expect(r"… \d+ bytes lost …")
    child.expect("200000")
    child.sendline("exit 0")
    finish(child, 0)


def test_a_cut_before_the_control_plane_is_bridged_by_the_client(
    platform: Platform, box: str
) -> None:
    config = str(platform.folder / "far.toml")
    with CuttingProxy(("127.0.0.1", platform.api_port)) as line:
        login = spawn(
            platform, "login", f"127.0.0.1:{line.port}", "--context", "far",
            "--ca-file", str(platform.folder / "controlplane" / "pki" / "ca.crt"),
            "--token-file", str(platform.folder / "admin-token"), config=config,
        )  # fmt: skip
        finish(login, 0)
        child = shell(platform, box, config)
        child.sendline(
            "rm -f /tmp/far /tmp/far-on; echo st''arted; touch /tmp/far; until [ -e /tmp/far-on ]; do sleep 0.1; done; seq 1 5000; read x; echo got-$x-"
        )
        child.expect("started")
        line.cut()
        wait_until(
            "the command runs", lambda: in_box(platform, box, "test -e /tmp/far") == 0, timeout=60
        )
        assert in_box(platform, box, "touch /tmp/far-on") == 0
        child.send("typed-into-the-void\r")
        line.heal()
        child.expect("got-typed-into-the-void-")
        numbers = re.findall(r"(?m)^(\d+)\r$", str(child.before))
        assert numbers == [str(number) for number in range(1, 5001)]
        child.sendline("exit 6")
        finish(child, 6)


def test_detach_list_attach_from_another_client_and_close(platform: Platform, box: str) -> None:
    child = shell(platform, box)
    child.sendline("echo mar''ker")
    child.expect("marker")
    child.send("\x10\x11")
    child.expect("Detached: .skerry terminal attach ([0-9a-z]+). goes on")
    name = child.match.group(1)
    finish(child, 0)
    listed = {item["name"]: item for item in platform.json("terminal", "list")["terminals"]}
    assert not listed[f"terminals/{name}"].get("attached")
    first = spawn(platform, "terminal", "attach", name)
    first.expect("marker")
    second = spawn(platform, "terminal", "attach", name)
    first.expect("Another client attached")
    finish(first, 0)
    second.expect("marker")
    second.sendline("stty size")
    second.expect("24 80")
    second.sendline("exit 3")
    finish(second, 3)
    other = shell(platform, box)
    other.send("\x10\x11")
    other.expect("terminal attach ([0-9a-z]+)")
    name = other.match.group(1)
    finish(other, 0)
    platform.cli("terminal", "close", name, "--yes")
    assert name not in platform.cli("terminal", "list").stdout.decode()


def test_a_restarted_agent_is_told_to_the_user(platform: Platform, box: str) -> None:
    child = shell(platform, box)
    platform.agent.kill()
    platform.agent.start()
    child.expect("it was restarted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus != 0
