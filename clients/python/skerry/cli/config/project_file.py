"""`skerry.yaml`: the project and environment that a folder's apps belong to.

Loaded by `config.resolve` only when there is such a file, because it needs yaml. A server or a token
is not taken from it: the file comes with a repository, and may be somebody else's.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from skerry.cli.exit_codes import UsageError

KEYS = ("project", "environment", "app")
MAX_BYTES = 64 << 10


def load(path: Path) -> dict[str, str]:
    """The keys that are set. Raises UsageError with the place of what is wrong."""
    try:
        with path.open("rb") as file:
            content = yaml.safe_load(file.read(MAX_BYTES))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{path}: {_first_line(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"{path}: must be a mapping with the keys {', '.join(KEYS)}")
    for key, value in content.items():
        if key not in KEYS:
            raise UsageError(f"{path}: {key!r} is not known; the keys are {', '.join(KEYS)}")
        if not isinstance(value, str):
            raise UsageError(f"{path}: {key} must be a string")
    return content


def _first_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{problem}".splitlines()[0]
