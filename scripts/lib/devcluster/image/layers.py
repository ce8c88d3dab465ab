"""Layers: made once for the same content, kept as a folder (to build on) and as a tar (to ship).

`build` asks for a layer by its key; a missing one is made in a scratch folder and moved into place whole,
so that an interrupted build leaves nothing behind that looks finished. A layer on top of others is made in
an overlay mount: what the step changed is exactly the upper folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from devcluster import locks
from devcluster.errors import BuildError
from devcluster.image import archive
from devcluster.image.archive import Layer


class LayerCache:
    """Finished layers under `<cache>/layers/<key>`."""

    def __init__(self, folder: Path, scratch: Callable[[], Path]) -> None:
        self._folder = folder
        self._scratch = scratch

    def get(self, key: str, below: Sequence[Layer], make: Callable[[Path], None]) -> Layer:
        """The layer of that key, made by `make(root)` on top of `below` if it is not there yet."""
        home = self._folder / key
        with locks.held(self._folder / "locks" / key):
            if not (home / "layer.json").exists():
                self._make(home, key, below, make)
        digest = json.loads((home / "layer.json").read_text())["digest"]
        return Layer(key, home / "layer.tar", digest)

    def tree(self, layer: Layer) -> Path:
        return layer.tar.parent / "tree"

    def _make(
        self, home: Path, key: str, below: Sequence[Layer], make: Callable[[Path], None]
    ) -> None:
        scratch = self._scratch()
        try:
            upper = scratch / "tree"
            upper.mkdir()
            lower = [self.tree(layer) for layer in reversed(below)]
            with _mounted(lower, upper, scratch) as root:
                make(root)
            digest = archive.pack(upper, scratch / "layer.tar")
            (scratch / "layer.json").write_text(json.dumps({"key": key, "digest": digest}))
            for name in ("work", "root"):
                shutil.rmtree(scratch / name, ignore_errors=True)
            home.parent.mkdir(parents=True, exist_ok=True)
            if home.exists():
                shutil.rmtree(home)
            scratch.rename(home)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def key_of(*parts: object) -> str:
    """A short name for content: equal parts, equal key."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:20]


@contextlib.contextmanager
def _mounted(lower: Sequence[Path], upper: Path, scratch: Path) -> Iterator[Path]:
    if not lower:
        yield upper
        return
    root, work = scratch / "root", scratch / "work"
    root.mkdir()
    work.mkdir()
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    done = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", options, root], capture_output=True, check=False
    )
    if done.returncode:
        raise BuildError(f"cannot mount an overlay for a layer: {done.stderr.decode().strip()}")
    try:
        yield root
    finally:
        subprocess.run(["umount", root], check=True)
