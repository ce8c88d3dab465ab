"""What the options of one `convert` name, read: compose files, the folder beside them, env files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.bundle import MAX_FILE_BYTES, FolderBundle, UnreadableError, read_bounded
from agent.compose import SourceFile

STDIN = "-"
DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDE_NAMES = tuple(f"{Path(n).stem}.override{Path(n).suffix}" for n in DEFAULT_NAMES)


@dataclass(frozen=True, slots=True)
class Input:
    """What the options of one call name, read."""

    sources: tuple[SourceFile, ...]
    bundle: FolderBundle
    env_files: tuple[str, ...]
    default_app: str


def named_files(files: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The compose files that options or COMPOSE_FILE name, folders replaced by the files in them.

    Raises UnreadableError where a folder has none.
    """
    if not files:
        separator = environ.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        files = [name for name in environ.get("COMPOSE_FILE", "").split(separator) if name]
    found: list[str] = []
    for name in files or ["."]:
        if name != STDIN and Path(name).is_dir():
            folder = Path(name)
            found += [str(folder / file) if name != "." else file for file in default_files(folder)]
        else:
            found.append(name)
    return found


def read_input(files: Sequence[str], env_file: Path | None) -> Input:
    """Read the compose files. The project folder is the first file's; raises UnreadableError."""
    first = files[0]
    root = Path.cwd() if first == STDIN else Path(first).absolute().parent
    sources = tuple(_read_source(name) for name in files)
    extra: dict[str, bytes] = {}
    env_files = (".env",)
    if env_file is not None:
        env_files = (str(env_file),)
        extra[str(env_file)] = read_bounded(env_file)
    return Input(sources, FolderBundle(root, extra), env_files, app_name(root.name))


def default_files(folder: Path) -> list[str]:
    """The compose file `docker compose` would find in the folder, with its override file."""
    found = [name for name in DEFAULT_NAMES if (folder / name).is_file()][:1]
    if not found:
        raise UnreadableError(f"no {DEFAULT_NAMES[0]} in {folder.absolute()}; name a file with -f")
    return found + [name for name in OVERRIDE_NAMES if (folder / name).is_file()][:1]


def app_name(folder: str) -> str:
    """An RFC 1123 label made of a folder's name."""
    label = re.sub(r"[^a-z0-9]+", "-", folder.lower())[:40].strip("-")
    return label or "app"


def _read_source(name: str) -> SourceFile:
    if name == STDIN:
        return SourceFile("<stdin>", sys.stdin.buffer.read(MAX_FILE_BYTES + 1))
    return SourceFile(name, read_bounded(Path(name)))
