"""Turns a definition into layers and an archive. The walk: Debian, Python, then everything else.

`scripts/devcluster image build` and `up` call `ImageBuilder.build`; `store` imports the result.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from devcluster.errors import BuildError, ImageError
from devcluster.image import archive, debian
from devcluster.image.archive import Layer
from devcluster.image.definition import Copy, Definition, Definitions
from devcluster.image.layers import LayerCache, key_of

STATUS = "var/lib/dpkg/status"
# Not needed to run anything, and a good part of a package's size.
WEIGHT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
)


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: what `archive.write` needs. `key` changes when anything in it does."""

    definition: Definition
    layers: tuple[Layer, ...]
    config: Mapping[str, Any]
    # Packages left out here or in the base: whatever builds on this must not bring them back.
    without: tuple[str, ...] = ()

    @property
    def refs(self) -> tuple[str, ...]:
        return self.definition.refs

    @property
    def key(self) -> str:
        return key_of(
            [layer.digest for layer in self.layers], sorted(self.config.items()), self.refs
        )

    def write(self, target: IO[bytes]) -> None:
        archive.write(target, self.refs, self.layers, self.config)


class ImageBuilder:
    """Builds images and, first, the images they stand on."""

    def __init__(
        self,
        definitions: Definitions,
        layers: LayerCache,
        apt: debian.Apt,
        resolved: Path,
        program: Callable[[str], Path],
        pip: Sequence[str],
    ) -> None:
        """`program(name)` gives the path of a program built by this tree; `pip` starts `uv pip` or the like."""
        self._definitions = definitions
        self._layers = layers
        self._apt = apt
        self._resolved = resolved
        self._program = program
        self._pip = tuple(pip)

    def build(self, name: str) -> Image:
        """Build an image by name or ref. Raises ImageError or BuildError."""
        return self._build(self._definitions.find(name), ())

    def _build(self, definition: Definition, above: tuple[str, ...]) -> Image:
        if definition.name in above:
            raise ImageError(f"images stand on each other in a circle: {' → '.join(above)}")
        layers: tuple[Layer, ...] = ()
        inherited: Mapping[str, Any] = {}
        without = definition.without
        if definition.base:
            base = self._build(self._definitions.find(definition.base), (*above, definition.name))
            layers, inherited = base.layers, base.config
            without = tuple(dict.fromkeys(base.without + without))
        if definition.debian:
            layers += (self._debian_layer(definition.debian, without, layers),)
        if definition.python:
            layers += (self._python_layer(definition, layers),)
        if layer := self._own_layer(definition, layers):
            layers += (layer,)
        return Image(definition, layers, archive.configuration(definition, inherited), without)

    def _debian_layer(
        self, names: tuple[str, ...], without: tuple[str, ...], below: tuple[Layer, ...]
    ) -> Layer:
        wanted = (sorted(names), sorted(without))
        status = self._read_below(below, STATUS)
        record = self._resolved / f"{key_of(wanted, [layer.key for layer in below])}.json"
        if record.exists():
            packages = debian.from_json(record.read_text())
        else:
            packages = self._apt.resolve(names, without=without, status=status)
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(debian.to_json(packages))

        def make(root: Path) -> None:
            files = self._apt.download(packages, without=without, status=status)
            debian.root(root)
            entries = debian.unpack(files, root)
            debian.accounts(root)
            (root / STATUS).parent.mkdir(parents=True, exist_ok=True)
            (root / STATUS).write_text(status + entries)
            for name in WEIGHT:
                shutil.rmtree(root / name, ignore_errors=True)

        parts = [[package.name, package.version] for package in packages]
        return self._layers.get(key_of("debian", parts, [one.key for one in below]), below, make)

    def _python_layer(self, definition: Definition, below: tuple[Layer, ...]) -> Layer:
        version = self._python_version(definition, below)

        def make(root: Path) -> None:
            target = root / f"usr/local/lib/python{version}/dist-packages"
            target.mkdir(parents=True, exist_ok=True)
            argv = [*self._pip, "install", "--quiet", "--target", str(target)]
            argv += ["--python-version", version, "--only-binary", ":all:", *definition.python]
            done = subprocess.run(argv, text=True, capture_output=True, check=False)
            if done.returncode:
                raise BuildError(
                    f"{definition.folder / 'image.toml'}: python: {done.stderr.strip()[-800:]}"
                )
            for script in sorted((target / "bin").glob("*")):
                _install_script(script, root / "usr/local/bin" / script.name)
            shutil.rmtree(target / "bin", ignore_errors=True)

        key = key_of("python", version, definition.python, [layer.key for layer in below])
        return self._layers.get(key, below, make)

    def _python_version(self, definition: Definition, below: tuple[Layer, ...]) -> str:
        for layer in reversed(below):
            for path in (self._layers.tree(layer) / "usr/lib").glob("python3.*"):
                return path.name.removeprefix("python")
        raise ImageError(
            f"{definition.folder / 'image.toml'}: python: the image has no Debian python3; "
            'add "python3" to `debian` or choose a base that has it'
        )

    def _own_layer(self, definition: Definition, below: tuple[Layer, ...]) -> Layer | None:
        programs = {path: self._program(name) for name, path in definition.programs.items()}
        steps = (
            definition.copies,
            definition.directories,
            definition.symlinks,
            definition.accounts,
        )
        if not programs and not definition.run and not any(steps):
            return None

        def make(root: Path) -> None:
            for account in definition.accounts:
                line = f"{account.name}:x:{account.id}:"
                _append(root / "etc/group", line)
                _append(root / "etc/passwd", f"{line}{account.id}::{account.home}:{account.shell}")
            for directory in definition.directories:
                path = _inside(root, directory.path)
                path.mkdir(parents=True, exist_ok=True)
                os.chown(path, *directory.owner)
                path.chmod(directory.mode)
            for path_text, target in definition.symlinks.items():
                path = _inside(root, path_text)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.symlink_to(target)
            for path_text, source in programs.items():
                _copy(Copy(source, path_text, 0o755, (0, 0)), root)
            for copy in definition.copies:
                _copy(copy, root)
            for command in definition.run:
                _run_inside(definition, command, root)

        key = key_of(
            "own",
            [(path, _content([source])) for path, source in sorted(programs.items())],
            [
                (_content(copy.files()), copy.to, copy.mode, copy.owner)
                for copy in definition.copies
            ],
            [str(entry) for entry in (*definition.directories, *definition.accounts)],
            sorted(definition.symlinks.items()),
            definition.run,
            [layer.key for layer in below],
        )
        return self._layers.get(key, below, make)

    def _read_below(self, below: tuple[Layer, ...], name: str) -> str:
        for layer in reversed(below):
            file = self._layers.tree(layer) / name
            if file.exists():
                return file.read_text()
        return ""


