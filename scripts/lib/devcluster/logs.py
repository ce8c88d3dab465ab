"""`scripts/devcluster logs`: the end of a component's or a build's log, and what is added to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from devcluster.cluster import Cluster
from devcluster.errors import DevClusterError


def show(cluster: Cluster, component: str | None, *, follow: bool, lines: int) -> int:
    """Print a log, or the names of all when no component is given."""
    found = _all(cluster)
    if component is None:
        for name, path in found.items():
            print(f"{name}  {path}")
        return 0
    if component not in found:
        raise DevClusterError(
            f"no log of {component!r}; there are: {', '.join(found) or 'none yet'}"
        )
    sys.stdout.flush()
    argv = ["tail", f"--lines={lines}", *(["--follow=name", "--retry"] if follow else [])]
    return subprocess.run([*argv, str(found[component])], check=False).returncode


def _all(cluster: Cluster) -> dict[str, Path]:
    programs = {path.stem: path for path in cluster.settings.logs.glob("*.log")}
    builds = {
        f"build/{path.stem}": path for path in (cluster.settings.cache / "logs").glob("*.log")
    }
    return dict(sorted({**programs, **builds}.items()))
