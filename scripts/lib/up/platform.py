"""Runs the control plane and an agent beside the cluster, as detached processes of this machine. Called by `__main__`."""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from devcluster.process import Processes, Program

from up.steps import Checkout, StepFailed, Steps

CONTROLPLANE = "controlplane"
AGENT = "agent"
CLUSTER = "dev"


class Platform:
    """The control plane and one agent, with their data below `state`."""

    def __init__(self, checkout: Checkout, steps: Steps, state: Path) -> None:
        self._checkout = checkout
        self._steps = steps
        self._state = state
        self._processes = Processes(state / "pids", state / "logs")
        self.skerry = checkout.program("skerry")

    def start_controlplane(self) -> None:
        data = self._state / "controlplane"
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._processes.start(
            Program(
                name=CONTROLPLANE,
                argv=(self._checkout.program("skerry-controlplane"), "serve"),
                env={
                    "SKERRY_CONTROLPLANE_DATA_DIR": str(data),
                    "SKERRY_CONTROLPLANE_ADMIN_TOKEN_FILE": str(self._token_file),
                },
            )
        )
        self._wait_for("http://127.0.0.1:7072/readyz", CONTROLPLANE)
        self._steps.say("the control plane answers on 127.0.0.1:7070")

    def login(self) -> None:
        self._checkout.run(
            self.skerry, "login", "127.0.0.1:7070",
            "--context", CLUSTER,
            "--ca-file", str(self._state / "controlplane" / "pki" / "ca.crt"),
            "--token-file", str(self._token_file),
        )  # fmt: skip

    def start_agent(self, kubeconfig: str, settings: Mapping[str, str]) -> None:
        if not self._checkout.succeeds(self.skerry, "cluster", "get", CLUSTER):
            self._checkout.run(self.skerry, "cluster", "create", CLUSTER)
        state = self._state / "agent"
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        join = state / "join-token"
        cluster = self._checkout.read_json(self.skerry, "cluster", "get", CLUSTER, "-o", "json")
        if cluster.get("connection") == "CONNECTION_STATE_NEVER_JOINED":
            token = self._checkout.read_json(
                self.skerry, "cluster", "join-token", CLUSTER, "-o", "json"
            )["token"]
            join.touch(mode=0o600)
            join.write_text(token)
        argv = [
            self._checkout.program("skerry-agent"), "run",
            "--kubeconfig", kubeconfig, "--state-dir", str(state), "--join-token-file", str(join),
        ]  # fmt: skip
        self._processes.start(Program(name=AGENT, argv=tuple(argv), env=settings))
        self._wait_online()
        self._steps.say(f"the agent of cluster {CLUSTER} is connected")

    def stop(self) -> None:
        for name in (AGENT, CONTROLPLANE):
            if self._processes.stop(name, timeout=30):
                self._steps.say(f"stopped the {name}")

    def purge(self) -> None:
        shutil.rmtree(self._state, ignore_errors=True)
        self._steps.say(f"deleted {self._state}")

    def logs(self, name: str) -> Path:
        return self._processes.log(name)

    @property
    def _token_file(self) -> Path:
        return self._state / "controlplane" / "admin-token"

    def _wait_online(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            cluster = self._checkout.read_json(self.skerry, "cluster", "get", CLUSTER, "-o", "json")
            if cluster.get("connection") in (
                "CONNECTION_STATE_ONLINE",
                "CONNECTION_STATE_DEGRADED",
            ):
                return
            self._alive(AGENT)
            time.sleep(0.3)
        raise StepFailed(f"the agent did not connect within a minute: see {self.logs(AGENT)}")

    def _wait_for(self, url: str, name: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError):
                self._alive(name)
                time.sleep(0.1)
        raise StepFailed(f"the {name} was not ready within a minute: see {self.logs(name)}")

    def _alive(self, name: str) -> None:
        if self._processes.find(name) is None:
            tail = "\n".join(self.logs(name).read_text(errors="replace").splitlines()[-15:])
            raise StepFailed(f"the {name} ended; its last lines:\n{tail}")


def state_folder() -> Path:
    """Where the dev set-up keeps its data; `SKERRY_STATE` moves it."""
    return Path(os.environ.get("SKERRY_STATE", "/var/lib/skerry-dev")) / "platform"
