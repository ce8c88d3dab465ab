"""The node's images: import, list, and skip what is there already.

Images go into containerd's namespace `k8s.io`, the one the kubelet looks in. Each carries the label
`skerry.dev/key`, by which an unchanged image is recognised. On K3s the same is done through
`k3s ctr`; a foreign cluster has no door for images and must pull them from a registry.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import ImageError
from devcluster.image.build import Image

LABEL = "skerry.dev/key"


@dataclass(frozen=True, slots=True)
class StoredImage:
    ref: str
    size: str
    key: str | None


class ImageStore:
    """Images of one containerd; `ctr` is the command that reaches it, e.g. ("ctr", "--address", …)."""

    def __init__(self, ctr: Sequence[str]) -> None:
        self._ctr = (*ctr, "--namespace", "k8s.io")

    def add(self, image: Image) -> bool:
        """Import a built image; False when exactly this one is there."""
        present = {stored.ref: stored.key for stored in self.list()}
        if all(present.get(ref) == image.key for ref in image.refs):
            return False
        argv = [*self._ctr, "images", "import", "-"]
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdin is not None
        try:
            image.write(process.stdin)
            output, _ = process.communicate()
        except BrokenPipeError:
            output, _ = process.communicate()
        if process.returncode:
            raise ImageError(f"{image.refs[0]} cannot be imported: {output.decode()[-600:]}")
        for ref in image.refs:
            self._run("images", "label", ref, f"{LABEL}={image.key}")
        return True

    def add_file(self, path: Path) -> str:
        """Import an image archive; return what containerd said."""
        return self._run("images", "import", str(path))

    def list(self) -> list[StoredImage]:
        """All images, by ref."""
        images = []
        for line in self._run("images", "list").splitlines()[1:]:
            fields = line.split()
            ref, labels = fields[0], fields[-1]
            if "@sha256:" in ref or ref.startswith("sha256:"):
                continue
            pairs = dict(label.partition("=")[::2] for label in labels.split(","))
            images.append(StoredImage(ref, " ".join(fields[3:5]), pairs.get(LABEL)))
        return images

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._ctr, *arguments], text=True, capture_output=True, check=False)
        if done.returncode:
            raise ImageError(
                f"`ctr {' '.join(arguments)}` failed: {(done.stderr or done.stdout).strip()[-600:]}"
            )
        return done.stdout
