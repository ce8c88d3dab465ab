"""`scripts/soak [--minutes N] [--output FOLDER]`: exit code 0 when nothing grew and nothing went wrong."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from soak.curve import as_svg, as_text
from soak.load import Load
from soak.sampling import Sampler
from soak.verdict import judge
from tests.e2e.platform import ROOT, Platform

_SAMPLES = 400  # at most: a longer soak samples less often


def main() -> int:
    """Run it and say what was found."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long, without the start")
    parser.add_argument("--output", type=Path, help="folder for soak.csv and soak.svg")
    arguments = parser.parse_args()
    output = arguments.output or Path(tempfile.mkdtemp(prefix="skerry-soak-"))
    output.mkdir(parents=True, exist_ok=True)
    seconds = arguments.minutes * 60

    with tempfile.TemporaryDirectory(prefix="skerry-soak-platform-") as folder:
        metrics = "127.0.0.1:17073"
        platform = Platform(
            Path(folder), _kubeconfig(), agent_env={"SKERRY_AGENT_METRICS_ADDRESS": metrics}
        )
        with platform.running(), Load(platform) as load:
            sampler = Sampler(
                {
                    "control plane": (
                        platform.controlplane.pid,
                        f"http://127.0.0.1:{platform.http_port}/metrics",
                        "skerry_controlplane_tasks",
                    ),
                    "agent": (
                        platform.agent.pid,
                        f"http://{metrics}/metrics",
                        "skerry_agent_tasks",
                    ),
                }
            )
            load.start()
            begun = time.monotonic()
            pause = max(1.0, seconds / _SAMPLES)
            while time.monotonic() - begun < seconds and not load.failed:
                sampler.sample()
                time.sleep(pause)
            load.stop()
    series = sampler.series
    sampler.write_csv(output / "soak.csv")
    (output / "soak.svg").write_text(as_svg(series))
    print(as_text(series))
    print(f"load: {load.summary}")
    print(f"curve: {output}/soak.csv, {output}/soak.svg")
    if load.failed:
        print(f"soak: FAILED under load: {load.failed}", file=sys.stderr)
        return 1
    findings = [judge(one) for one in series]
    for finding in findings:
        print(finding)
    if any(finding.grows for finding in findings):
        print("soak: FAILED, something grows", file=sys.stderr)
        return 1
    print("soak: passed, nothing grows")
    return 0


def _kubeconfig() -> str:
    done = subprocess.run(
        [ROOT / "scripts" / "devcluster", "kubeconfig"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit("soak: no dev cluster: run scripts/devcluster up")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
