"""The declarative image definition: `images/<name>/image.toml`.

Read by `build`; written by whoever adds an example or an add-on. Definitions are looked for in
`scripts/lib/devcluster/images/*`, `deploy/images/*` and `examples/*/images/*`. All keys::

    refs = ["docker.io/library/web:1.0"]     # required: full names; the first one is what `base` and
                                             # `scripts/devcluster image build` may call it, beside the
                                             # name of the folder
    base = "skerry.local/python:3.11"        # first ref (or folder name) of another definition;
                                             # left out: start from nothing
    debian = ["python3", "python3-psycopg2"] # Debian packages with what they need, unpacked without
                                             # running their install scripts
    without = ["libllvm14"]                  # packages to leave out although something depends on them
    python = ["flask==3.1.2"]                # requirements for pip, or
    requirements = "requirements.txt"        # ... a file of them beside image.toml; the image (or its
                                             # base) must have Debian's python3
    run = ["python3 -m compileall -q /app"]  # shell commands run inside the image as root, last, with
                                             # the host's network
    user = "999:999"                         # numeric, uid or uid:gid
    entrypoint = ["/app/serve"]
    cmd = ["--port=8080"]
    workdir = "/app"
    expose = ["8080/tcp"]
    volumes = ["/var/lib/data"]
    stop_signal = "SIGINT"

    [env]
    PORT = "8080"

    [labels]
    "org.opencontainers.image.title" = "web"

    [programs]                               # programs this tree builds (`scripts/devcluster status`
    coredns = "/coredns"                     # lists them) → path in the image

    [[copy]]                                 # files or folders
    from = "app"                             # beside image.toml, or "//agent": from the repository's root
    to = "/app"
    exclude = ["tests", "*.md"]              # optional; names left out of a folder, at any depth
    mode = "0755"                            # optional; left out: 0755 if executable, else 0644
    owner = "999:999"                        # optional; left out: 0:0

    [[directory]]
    path = "/data"
    mode = "0700"
    owner = "999:999"

    [[symlink]]
    path = "/bin/sh"
    to = "busybox"

    [[account]]                              # a line in /etc/passwd and /etc/group
    name = "app"
    id = 999
    home = "/app"
    shell = "/bin/sh"

Order: base, Debian packages, Python requirements, accounts, directories, symlinks, programs, copies, `run`.
Packages and requirements are one layer each, shared by every image with the same list on the same base;
the rest is the last layer. What is unchanged is not built again.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from devcluster.errors import ImageError

SEARCHED = ("scripts/lib/devcluster/images", "deploy/images", "examples/*/images")
_REF = re.compile(r"[a-z0-9.-]+(?::\d+)?/[a-z0-9._/-]+:[\w][\w.-]{0,127}")
_OWNER = re.compile(r"\d+(:\d+)?")


@dataclass(frozen=True, slots=True)
class Copy:
    source: Path
    to: str
    mode: int | None
    owner: tuple[int, int]
    exclude: tuple[str, ...] = ()

    def files(self) -> list[Path]:
        """The files meant, sorted. Raises ImageError when there is nothing."""
        if self.source.is_file():
            return [self.source]
        if not self.source.is_dir():
            raise ImageError(f"{self.source} does not exist, and an image wants to copy it")
        leave_out = (*self.exclude, "__pycache__")
        return [
            path
            for path in sorted(self.source.rglob("*"))
            if path.is_file() and not self._is_excluded(path.relative_to(self.source), leave_out)
        ]

    def _is_excluded(self, path: Path, globs: tuple[str, ...]) -> bool:
        return any(fnmatch(part, glob) for part in path.parts for glob in globs)


@dataclass(frozen=True, slots=True)
class Directory:
    path: str
    mode: int
    owner: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    id: int
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class Definition:
    """One `image.toml`, checked. `folder` is where its relative paths start."""

    folder: Path
    refs: tuple[str, ...]
    base: str | None = None
    debian: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    workdir: str = ""
    expose: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    copies: tuple[Copy, ...] = ()
    directories: tuple[Directory, ...] = ()
    symlinks: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()

    @property
    def name(self) -> str:
        return self.folder.name


class Definitions:
    """All definitions of a repository, found by folder name or by any of their refs."""

    def __init__(self, repository: Path) -> None:
        files = [path for glob in SEARCHED for path in repository.glob(f"{glob}/*/image.toml")]
        self._by_name: dict[str, Definition] = {}
        self._broken: dict[str, ImageError] = {}
        for path in sorted(files):
            try:
                definition = read(path, repository)
            except ImageError as error:
                # A mistake in one image must not keep all others from being built.
                self._broken[path.parent.name] = error
                continue
            for name in (definition.name, *definition.refs):
                other = self._by_name.get(name)
                if other is not None:
                    raise ImageError(
                        f"{path}: the name {name!r} is taken by {other.folder / 'image.toml'}; rename one"
                    )
                self._by_name[name] = definition

    def __iter__(self) -> Iterator[Definition]:
        return iter({id(value): value for value in self._by_name.values()}.values())

    def find(self, name: str) -> Definition:
        """Raises ImageError, naming what there is, when there is none of that name."""
        if found := self._by_name.get(name):
            return found
        if broken := self._broken.get(name):
            raise broken
        known = ", ".join(definition.name for definition in self)
        wrong = "".join(f"; {error}" for error in self._broken.values())
        raise ImageError(f"no image definition {name!r}; there are: {known}{wrong}")


def read(path: Path, repository: Path) -> Definition:
    """Read one `image.toml` of a repository. Raises ImageError naming the file, the key and what it should be."""
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImageError(f"{path}: not TOML: {error}") from error
    return _Reader(path, repository, table).definition()


class _Reader:
    """Takes the keys out of one table, so that what is left over can be named as unknown."""

    def __init__(self, path: Path, repository: Path, table: dict[str, Any]) -> None:
        self._path = path
        self._repository = repository
        self._table = table

    def definition(self) -> Definition:
        refs = self._strings("refs")
        if not refs:
            raise self._wrong("refs", 'is required, for example ["docker.io/library/web:1.0"]')
        for ref in refs:
            if not _REF.fullmatch(ref):
                raise self._wrong(
                    "refs", f"{ref!r} is not a full name with a tag (registry/path:tag)"
                )
        python = self._strings("python")
        if requirements := self._string("requirements"):
            python += self._requirements(requirements)
        user = self._string("user")
        if user and not _OWNER.fullmatch(user):
            raise self._wrong("user", f"{user!r} must be numeric, uid or uid:gid")
        definition = Definition(
            folder=self._path.parent,
            refs=refs,
            base=self._string("base") or None,
            debian=self._strings("debian"),
            without=self._strings("without"),
            python=python,
            run=self._strings("run"),
            user=user,
            entrypoint=self._strings("entrypoint"),
            cmd=self._strings("cmd"),
            workdir=self._string("workdir"),
            expose=self._strings("expose"),
            volumes=self._strings("volumes"),
            stop_signal=self._string("stop_signal"),
            env=self._mapping("env"),
            labels=self._mapping("labels"),
            programs=self._mapping("programs"),
            copies=tuple(self._copy(entry) for entry in self._entries("copy")),
            directories=tuple(self._directory(entry) for entry in self._entries("directory")),
            symlinks={
                entry["path"]: entry["to"] for entry in self._entries("symlink", "path", "to")
            },
            accounts=tuple(self._account(entry) for entry in self._entries("account")),
        )
        for path in (*definition.programs.values(), *definition.symlinks):
            if not path.startswith("/"):
                raise self._wrong("programs/symlink", f"{path!r} must be an absolute path")
        if self._table:
            raise self._wrong(sorted(self._table)[0], "is not a key of an image definition")
        return definition

    def _copy(self, entry: Mapping[str, Any]) -> Copy:
        if not isinstance(entry.get("from"), str) or not isinstance(entry.get("to"), str):
            raise self._wrong("copy", "needs `from` and `to`")
        text = entry["from"]
        start = self._repository if text.startswith("//") else self._path.parent
        source = start / text.removeprefix("//")
        if not source.resolve().is_relative_to(start.resolve()):
            raise self._wrong("copy.from", f"{text!r} leads out of {start}")
        mode = self._mode(entry) if "mode" in entry else None
        exclude = entry.get("exclude", [])
        if not isinstance(exclude, list) or not all(isinstance(glob, str) for glob in exclude):
            raise self._wrong("copy.exclude", "must be a list of texts")
        return Copy(source, entry["to"], mode, self._owner(entry), tuple(exclude))

    def _directory(self, entry: Mapping[str, Any]) -> Directory:
        if not isinstance(entry.get("path"), str):
            raise self._wrong("directory", "needs `path`")
        return Directory(entry["path"], self._mode(entry), self._owner(entry))

    def _account(self, entry: Mapping[str, Any]) -> Account:
        if not isinstance(entry.get("name"), str) or not isinstance(entry.get("id"), int):
            raise self._wrong("account", "needs `name` and a numeric `id`")
        home, shell = entry.get("home", "/nonexistent"), entry.get("shell", "/usr/sbin/nologin")
        return Account(entry["name"], entry["id"], home, shell)

    def _mode(self, entry: Mapping[str, Any]) -> int:
        try:
            return int(entry.get("mode", "0755"), 8)
        except (TypeError, ValueError):
            raise self._wrong(
                "mode", f'{entry["mode"]!r} must be octal text such as "0755"'
            ) from None

    def _owner(self, entry: Mapping[str, Any]) -> tuple[int, int]:
        text = entry.get("owner", "0:0")
        if not isinstance(text, str) or not _OWNER.fullmatch(text):
            raise self._wrong("owner", f"{text!r} must be numeric, uid or uid:gid")
        uid, _, gid = text.partition(":")
        return int(uid), int(gid or uid)

    def _requirements(self, name: str) -> tuple[str, ...]:
        try:
            lines = (self._path.parent / name).read_text().splitlines()
        except OSError as error:
            raise self._wrong("requirements", f"{name!r}: {error.strerror}") from error
        return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))

    def _entries(self, key: str, *needs: str) -> list[dict[str, Any]]:
        value = self._table.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self._wrong(key, f"must be written as [[{key}]] tables")
        for entry in value:
            for need in needs:
                if not isinstance(entry.get(need), str):
                    raise self._wrong(key, f"needs `{need}`")
        return value

    def _string(self, key: str) -> str:
        value = self._table.pop(key, "")
        if not isinstance(value, str):
            raise self._wrong(key, "must be text")
        return value

    def _strings(self, key: str) -> tuple[str, ...]:
        value = self._table.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "must be a list of texts")
        return tuple(value)

    def _mapping(self, key: str) -> dict[str, str]:
        value = self._table.pop(key, {})
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise self._wrong(key, "must be a table of texts")
        return value

    def _wrong(self, key: str, problem: str) -> ImageError:
        return ImageError(f"{self._path}: {key}: {problem}")
