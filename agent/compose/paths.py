"""Paths that compose files name, resolved within the bundle.

Relative paths start from the folder of the first compose file, as in compose. When that file is in
the bundle, the bundle is the root and the folder may lie below it; otherwise the folder is the
root. Nothing above the root exists.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from agent.compose.context import SourceFile


class ProjectFiles:
    """The bundle as seen from the project folder. Resolved paths are relative to that folder."""

    def __init__(self, files: Mapping[str, bytes], sources: Sequence[SourceFile]) -> None:
        self._files = files
        first = posixpath.normpath(sources[0].path) if sources else ""
        self._folder = posixpath.dirname(first) if first in files else ""

    def resolve(self, path: str) -> str | None:
        """The path from the bundle's root, None if it is absolute or leaves the bundle."""
        if not path or path.startswith(("/", "~")) or "\x00" in path or path[1:2] == ":":
            return None
        whole = posixpath.normpath(posixpath.join(self._folder, path.replace("\\", "/")))
        return None if whole == ".." or whole.startswith(("../", "/")) else whole

    def get(self, path: str) -> bytes | None:
        """Content of a file named by a compose file; None if there is none in the bundle."""
        whole = self.resolve(path)
        return None if whole is None else self._files.get(whole)

    def below(self, path: str) -> dict[str, bytes]:
        """The files of a folder by their path within it; empty if it is none."""
        whole = self.resolve(path)
        if whole is None:
            return {}
        prefix = "" if whole == "." else f"{whole}/"
        found = sorted(name for name in self._files if name.startswith(prefix))
        return {name[len(prefix) :]: self._files[name] for name in found}


def is_relative(path: str) -> bool:
    """Whether a path starts from a folder of the project."""
    return bool(path) and not path.startswith(("/", "~")) and path[1:2] != ":"
