"""The build cache: once per key, whole or not at all, honest about time."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from devcluster.builds import BuildCache, Progress, Run
from devcluster.errors import BuildError


@dataclass
class Cake:
    """A recipe whose making is a function of the test."""

    making: Callable[[Path, Run], None]
    name: str = "cake"
    version: str = "1"
    key: str = "k"
    seconds: float = 100.0
    steps: int = 10
    made: int = 0

    def make(self, target: Path, run: Run) -> None:
        self.made += 1
        self.making(target, run)


def put_file(target: Path, _: Run) -> None:
    (target / "cake").write_text("sweet")


@pytest.fixture
def cache(tmp_path: Path) -> BuildCache:
    return cache_in(tmp_path)


def cache_in(folder: Path, report: Callable[[Progress], None] = lambda _: None) -> BuildCache:
    def scratch() -> Path:
        (folder / "tmp").mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(dir=folder / "tmp"))

    return BuildCache(folder, scratch, report)


def test_made_once_for_the_same_key(cache: BuildCache) -> None:
    cake = Cake(put_file)
    assert cache.find(cake) is None
    assert (cache.ensure(cake) / "cake").read_text() == "sweet"
    cache.ensure(cake)
    assert cake.made == 1


def test_another_key_is_another_result(cache: BuildCache) -> None:
    one, two = Cake(put_file, key="one"), Cake(put_file, key="two")
    assert cache.ensure(one) != cache.ensure(two)


def test_a_failed_build_leaves_nothing_that_looks_finished(
    cache: BuildCache, tmp_path: Path
) -> None:
    def half(target: Path, run: Run) -> None:
        put_file(target, run)
        run(["sh", "-c", "echo no sugar; exit 3"])

    with pytest.raises(BuildError, match=r"ended with 3: no sugar"):
        cache.ensure(Cake(half))
    assert cache.find(Cake(put_file)) is None
    assert list((tmp_path / "tmp").iterdir()) == []
    failed = cache.progress("cake")
    assert failed is not None
    assert (failed.state, "no sugar" in failed.error) == ("failed", True)


def test_a_killed_build_is_made_anew(tmp_path: Path) -> None:
    library = Path(__file__).resolve().parents[3] / "scripts" / "lib"
    script = f"""
import sys, time
sys.path.insert(0, {str(library)!r}); sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_builds import Cake, cache_in, put_file
from pathlib import Path
def hang(target, run):
    put_file(target, run)
    print("half-way", flush=True)
    time.sleep(600)
cache_in(Path({str(tmp_path)!r})).ensure(Cake(hang))
"""
    killed = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "half-way\n"
    killed.kill()
    killed.wait()
    killed.stdout.close()
    cache = cache_in(tmp_path)
    assert cache.progress("cake") is None  # nobody builds it
    assert (cache.ensure(Cake(put_file)) / "cake").exists()


def test_a_compiler_does_not_outlive_its_build(tmp_path: Path) -> None:
    library = Path(__file__).resolve().parents[3] / "scripts" / "lib"
    script = f"""
import sys
sys.path.insert(0, {str(library)!r}); sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_builds import Cake, cache_in
from pathlib import Path
def compile(target, run):
    run(["sh", "-c", "echo $$ > {tmp_path}/pid; exec sleep 600"])
cache_in(Path({str(tmp_path)!r})).ensure(Cake(compile))
"""
    pid = tmp_path / "pid"
    os.mkfifo(pid)
    building = subprocess.Popen([sys.executable, "-c", script])
    compiler = os.pidfd_open(int(pid.read_text()))
    building.kill()
    building.wait()
    assert select.select([compiler], [], [], 10)[0], "the compiler still runs"
    os.close(compiler)


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    started = threading.Event()

    def slow(target: Path, run: Run) -> None:
        started.set()
        run(["sleep", "0.3"])
        put_file(target, run)

    cakes = [Cake(slow), Cake(slow)]
    first = threading.Thread(target=lambda: cache_in(tmp_path).ensure(cakes[0]))
    first.start()
    assert started.wait(10)
    cache_in(tmp_path).ensure(cakes[1])
    first.join()
    assert [cake.made for cake in cakes] == [1, 0]


def test_the_next_estimate_uses_this_machines_time(tmp_path: Path) -> None:
    seen: list[Progress] = []

    def baking(target: Path, run: Run) -> None:
        run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; done"])
        put_file(target, run)

    cache_in(tmp_path, seen.append).ensure(Cake(baking, key="one"))
    assert seen[0].seconds == 100.0
    seen.clear()
    cache_in(tmp_path, seen.append).ensure(Cake(baking, key="two"))
    assert seen[0].seconds < 50.0
    assert seen[0].steps == 10


def test_time_left_follows_the_pace_of_the_steps() -> None:
    now = time.time()
    # Half of the steps after 90 s, where 45 s were to be expected: twice as slow as thought.
    half = Progress("cake", now - 90, steps_done=50, steps=100, seconds=100)
    assert half.left(now) == pytest.approx(110, rel=0.01)
    fresh = Progress("cake", now - 10, steps_done=0, steps=0, seconds=100)
    assert fresh.left(now) == pytest.approx(90, rel=0.01)
    late = Progress("cake", now - 500, steps_done=0, steps=0, seconds=100)
    assert late.left(now) == 1.0
