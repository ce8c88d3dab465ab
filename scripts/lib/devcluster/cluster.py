"""The parts of a dev cluster put together: what `up`, `down`, `status` and `background` all work with.

Built once per command by `cli`; nothing here decides anything.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster import toolchain
from devcluster.builds import BuildCache
from devcluster.display import Display
from devcluster.errors import BuildError
from devcluster.image import debian
from devcluster.image.build import ImageBuilder
from devcluster.image.definition import Definitions
from devcluster.image.layers import LayerCache
from devcluster.image.store import ImageStore
from devcluster.manifests import Manifests, values
from devcluster.process import Processes
from devcluster.recipes import Recipes
from devcluster.settings import Settings

BACKGROUND = "background"
HELM_CONTROLLER = "helm-controller"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Settings and collaborators of one command."""

    settings: Settings
    recipes: Recipes
    builds: BuildCache
    processes: Processes
    display: Display

    @classmethod
    def of(cls, settings: Settings, display: Display, *, nice: int = 0) -> Cluster:
        return cls(
            settings=settings,
            recipes=Recipes.of(settings.cache),
            builds=BuildCache(settings.cache, settings.scratch, display.progress, nice),
            processes=Processes(settings.state / "pids", settings.logs),
            display=display,
        )

    def kubectl(self) -> Path:
        return self.builds.ensure(self.recipes.kubectl) / "bin" / "kubectl"

    def manifests(self, kubeconfig: Path) -> Manifests:
        resolvers = "nameserver" in Path("/etc/resolv.conf").read_text()
        return Manifests(self.kubectl(), kubeconfig, values(self.settings, resolvers=resolvers))

    def image_builder(self) -> ImageBuilder:
        return ImageBuilder(
            Definitions(self.settings.repository),
            LayerCache(self.settings.cache / "layers", self.settings.scratch),
            debian.Apt(self.settings.cache / "debian"),
            self.settings.cache / "debian" / "resolved",
            self._program,
            toolchain.pip(),
        )

    def image_store(self) -> ImageStore:
        """The image store of our own containerd."""
        tools = self.builds.ensure(self.recipes.tools)
        ctr = tools / "usr" / "bin" / "ctr"
        return ImageStore([str(ctr), "--address", str(self.settings.containerd_socket)])

    def import_images(self, names: Sequence[str], store: ImageStore | None = None) -> list[str]:
        """Build images and import those that changed; return the names of what was imported."""
        builder = self.image_builder()
        store = store or self.image_store()
        return [name for name in names if store.add(builder.build(name))]

    def remembered(self) -> dict[str, Any]:
        """What `up` wrote down about the cluster in use; empty when there is none."""
        try:
            return dict(json.loads((self.settings.state / "cluster.json").read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def remember(self, **facts: object) -> None:
        self.settings.state.mkdir(parents=True, exist_ok=True)
        temporary = self.settings.state / ".cluster.json.tmp"
        temporary.write_text(json.dumps(facts, indent=1))
        temporary.replace(self.settings.state / "cluster.json")

    def forget(self) -> None:
        (self.settings.state / "cluster.json").unlink(missing_ok=True)

    def _program(self, name: str) -> Path:
        path = self.builds.ensure(self.recipes.of_program(name)) / name
        if not path.exists():
            raise BuildError(
                f"the build of {name} made no such program: remove {path.parent} and try again"
            )
        return path


def free_port(wanted: int, fallbacks: range) -> int:
    """`wanted`, or the first free port of `fallbacks` when something listens there."""
    candidates: tuple[int, ...] = (wanted, *fallbacks)
    for port in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise BuildError(f"no free port among {wanted} and {fallbacks.start}-{fallbacks.stop - 1}")


def k3s_store() -> ImageStore | None:
    """The image store of a K3s on this machine, if its program is here."""
    k3s = shutil.which("k3s")
    return ImageStore([k3s, "ctr"]) if k3s else None
