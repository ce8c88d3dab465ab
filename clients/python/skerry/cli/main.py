"""The entry of `skerry`: sets the process up, and loads the program only then."""

from __future__ import annotations

import gc
import importlib
import os
import sys


def main() -> None:
    """What `[project.scripts]` calls; does not return."""
    # The core library writes its own lines about failed connections; ours say more.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Loading modules makes objects that stay: looking for garbage among them is a tenth of the start.
    gc.disable()
    program = importlib.import_module("skerry.cli.program")
    surroundings = importlib.import_module("skerry.cli.surroundings").Surroundings
    sys.exit(program.run_program(sys.argv[1:], surroundings.real()))
