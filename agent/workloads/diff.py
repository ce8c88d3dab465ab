"""Manifests for people: YAML without bookkeeping and without secrets, and the difference of two."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import yaml

from agent.kube import Manifest

_BOOKKEEPING = (
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "selfLink",
)
_HIDDEN = "<hidden>"
_CHANGED = "<hidden, changed>"
_DIFF_LIMIT = 64 * 1024


def presentable(obj: Manifest, before: Manifest | None = None) -> Manifest:
    """A copy to show: no status, nothing only the server writes, secret values blanked.

    With `before`, a secret value that differs from what it was says so, and no more.
    """
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k not in _BOOKKEEPING}
    shown = {key: value for key, value in obj.items() if key != "status"}
    shown["metadata"] = metadata
    if obj.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if isinstance(shown.get(key), dict):
                former = (before or {}).get(key) or {}
                shown[key] = {
                    name: _CHANGED if name in former and former[name] != value else _HIDDEN
                    for name, value in shown[key].items()
                }
    return shown


def unified(name: str, before: Manifest | None, after: Manifest | None) -> str:
    """A unified diff, live against wanted; either side may be missing. Bounded in size."""
    old = _lines(presentable(before)) if before else []
    new = _lines(presentable(after, before)) if after else []
    lines = difflib.unified_diff(
        old,
        new,
        fromfile=f"live/{name}" if before else "/dev/null",
        tofile=f"wanted/{name}" if after else "/dev/null",
    )
    text = "".join(lines)
    if len(text) <= _DIFF_LIMIT:
        return text
    cut = text[:_DIFF_LIMIT].rpartition("\n")[0]
    return f"{cut}\n… {len(text) - len(cut)} more characters are not shown\n"


def documents(manifests: Iterable[Manifest]) -> str:
    """YAML documents, secret values blanked."""
    return "---\n".join("".join(_lines(presentable(manifest))) for manifest in manifests)


def _lines(obj: Manifest) -> list[str]:
    text: str = yaml.safe_dump(obj, sort_keys=True, allow_unicode=True, width=120)
    return text.splitlines(keepends=True)
