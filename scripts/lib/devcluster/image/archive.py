"""Writes layers and a configuration as one image archive, always the same bytes for the same input.

The format is what `docker save` writes; containerd, Docker and Podman all load it. `build` makes the
layers and calls `write`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import stat
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from devcluster.image.definition import Definition

# One fixed time for every file: what is in an image, not when it was made, decides its digest.
MTIME = 1_700_000_000
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Layer:
    """A finished layer: its uncompressed tar and that tar's SHA-256 in hex."""

    key: str
    tar: Path
    digest: str


def write(
    target: IO[bytes], refs: Sequence[str], layers: Sequence[Layer], config: Mapping[str, Any]
) -> None:
    """Write an image archive; `config` is the `config` object of the OCI image configuration."""
    document = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "2023-11-14T22:13:20Z",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        "history": [{"created_by": f"skerry {layer.key}"} for layer in layers],
    }
    body = _json(document)
    name = f"{hashlib.sha256(body).hexdigest()}.json"
    paths = [f"{layer.digest}/layer.tar" for layer in layers]
    manifest = _json([{"Config": name, "RepoTags": list(refs), "Layers": paths}])
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for path, layer in dict(zip(paths, layers, strict=True)).items():
            with layer.tar.open("rb") as file:
                tar.addfile(_entry(path, layer.tar.stat().st_size), file)
        for path, content in ((name, body), ("manifest.json", manifest)):
            tar.addfile(_entry(path, len(content)), io.BytesIO(content))


def configuration(definition: Definition, inherited: Mapping[str, Any]) -> dict[str, Any]:
    """The OCI `config` of an image: its base's, overlaid with its own settings."""
    config = dict(inherited)
    environment = dict(entry.split("=", 1) for entry in inherited.get("Env", []))
    environment.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    environment.update(definition.env)
    config["Env"] = [f"{key}={value}" for key, value in environment.items()]
    own: dict[str, Any] = {
        "User": definition.user,
        "Entrypoint": list(definition.entrypoint),
        "Cmd": list(definition.cmd),
        "WorkingDir": definition.workdir,
        "StopSignal": definition.stop_signal,
    }
    if definition.entrypoint:
        config.pop("Cmd", None)  # a base's arguments are not meant for another program
    config.update({key: value for key, value in own.items() if value})
    for key, values in (("ExposedPorts", definition.expose), ("Volumes", definition.volumes)):
        merged = {**inherited.get(key, {}), **{value: {} for value in values}}
        if merged:
            config[key] = merged
    labels = {**inherited.get("Labels", {}), **definition.labels}
    if labels:
        config["Labels"] = labels
    return config


def pack(tree: Path, target: Path) -> str:
    """Write a folder (or an overlay's upper folder) as a layer tar; return its SHA-256 in hex.

    Entries are sorted, times fixed, owners numeric; overlayfs' marks for what was deleted become the
    layer format's `.wh.` files.
    """
    with target.open("wb") as file:
        hashing = cast("IO[bytes]", digesting := _Hashing(file))
        with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.GNU_FORMAT) as tar:
            links: dict[tuple[int, int], str] = {}
            for path in _walk(tree):
                _add(tar, tree, path, links)
        return digesting.hexdigest()


def _walk(folder: Path) -> list[Path]:
    found: list[Path] = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        found.append(path)
        if entry.is_dir(follow_symlinks=False):
            found.extend(_walk(path))
    return found


def _add(tar: tarfile.TarFile, tree: Path, path: Path, links: dict[tuple[int, int], str]) -> None:
    name = str(path.relative_to(tree))
    status = path.lstat()
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        tar.addfile(_entry(str(path.relative_to(tree).with_name(f".wh.{path.name}")), 0))
        return
    entry = _entry(name, 0)
    entry.mode = stat.S_IMODE(status.st_mode)
    entry.uid, entry.gid = status.st_uid, status.st_gid
    if stat.S_ISDIR(status.st_mode):
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
        if _is_opaque(path):
            tar.addfile(_entry(f"{name}/.wh..wh..opq", 0))
    elif stat.S_ISLNK(status.st_mode):
        entry.type = tarfile.SYMTYPE
        entry.linkname = str(path.readlink())
        tar.addfile(entry)
    elif stat.S_ISREG(status.st_mode):
        first = links.setdefault((status.st_dev, status.st_ino), name)
        if first != name:
            entry.type = tarfile.LNKTYPE
            entry.linkname = first
            tar.addfile(entry)
            return
        entry.size = status.st_size
        with path.open("rb") as file:
            tar.addfile(entry, file)
    # Sockets, pipes and devices have no place in an image: the runtime makes /dev.


def _is_opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mtime = MTIME
    entry.mode = 0o644
    return entry


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class _Hashing:
    """A file that hashes what passes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
