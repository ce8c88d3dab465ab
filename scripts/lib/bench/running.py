"""The platform that scripts/up left running, as the benchmarks use it: its CLI, its kubeconfig, an app to measure on."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
_DEVCLUSTER = str(ROOT / "scripts" / "devcluster")
WHERE = ("--project", "bench", "--env", "bench")


class NotRunning(Exception):
    """The benchmark needs something that is not there; the message says how to get it."""


class RunningPlatform:
    """Commands against the platform of the CLI's current context."""

    def __init__(self) -> None:
        self.skerry = str(ROOT / ".venv" / "bin" / "skerry")
        self.kubeconfig = dev_kubeconfig()
        self._kubectl = _output(_DEVCLUSTER, "path", "kubectl").strip()
        if self._try("cluster", "list").returncode:
            raise NotRunning("the platform does not answer: run scripts/up first")
        if self._try("project", "get", "bench").returncode:
            self._run("project", "create", "bench")
        if self._try("env", "get", "bench", "--project", "bench").returncode:
            self._run("env", "create", "bench", "--project", "bench", "--cluster", "dev")
        self.namespace = str(self.json("env", "get", "bench", "--project", "bench")["namespace"])

    def deploy(self, app: str, compose: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "docker-compose.yml"
            file.write_text(compose)
            self._run("deploy", *WHERE, "--app", app, "-f", str(file), "--wait")

    def delete(self, app: str) -> None:
        self._run("app", "delete", app, *WHERE, "--yes", "--wait", "--delete-volumes")

    def pod(self, app: str, service: str) -> str:
        """The name of the service's only pod."""
        selector = f"skerry.dev/app={app},skerry.dev/service={service}"
        return _output(
            *self.kubectl("get", "pods", "-l", selector, "-o", "jsonpath={.items[0].metadata.name}")
        )

    def kubectl(self, *argv: str) -> list[str]:
        return [
            self._kubectl,
            "--kubeconfig",
            self.kubeconfig,
            "--namespace",
            self.namespace,
            *argv,
        ]

    def json(self, *argv: str) -> Any:
        return json.loads(_output(self.skerry, *argv, "-o", "json"))

    def _try(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.skerry, *argv], capture_output=True, text=True, check=False)

    def _run(self, *argv: str) -> None:
        done = self._try(*argv)
        if done.returncode:
            raise NotRunning(f"skerry {' '.join(argv)}: {done.stderr.strip()}")


def dev_kubeconfig() -> str:
    """The dev cluster's. Raises NotRunning."""
    return _output(_DEVCLUSTER, "kubeconfig").strip()


def seconds_to_lines(argv: Sequence[str], count: int) -> float:
    """Run a command that prints for ever; the seconds from its first line to its `count`-th."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        first, seen = 0.0, 0
        while seen < count:
            data = os.read(descriptor, 1 << 20)
            if not data:
                raise NotRunning(f"{argv[0]} ended after {seen} of {count} lines")
            first = first or time.perf_counter()
            seen += data.count(b"\n")
        elapsed = time.perf_counter() - first
        process.terminate()
    return elapsed


def seconds_to_first_byte(argv: Sequence[str]) -> float:
    """Start a command; the seconds until it prints."""
    start = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        if not os.read(process.stdout.fileno(), 1):
            raise NotRunning(f"{argv[0]} printed nothing")
        elapsed = time.perf_counter() - start
        process.stdout.read()
    return elapsed


def _output(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRunning(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout
