"""The files beside a compose file, read from disk when the converter asks for them.

Used by `agent.convert` only: in a deploy the bundle arrives with the command. Nothing outside the
project folder can be read through it, not even by a symbolic link.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

MAX_FILES = 2_000
MAX_FILE_BYTES = 8 << 20


class UnreadableError(Exception):
    """A file or folder cannot be used as input; the message names it, the reason and the way out."""


class FolderBundle(Mapping[str, bytes]):
    """A folder as the mapping `Context.files` wants: relative POSIX path → content, read lazily.

    Raises UnreadableError where a file is too large or unreadable, or the folder has too many.
    """

    def __init__(self, root: Path, extra: Mapping[str, bytes] | None = None) -> None:
        self._root = root.resolve()
        self._read: dict[str, bytes] = dict(extra or {})

    def __getitem__(self, key: str) -> bytes:
        if key not in self._read:
            path = self._inside(key)
            if path is None:
                raise KeyError(key)
            self._read[key] = read_bounded(path)
        return self._read[key]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in self._read or self._inside(key) is not None)

    def __iter__(self) -> Iterator[str]:
        count = 0
        for folder, folders, names in os.walk(self._root):
            folders.sort()
            for name in sorted(names):
                relative = Path(folder, name).relative_to(self._root).as_posix()
                if self._inside(relative) is None:
                    continue
                count += 1
                if count > MAX_FILES:
                    raise UnreadableError(
                        f"{self._root} has more than {MAX_FILES} files; "
                        "mount a smaller folder than the whole project"
                    )
                yield relative

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _inside(self, key: str) -> Path | None:
        """The real path of a regular file inside the folder, else None."""
        if "\x00" in key or key.startswith("/"):
            return None
        try:
            path = (self._root / key).resolve()
            inside = path.is_relative_to(self._root) and path.is_file()
        except OSError:
            return None
        return path if inside else None


def read_bounded(path: Path) -> bytes:
    """The content of a regular file of at most MAX_FILE_BYTES. Raises UnreadableError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB")
    return content
