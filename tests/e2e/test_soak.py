"""Two minutes of load and cuts: nothing grows. `scripts/soak --minutes 15` is the longer look."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.platform import ROOT


def test_nothing_grows_in_two_minutes(kubeconfig: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "soak", "--minutes", "2", "--output", tmp_path],
        capture_output=True, text=True, timeout=480, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
