"""A command in a container: output, input, exit code, a terminal that follows the window."""

from __future__ import annotations

import pexpect
import pytest

from tests.e2e.platform import BIN, Platform

SHELL = """
name: box
services:
  box:
    image: docker.io/library/busybox:1.36
    command: ["sleep", "1000000"]
    stop_grace_period: 1s
"""


@pytest.fixture(scope="module")
def box(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The environment in which the app `box` runs."""
    compose = tmp_path_factory.mktemp("box") / "docker-compose.yml"
    compose.write_text(SHELL)
    platform.cli("env", "create", "terminal", "--cluster", "home")
    platform.cli("deploy", "--env", "terminal", "-f", str(compose), "--wait")
    return "terminal"


def test_exec_passes_output_errors_and_the_exit_code_on(platform: Platform, box: str) -> None:
    done = platform.cli(
        "exec", "--env", box, "box", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


def test_exec_passes_standard_input_and_its_end_on(platform: Platform, box: str) -> None:
    data = bytes(range(256)) * 4096
    done = platform.cli("exec", "-i", "--env", box, "box", "--", "md5sum", stdin=data)
    counted = platform.cli("exec", "-i", "--env", box, "box", "--", "wc", "-c", stdin=data)
    assert counted.stdout.split()[0] == b"1048576"
    assert len(done.stdout.split()[0]) == 32


def test_interactive_terminal_follows_the_window_and_ends_with_the_shells_code(
    platform: Platform, box: str
) -> None:
    child = pexpect.spawn(
        str(BIN / "skerry"), ["exec", "-it", "--env", box, "box", "--", "sh"],
        env=platform.cli_env, dimensions=(24, 80), timeout=90, encoding="utf-8",
    )  # fmt: skip
    child.expect("# ")
    child.sendline("stty size")
    child.expect("24 80")
    child.setwinsize(40, 132)
    child.sendline("until stty size | grep -q '40 132'; do :; done; echo re''sized")
    child.expect("resized")
    child.sendline("exit 3")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 3


def test_exec_in_an_app_that_is_not_there_says_so(platform: Platform, box: str) -> None:
    done = platform.cli("exec", "--env", box, "nobody", "--", "true", check=False)
    assert done.returncode == 3
    assert b"nobody" in done.stderr