def _install_script(source: Path, target: Path) -> None:
    lines = source.read_text().splitlines(keepends=True)
    if lines and lines[0].startswith("#!"):
        lines[0] = "#!/usr/bin/python3\n"  # it was written for the interpreter that ran pip
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(lines))
    target.chmod(0o755)


def _append(file: Path, line: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    name = line.split(":", 1)[0] + ":"
    present = file.read_text().splitlines() if file.exists() else []
    kept = [other for other in present if not other.startswith(name)]
    file.write_text("".join(f"{entry}\n" for entry in (*kept, line)))


def _inside(root: Path, path: str) -> Path:
    """A path of the image as a path of the host, following the image's own links and none out of it."""
    parts = Path(path).parts[1:]
    here = root
    for part in parts[:-1]:
        here = here / part
        if here.is_symlink():
            target = str(here.readlink())
            here = root / target.lstrip("/") if target.startswith("/") else here.parent / target
        if not Path(os.path.normpath(here)).is_relative_to(root):
            raise ImageError(f"{path!r} leads out of the image")
    return here / parts[-1]


def _copy(copy: Copy, root: Path) -> None:
    target = _inside(root, copy.to)
    for source in copy.files():
        to = target if source == copy.source else target / source.relative_to(copy.source)
        _copy_file(source, to, copy)


def _copy_file(source: Path, target: Path, copy: Copy) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    executable = source.stat().st_mode & 0o111
    target.chmod(copy.mode if copy.mode is not None else 0o755 if executable else 0o644)
    os.chown(target, *copy.owner)


def _run_inside(definition: Definition, command: str, root: Path) -> None:
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(archive.MTIME),
        **definition.env,
    }
    done = subprocess.run(
        ["chroot", root, "/bin/sh", "-ec", command],
        text=True,
        capture_output=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise BuildError(
            f"{definition.folder / 'image.toml'}: run: {command!r} ended with {done.returncode}: "
            f"{(done.stdout + done.stderr).strip()[-800:]}"
        )


def _content(files: Sequence[Path]) -> str:
    """A digest of files: their places to each other, whether they are executable, and what is in them."""
    common = os.path.commonpath([file.parent for file in files]) if files else ""
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        executable = bool(file.stat().st_mode & 0o111)
        whole.update(f"{file.relative_to(common)} {digest} {executable}\n".encode())
    return whole.hexdigest()
