"""Says what happens and how long it took, and runs the programs of a checkout. Used by `platform` and `tour`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class StepFailed(Exception):
    """A step did not succeed; the message says which and what to do."""


class Steps:
    """Prints one line a step, with the seconds since the start."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def say(self, text: str) -> None:
        print(f"[{self.elapsed:6.1f} s] {text}", flush=True)


class Checkout:
    """The programs of one checkout, run as a user would run them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def program(self, name: str) -> str:
        return str(self.root / ".venv" / "bin" / name)

    def show(self, *argv: str) -> None:
        """Run a command with its output on this terminal, shown first."""
        print(f"$ {' '.join(_short(argv))}", flush=True)
        self._check(subprocess.run(argv, cwd=self.root, check=False), argv)

    def run(self, *argv: str, secret_input: str | None = None) -> None:
        """Run a command silently; its output is shown only when it fails."""
        done = subprocess.run(
            argv, cwd=self.root, check=False, capture_output=True, text=True, input=secret_input
        )
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
        self._check(done, argv)

    def succeeds(self, *argv: str) -> bool:
        done = subprocess.run(argv, cwd=self.root, check=False, capture_output=True)
        return done.returncode == 0

    def read(self, *argv: str) -> str:
        """The standard output of a command."""
        done = subprocess.run(argv, cwd=self.root, check=False, stdout=subprocess.PIPE, text=True)
        self._check(done, argv)
        return done.stdout

    def read_json(self, *argv: str) -> Any:
        return json.loads(self.read(*argv))

    def _check(self, done: subprocess.CompletedProcess[Any], argv: Sequence[str]) -> None:
        if done.returncode:
            raise StepFailed(f"`{' '.join(_short(argv))}` ended with {done.returncode}")


def _short(argv: Sequence[str]) -> list[str]:
    return [Path(argv[0]).name, *argv[1:]]
