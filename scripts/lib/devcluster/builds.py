"""The build cache: everything compiled or downloaded is made once per version and set of inputs.

A result lives in `<cache>/built/<name>-<version>-<key>`. It is made in a scratch folder and renamed into
place, so a build that is killed half-way leaves nothing that looks finished; a lock per name makes a
second asker wait and then find it done. While a build runs, `<cache>/progress/<name>.json` tells
`status` (any process) how far it is; the time it took is kept for the next estimate.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Protocol

from devcluster import locks
from devcluster.errors import BuildError


class Recipe(Protocol):
    """How one thing is made. Equal name, version and key: the same result."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def seconds(self) -> float:
        """How long it took on two cores; used until this machine has its own figure."""
        ...

    @property
    def steps(self) -> int:
        """About how many lines of progress the build prints; 0 when it prints none."""
        ...

    def make(self, target: Path, run: Run) -> None:
        """Make it into the empty folder `target`, running commands by `run` only."""
        ...


class Run(Protocol):
    def __call__(
        self, argv: Sequence[str | Path], *, env: Mapping[str, str] = ..., cwd: Path | None = ...
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """One build as `status` sees it. Times in seconds since the epoch or lasting."""

    name: str
    started: float
    steps_done: int
    steps: int
    seconds: float
    state: str = "building"
    error: str = ""

    def left(self, now: float) -> float:
        """Estimated seconds to go.

        The steps give the share done, the share gives this machine's speed against the expected one; the last
        tenth is kept for linking, which prints nothing.
        """
        elapsed = now - self.started
        if not self.steps or not self.steps_done:
            return max(self.seconds - elapsed, 1.0)
        share = min(self.steps_done / self.steps, 1.0) * 0.9
        pace = min(max(elapsed / (share * self.seconds), 0.3), 4.0) if share > 0.1 else 1.0
        return max((1 - share) * self.seconds * pace, 1.0)


class BuildCache:
    """Finds and makes results. `report` is told about every change of a running build."""

    def __init__(
        self,
        folder: Path,
        scratch: Callable[[], Path],
        report: Callable[[Progress], None] = lambda _: None,
        nice: int = 0,
    ) -> None:
        self._folder = folder
        self._scratch = scratch
        self._report = report
        self._nice = nice

    def find(self, recipe: Recipe) -> Path | None:
        """The folder of a finished result, or None."""
        home = self._home(recipe)
        return home if home.is_dir() else None

    def ensure(self, recipe: Recipe) -> Path:
        """The folder of the result, made first if need be. Raises BuildError naming the log."""
        with locks.held(self._folder / "locks" / f"{recipe.name}.lock"):
            home = self._home(recipe)
            if not home.is_dir():
                self._make(recipe, home)
            return home

    def log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    def progress(self, name: str) -> Progress | None:
        """The running or last failed build of that name; None when it is neither."""
        try:
            known = Progress(**json.loads(self._progress_file(name).read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        building = known.state == "building"
        if building and not locks.is_held(self._folder / "locks" / f"{name}.lock"):
            return None  # its process was killed
        return known

    def _make(self, recipe: Recipe, home: Path) -> None:
        seconds, steps = self._expected(recipe)
        started = time.time()
        scratch = self._scratch()
        self.log(recipe.name).parent.mkdir(parents=True, exist_ok=True)
        with self.log(recipe.name).open("wb") as log:
            build = _Build(
                Progress(recipe.name, started, 0, steps, seconds), log, self._tell, self._nice
            )
            try:
                target = scratch / "result"
                target.mkdir()
                recipe.make(target, build.run)
                home.parent.mkdir(parents=True, exist_ok=True)
                target.rename(home)
            except (BuildError, OSError) as error:
                failed = Progress(
                    recipe.name, started, build.steps, steps, seconds, "failed", str(error)
                )
                self._tell(failed)
                if isinstance(error, BuildError):
                    raise
                raise BuildError(
                    f"{recipe.name} {recipe.version} could not be built: {error}"
                ) from error
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        self._remember(recipe, time.time() - started, build.steps)
        self._tell(Progress(recipe.name, started, build.steps, steps, seconds, "built"))
        self._progress_file(recipe.name).unlink(missing_ok=True)

    def _home(self, recipe: Recipe) -> Path:
        return self._folder / "built" / f"{recipe.name}-{recipe.version}-{recipe.key}"

    def _progress_file(self, name: str) -> Path:
        return self._folder / "progress" / f"{name}.json"

    def _tell(self, progress: Progress) -> None:
        file = self._progress_file(progress.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(progress)))
        temporary.replace(file)
        self._report(progress)

    def _expected(self, recipe: Recipe) -> tuple[float, int]:
        known = self._durations().get(recipe.name)
        return (known["seconds"], int(known["steps"])) if known else (recipe.seconds, recipe.steps)

    def _remember(self, recipe: Recipe, seconds: float, steps: int) -> None:
        # A rebuild over a warm compiler cache says nothing about a cold one.
        if recipe.steps and steps < recipe.steps * 0.5:
            return
        with locks.held(self._folder / "locks" / "durations.lock"):
            durations = self._durations()
            durations[recipe.name] = {"seconds": round(seconds, 1), "steps": steps}
            (self._folder / "durations.json").write_text(json.dumps(durations, indent=1))

    def _durations(self) -> dict[str, dict[str, float]]:
        try:
            return dict(json.loads((self._folder / "durations.json").read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}


class _Build:
    """Runs the commands of one build, its output going to the log, its lines counted as steps."""

    def __init__(
        self, progress: Progress, log: IO[bytes], tell: Callable[[Progress], None], nice: int
    ) -> None:
        self._progress = progress
        self._log = log
        self._tell = tell
        # The compiler must not outlive us: a second `up` would start another beside it. By a program and not
        # by a preexec_fn: Python code between fork and exec can hang on another thread's lock.
        self._ways = ("setpriv", "--pdeathsig", "TERM", "nice", "-n", str(nice))
        self.steps = 0

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._tell(replace(self._progress, steps_done=self.steps))
        process = subprocess.Popen(
            [*self._ways, *(str(argument) for argument in argv)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        assert process.stdout is not None
        last = b""
        told = time.monotonic()
        try:
            for line in process.stdout:
                self._log.write(line)
                self._log.flush()
                self.steps += 1
                last = line if line.strip() else last
                if time.monotonic() - told > 0.5:
                    told = time.monotonic()
                    self._tell(replace(self._progress, steps_done=self.steps))
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdout.close()
            code = process.wait()
        if code:
            raise BuildError(
                f"{self._progress.name}: `{Path(str(argv[0])).name} {argv[1]}` ended with {code}: "
                f"{last.decode(errors='replace').strip()} (all of it: the log of the build, {self._log.name})"
            )
