"""`skerry-agent doctor` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "skerry-agent"

DOWN = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
"""


def examine(*argv: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = subprocess.run(
        [PROGRAM, "doctor", "-o", "json", *argv], capture_output=True, check=False
    )
    assert done.stdout, done.stderr.decode()
    return done.returncode, {finding["check"]: finding for finding in json.loads(done.stdout)}


@pytest.mark.cluster
def test_a_cluster_in_order(kubeconfig, tmp_path):
    code, found = examine("--kubeconfig", kubeconfig, "--state-dir", str(tmp_path))
    assert code == 0
    assert found["permissions"]["verdict"] == "ok"
    assert found["storage class"]["verdict"] == "ok"
    assert found["kubernetes"]["verdict"] == "ok"
    assert found["identity"]["verdict"] == "warning"
    assert "skerry cluster join-token" in found["identity"]["fix"]


@pytest.mark.cluster
def test_missing_rights_are_named_with_their_reason(kubeconfig, kubectl, tmp_path):
    """As a service account without any right: it may ask what it may do, and that is all."""
    token = subprocess.run(
        [kubectl, "--kubeconfig", kubeconfig, "-n", "default", "create", "token", "default"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    limited = tmp_path / "kubeconfig"
    limited.write_text(Path(kubeconfig).read_text())
    limited.chmod(0o600)
    subprocess.run(
        [kubectl, "--kubeconfig", limited, "config", "set-credentials", "nobody", "--token", token],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        [kubectl, "--kubeconfig", limited, "config", "set-context", "--current", "--user", "nobody"],
        check=True, capture_output=True,
    )  # fmt: skip
    code, found = examine("--kubeconfig", str(limited), "--state-dir", str(tmp_path))
    assert code == 1
    assert found["permissions"]["verdict"] == "failed"
    assert "create pods/exec (terminals into apps' containers)" in found["permissions"]["message"]
    assert "deploy/agent/rbac.yaml" in found["permissions"]["fix"]
    assert found["kubernetes"]["verdict"] == "ok"
    assert found["storage class"]["verdict"] == "failed"


def test_an_api_server_that_is_away(tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(DOWN)
    code, found = examine("--kubeconfig", str(kubeconfig), "--state-dir", str(tmp_path / "state"))
    assert code == 1
    assert found["kubernetes"]["verdict"] == "failed"
    assert "127.0.0.1:1" in found["kubernetes"]["message"]
    assert found["state directory"]["verdict"] == "ok"


def test_a_state_directory_below_a_file(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    _, found = examine("--kubeconfig", "/none", "--state-dir", str(blocked / "state"))
    assert found["state directory"]["verdict"] == "failed"
    assert found["kubernetes"]["verdict"] == "failed"
