"""The installed programs, run as an operator would: a control plane, an agent and the CLI, with ports and folders of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.cutting_proxy import CuttingProxy
from tests.e2e.waiting import wait_until

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


class Process:
    """One program with its output in a file; started, killed and started again by the tests."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._argv = list(argv)
        self._env = {**os.environ, **env}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def kill(self) -> None:
        """As a crash would: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As an operator would: SIGTERM. The exit code."""
        return self._end(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait(self, timeout: float) -> int:
        assert self._process is not None
        return self._process.wait(timeout)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(
                f"{self._argv[0]} did not end on {number.name}:\n{self.output[-3000:]}"
            ) from None


class Platform:
    """A control plane, and an agent that reaches it through a network that the test can cut."""

    def __init__(
        self,
        folder: Path,
        kubeconfig: str,
        *,
        agent_env: Mapping[str, str] | None = None,
        controlplane_env: Mapping[str, str] | None = None,
    ) -> None:
        """The two `…_env` are added to what the programs get: another clock, say."""
        self.folder = folder
        self.kubeconfig = kubeconfig
        self._agent_env = dict(agent_env or {})
        self._controlplane_env = dict(controlplane_env or {})
        self._kubectl = subprocess.check_output(
            [ROOT / "scripts" / "devcluster", "path", "kubectl"], text=True
        ).strip()
        # Where pods reach programs of this machine.
        self.node_ip = str(
            json.loads(
                subprocess.check_output(
                    [ROOT / "scripts" / "devcluster", "status", "-o", "json"], text=True
                )
            )["node_ip"]
        )
        self.api_port, self.agent_port, self.http_port = _free_ports(3)
        self.proxy = CuttingProxy(("127.0.0.1", self.agent_port))
        self.controlplane: Process
        self.agent: Process

    @contextlib.contextmanager
    def running(self) -> Iterator[Platform]:
        with self.proxy:
            self._start_controlplane()
            try:
                self._log_in()
                self._start_agent()
                try:
                    yield self
                finally:
                    self.agent.kill()
            finally:
                self.controlplane.kill()

    @property
    def agent_state(self) -> Path:
        """Where the agent keeps its identity and its journal."""
        return self.folder / "agent"

    def agent_process(self, state: Path, log: Path) -> Process:
        """An agent with that state folder, not started."""
        return Process(
            [
                str(BIN / "skerry-agent"), "run", "--kubeconfig", self.kubeconfig,
                "--state-dir", str(state), "--join-token-file", str(self.folder / "join-token"),
            ],
            AGENT_SETTINGS | self._agent_env,
            log,
        )  # fmt: skip

    def cli(
        self, *argv: str, check: bool = True, stdin: bytes | None = None, timeout: float = 240
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `skerry …` to its end."""
        done = subprocess.run(
            [str(BIN / "skerry"), *argv],
            env=self.cli_env, capture_output=True, input=stdin, timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(
                f"skerry {' '.join(argv)} ended with {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}"
                f"\n--- agent:\n{self.agent.output[-4000:] if hasattr(self, 'agent') else ''}"
            )
        return done

    def json(self, *argv: str) -> Any:
        return json.loads(self.cli(*argv, "-o", "json").stdout)

    def follow(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start `skerry …` and leave it running."""
        return subprocess.Popen(
            [str(BIN / "skerry"), *argv],
            env=self.cli_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def cli_env(self) -> dict[str, str]:
        return {
            **os.environ,
            "SKERRY_CONFIG": str(self.folder / "config.toml"),
            "SKERRY_PROJECT": "shop",
            "NO_COLOR": "1",
        }

    def kubectl(self, *argv: str, check: bool = True) -> str:
        done = subprocess.run(
            [self._kubectl, "--kubeconfig", self.kubeconfig, *argv],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def connection(self, cluster: str = "home") -> str:
        """Faults make a link degraded for an hour: what counts here is that it is up."""
        state = str(self.json("cluster", "get", cluster).get("connection", ""))
        return state.replace("DEGRADED", "ONLINE")

    def wait_connection(self, state: str, timeout: float = 60, cluster: str = "home") -> None:
        wait_until(
            f"cluster {cluster} is {state}",
            lambda: self.connection(cluster) == f"CONNECTION_STATE_{state}", timeout=timeout, interval=0.3,
        )  # fmt: skip

    def wait_ready(self) -> None:
        wait_until("the control plane is ready", self._is_ready, timeout=60)

    def _start_controlplane(self) -> None:
        data = self.folder / "controlplane"
        data.mkdir(mode=0o700, exist_ok=True)
        settings = {
            "DATA_DIR": str(data),
            "ADMIN_TOKEN_FILE": str(self.folder / "admin-token"),
            "API_LISTEN": f"127.0.0.1:{self.api_port}",
            "AGENT_LISTEN": f"0.0.0.0:{self.agent_port}",
            "TLS_NAMES": self.node_ip,
            "EDGE_LISTEN": f"127.0.0.1:{self.http_port}",
            "AGENT_ADVERTISE_ADDRESS": f"127.0.0.1:{self.proxy.port}",
        }
        self.controlplane = Process(
            [str(BIN / "skerry-controlplane"), "serve"],
            {f"SKERRY_CONTROLPLANE_{name}": value for name, value in settings.items()}
            | self._controlplane_env,
            self.folder / "controlplane.log",
        )
        self.controlplane.start()
        self.wait_ready()

    def _log_in(self) -> None:
        self.cli(
            "login", f"127.0.0.1:{self.api_port}", "--context", "e2e",
            "--ca-file", str(self.folder / "controlplane" / "pki" / "ca.crt"),
            "--token-file", str(self.folder / "admin-token"),
        )  # fmt: skip

    def _start_agent(self) -> None:
        self.cli("cluster", "create", "home")
        token = self.json("cluster", "join-token", "home")["token"]
        token_file = self.folder / "join-token"
        token_file.write_text(token)
        self.agent = self.agent_process(self.agent_state, self.folder / "agent.log")
        self.agent.start()
        self.wait_connection("ONLINE")

    def _is_ready(self) -> bool:
        assert self.controlplane.running, self.controlplane.output[-3000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/readyz", timeout=2):
                return True
        except OSError:  # refused, reset, or too slow on a busy machine
            return False


# The add-ons have tests of their own; two platforms on one cluster must not install them twice.
AGENT_SETTINGS = {
    "SKERRY_AGENT_ADD_ONS_DISABLED": "garage,cloudnative-pg",
    "SKERRY_AGENT_METRICS_ADDRESS": "",
    "SKERRY_AGENT_NETWORK_POLICY_PROBE": "false",
    "SKERRY_AGENT_WAIT_IMAGE": "docker.io/library/busybox:1.36",
}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
