"""Detached processes: found again, restarted when changed, and never confused with another's pid."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from devcluster.process import Processes, Program


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path / "pids", tmp_path / "log")
    yield made
    for name in made.names():
        made.stop(name, timeout=1)


def sleeper(name: str = "sleeper", seconds: int = 600) -> Program:
    return Program(name, ("sleep", str(seconds)), version="1")


def test_starting_twice_starts_one(processes: Processes) -> None:
    assert processes.start(sleeper()) == processes.start(sleeper())


def test_a_changed_program_is_restarted(processes: Processes) -> None:
    first = processes.start(sleeper())
    second = processes.start(sleeper(seconds=601))
    assert first != second
    assert not Path(f"/proc/{first}").exists()


def test_stop_ends_it_and_tells_whether_it_ran(processes: Processes) -> None:
    pid = processes.start(sleeper())
    assert processes.stop("sleeper")
    assert not Path(f"/proc/{pid}").exists()
    assert not processes.stop("sleeper")


def test_one_that_ignores_sigterm_is_killed(processes: Processes, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    script = f"trap '' TERM; echo > {ready}; while :; do sleep 600; done"
    pid = processes.start(Program("stubborn", ("sh", "-c", script)))
    ready.read_text()  # blocks until the trap is set
    processes.stop("stubborn", timeout=0.2)
    assert not Path(f"/proc/{pid}").exists()


def test_a_reused_pid_is_not_ours(processes: Processes, tmp_path: Path) -> None:
    processes.start(sleeper())
    file = tmp_path / "pids" / "sleeper.json"
    record = json.loads(file.read_text())
    stranger = {**record, "pid": os.getpid()}
    file.write_text(json.dumps(stranger))
    assert processes.find("sleeper") is None
    assert not processes.stop("sleeper")  # and this test still runs
    os.kill(record["pid"], 9)
    os.waitpid(record["pid"], 0)


def test_a_record_of_another_boot_is_not_running(processes: Processes, tmp_path: Path) -> None:
    pid = processes.start(sleeper())
    file = tmp_path / "pids" / "sleeper.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "boot": "another"}))
    assert processes.find("sleeper") is None
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def test_output_goes_to_the_log(processes: Processes) -> None:
    pid = processes.start(Program("talker", ("sh", "-c", "echo out; echo err >&2")))
    os.waitpid(pid, 0)
    assert processes.log("talker").read_text().splitlines() == ["out", "err"]
