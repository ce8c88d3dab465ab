"""Makes the bundle of a deploy: compose files, the files they name, and the variables they use.

Called by `skerry plan` and `skerry deploy`. What is not sent is said; what is wrong in the compose
files is the server's to say, which reads them anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skerry.cli.bundle.folder import Folder, LeftOutError
from skerry.cli.bundle.mentions import mentions, variables_of
from skerry.cli.bundle.variables import asked_for, fill, from_shell, parse_env_file
from skerry.cli.exit_codes import UsageError
from skerry.cli.output.words import size
from skerry.platform.v1 import app_pb2

MAX_BYTES = 1 << 20
"""Most content of a bundle (the contract's bound)."""
MAX_APP_ID = 30
STDIN = "-"
STDIN_PATH = "stdin.yaml"
DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDE_NAMES = tuple(f"{Path(n).stem}.override{Path(n).suffix}" for n in DEFAULT_NAMES)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the command line and the shell say."""

    compose_files: Sequence[str]
    """As given with -f; empty to look for the usual names."""
    env_files: Sequence[str]
    cwd: Path
    environ: Mapping[str, str]
    read_stdin: Callable[[int], bytes]
    """Reads at most that many bytes."""


@dataclass(slots=True)
class Collected:
    """A bundle, and what there is to say about it."""

    bundle: app_pb2.Bundle
    app_id: str
    """From the compose file's `name`, else the folder's; empty when neither gives an id."""
    left_out: list[str] = field(default_factory=list)
    """`PATH: why`, for people."""


def collect(inputs: Inputs) -> Collected:
    """Read the project. Raises UsageError when a compose or env file cannot be read."""
    return _Collector(inputs).run()


def app_id(name: str) -> str:
    """An id made of a compose project's or a folder's name; empty when nothing is left of it."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")
    return text[:MAX_APP_ID].rstrip("-")


