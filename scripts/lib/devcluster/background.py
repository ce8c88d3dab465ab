"""The detached builder: goes on after `up` has returned, at low priority, until everything is there.

`up` starts it as `python -m devcluster.background`; what becomes of each add-on is recorded by
`addons`; `down` ends it.
"""

from __future__ import annotations

import os
import sys

from devcluster import addons
from devcluster.cluster import BACKGROUND, Cluster
from devcluster.display import Display
from devcluster.errors import DevClusterError
from devcluster.process import Program
from devcluster.settings import REPOSITORY, Settings

NICE = 15


def program() -> Program:
    """How to start it."""
    library = str(REPOSITORY / "scripts" / "lib")
    return Program(
        BACKGROUND,
        (sys.executable, "-m", "devcluster.background"),
        env={"PYTHONPATH": library, "PYTHONUNBUFFERED": "1"},
        nice=NICE,
    )


def main() -> int:
    settings = Settings.from_environment(os.environ)
    display = Display(sys.stderr)
    cluster = Cluster.of(settings, display)
    failed = False
    for addon in addons.all_of(cluster):
        try:
            cluster.builds.ensure(addon.recipe)
            addon.activate(cluster)
            display.line(f"{addon.name} is ready")
        except DevClusterError as error:
            # One that cannot be made must not keep the others from being made.
            failed = True
            addon.fail(cluster, str(error))
            display.line(f"{addon.name} FAILED: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
