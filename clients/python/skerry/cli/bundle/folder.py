"""The project's folder: reads files that lie inside it, and nothing else. Used by `collect`.

A compose file comes with a repository and may be anybody's: it must not be able to make a deploy
upload `~/.ssh`, neither by `..`, nor by an absolute path, nor by a symbolic link.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MAX_FILES = 2_000


class LeftOutError(Exception):
    """A file is not sent; the message says why."""


class Folder:
    """A folder and what is inside."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def locate(self, base: str, text: str) -> str:
        """The path `text`, written in a file in `base`, relative to the root with `/`.

        Raises LeftOutError when it is written so that it leads out of the folder.
        """
        if "\x00" in text:
            raise LeftOutError("is not a path")
        if text.startswith(("/", "~")):
            raise LeftOutError("is outside the project folder")
        joined = os.path.normpath(os.path.join(base, text))  # noqa: PTH118 -- text, not the file system
        if joined == ".." or joined.startswith("../"):
            raise LeftOutError("is outside the project folder")
        return joined

    def file(self, path: str) -> Path:
        """Where the one file at a path really is. Raises LeftOutError, and OSError when there is none."""
        real = self._inside(path)
        if real.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if not real.is_file():
            raise FileNotFoundError(2, "there is no such file")
        return real

    def files(self, path: str) -> Iterator[tuple[str, Path]]:
        """The files at a path: itself, or all in the folder that it is. (relative path, real path).

        Yields nothing when there is nothing. Raises LeftOutError.
        """
        real = self._inside(path)
        if real.is_file():
            yield path, real
        elif real.is_dir():
            yield from self._walk(path)
        elif real.exists():
            raise LeftOutError("is no regular file")

    def _walk(self, path: str) -> Iterator[tuple[str, Path]]:
        count = 0
        for folder, folders, names in os.walk(self.root / path, followlinks=False):
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in sorted(names):
                relative = Path(folder, name).relative_to(self.root).as_posix()
                real = self._inside(relative)
                if not real.is_file():
                    continue
                count += 1
                if count > MAX_FILES:
                    raise LeftOutError(f"holds more than {MAX_FILES} files")
                yield relative, real

    def _inside(self, path: str) -> Path:
        """Where a relative path really leads. Raises LeftOutError when that is outside."""
        try:
            real = (self.root / path).resolve()
        except (OSError, RuntimeError) as error:
            raise LeftOutError("cannot be followed") from error
        if not real.is_relative_to(self.root):
            raise LeftOutError("leads out of the project folder by a symbolic link")
        return real
