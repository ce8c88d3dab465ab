"""What all tests share: where the dev cluster is, and why a test that needs it was skipped."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]


# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Runners start their jobs with SIGINT ignored, which programs started by tests would inherit: they could not be interrupted."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    """Path of the dev cluster's kubeconfig; skips when no cluster is up."""
    script = ROOT / "scripts" / "devcluster"
    status = subprocess.run(
        [script, "status", "-o", "json"], capture_output=True, text=True, check=False
    )
    if status.returncode or not json.loads(status.stdout).get("ready"):
        pytest.skip("no dev cluster: run scripts/devcluster up")
    return subprocess.run(
        [script, "kubeconfig"], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="session")
def kubectl(kubeconfig: str) -> str:
    """Path of a kubectl that fits the dev cluster; a fresh machine has none on its PATH."""
    return subprocess.run(
        [ROOT / "scripts" / "devcluster", "path", "kubectl"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