class _Collector:
    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._files: dict[str, bytes] = {}
        self._left = MAX_BYTES
        self._left_out: dict[str, str] = {}
        self._mentioned: set[str] = set()
        self._name = ""

    def run(self) -> Collected:
        given = list(self._inputs.compose_files) or default_files(self._inputs.cwd)
        self._folder = Folder(self._root(given[0]))
        env = self._env_files()
        self._values = {**self._dot_env(), **env, **self._inputs.environ}
        composes = [self._add_given(name) for name in given]
        for path in composes:
            self._follow(path, depth=0)
        bundle = app_pb2.Bundle(
            compose_files=composes,
            files=[app_pb2.BundleFile(path=p, content=c) for p, c in self._files.items()],
            # An env file was asked for; the shell happens to be there, and the server's variables win over it.
            variables=asked_for(env, self._inputs.environ),
            default_variables=from_shell(self._mentioned, self._inputs.environ, env),
        )
        name = app_id(self._name) or app_id(self._folder.root.name)
        return Collected(bundle, name, [f"{path}: {why}" for path, why in self._left_out.items()])

    def _root(self, first: str) -> Path:
        if first == STDIN:
            return self._inputs.cwd
        return (self._inputs.cwd / first).absolute().parent

    def _add_given(self, name: str) -> str:
        """Read a compose file of the command line. Its path relative to the folder."""
        if name == STDIN:
            path, content = STDIN_PATH, self._inputs.read_stdin(MAX_BYTES + 1)
        else:
            absolute = (self._inputs.cwd / name).absolute()
            try:
                path = (
                    (absolute.parent.resolve() / absolute.name)
                    .relative_to(self._folder.root)
                    .as_posix()
                )
                content = _read(self._folder.file(path))
            except ValueError:
                raise UsageError(
                    f"{name} is outside {self._folder.root}, the folder of the first compose file"
                ) from None
            except LeftOutError as error:
                raise UsageError(f"{name} {error}: name the file itself") from error
            except OSError as error:
                raise UsageError(f"cannot read {name}: {error.strerror}") from error
        if not self._store(path, content):
            raise UsageError(f"{name}: compose files hold at most {size(MAX_BYTES)}")
        return path

    def _follow(self, path: str, depth: int) -> None:
        """Take up what a compose file names, and the compose files it includes."""
        found = mentions(self._files[path])
        self._mentioned |= found.variables
        self._name = (fill(found.name, self._values) or self._name) if depth == 0 else self._name
        for text in found.files:
            self._take(path, text)
        if depth < _INCLUDE_DEPTH:
            for text in found.composes:
                for taken in self._take(path, text):
                    self._follow(taken, depth + 1)

    def _take(self, named_in: str, text: str) -> list[str]:
        """Add what a path leads to; the paths that are new."""
        filled = fill(text, self._values)
        if filled is None:
            self._left_out[text] = "holds a variable that is not set"
            return []
        new: list[str] = []
        why = ""
        # Compose resolves against the including file's folder for `include` and `extends`, against the
        # first file's folder otherwise. What exists under either is cheap to send.
        for base in dict.fromkeys([".", Path(named_in).parent.as_posix()]):
            try:
                path = self._folder.locate(base, filled)
                new += self._add_all(path)
                sent = path in self._files or any(f.startswith(f"{path}/") for f in self._files)
                why = "" if sent else why
            except LeftOutError as error:
                why = str(error)
            except OSError as error:
                why = f"cannot be read: {error.strerror}"
        if why:
            self._left_out[filled] = why
        return new

    def _add_all(self, path: str) -> list[str]:
        """A file, or all files of a folder: half a folder would be a broken one."""
        read: dict[str, bytes] = {}
        total = 0
        for relative, real in self._folder.files(path):
            if relative in self._files:
                continue
            read[relative] = _read(real)
            total += len(read[relative])
            if total > self._left:
                raise LeftOutError(
                    f"is too large: a bundle holds {size(MAX_BYTES)} in all"
                    if len(read) == 1
                    else f"is a folder too large for a bundle, which holds {size(MAX_BYTES)} in all"
                )
        for relative, content in read.items():
            self._store(relative, content)
            if relative.endswith(".env"):
                self._mentioned |= variables_of(content.decode("utf-8", "replace"))
        return list(read)

    def _store(self, path: str, content: bytes) -> bool:
        if len(content) > self._left:
            return False
        self._files[path] = content
        self._left -= len(content)
        return True

    def _dot_env(self) -> dict[str, str]:
        """`.env` of the folder, which --env-file replaces."""
        if self._inputs.env_files:
            return {}
        try:
            if not self._add_all(".env"):
                return {}
            return parse_env_file(self._files[".env"], self._inputs.environ)
        except (LeftOutError, OSError) as error:
            self._left_out[".env"] = str(error)
        except ValueError:
            pass  # Not UTF-8: the server says so, with the place.
        return {}

    def _env_files(self) -> dict[str, str]:
        """The variables of all --env-file, later ones winning."""
        found: dict[str, str] = {}
        for name in self._inputs.env_files:
            try:
                content = _read(self._inputs.cwd / name)
                if len(content) > MAX_BYTES:
                    raise UsageError(f"--env-file {name} is larger than {size(MAX_BYTES)}")
                found |= parse_env_file(content, self._inputs.environ)
            except OSError as error:
                raise UsageError(f"cannot read --env-file {name}: {error.strerror}") from error
            except ValueError as error:
                raise UsageError(f"--env-file {name} is no UTF-8 text") from error
        return found


_INCLUDE_DEPTH = 8


def default_files(folder: Path) -> list[str]:
    """The compose file that `docker compose` would find, with its override. Raises UsageError."""
    found = [name for name in DEFAULT_NAMES if (folder / name).is_file()][:1]
    if not found:
        raise UsageError(f"there is no {DEFAULT_NAMES[0]} in {folder}: name a file with -f")
    return found + [name for name in OVERRIDE_NAMES if (folder / name).is_file()][:1]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
