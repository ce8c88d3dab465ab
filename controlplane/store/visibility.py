"""What a caller may see, as SQL, so that pages are full and page tokens right. Used by the repositories' lists."""

from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, false, or_, true, tuple_

from controlplane.domain.access import Visible

# How deep a scope is: organizations/a, …/projects/p, …/environments/e.
_DEPTHS = 3


def shown(visible: Visible, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    """Rows that the caller may see or that hold something they may; `columns` are organization, project, environment, or fewer."""
    if visible.everything:
        return true()
    wanted: defaultdict[int, set[tuple[str, ...]]] = defaultdict(set)
    for scope in visible.scopes:
        segments = scope.split("/")
        if segments[0] == "organizations":
            ids = tuple(segments[1::2])[: min(_DEPTHS, len(columns))]
            wanted[len(ids)].add(ids)
    clauses = [
        tuple_(*columns[:depth]).in_(sorted(ids)) for depth, ids in sorted(wanted.items()) if depth
    ]
    return or_(*clauses) if clauses else false()


def shown_clusters(visible: Visible, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Clusters that the caller may see."""
    if visible.everything:
        return true()
    ids = sorted(scope.split("/")[1] for scope in visible.scopes if scope.startswith("clusters/"))
    return column.in_(ids) if ids else false()


def shown_by_name(visible: Visible, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Rows that belong to a resource that the caller may read; `column` holds its name."""
    if visible.everything:
        return true()
    scopes = sorted(visible.scopes)
    if not scopes:
        return false()
    return or_(
        column.in_(scopes),
        *(column.startswith(f"{scope}/", autoescape=True) for scope in scopes),
    )
