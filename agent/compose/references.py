"""`extends` and `include`: what a compose file takes from others.

Called by the loader for each canonical document. Files must be in the bundle; cycles and depth are
bounded. Extended services lose `extends` and carry the chain in their origins.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from agent.compose import keys
from agent.compose.check import check
from agent.compose.diagnostics import Report
from agent.compose.fields import Fields
from agent.compose.keys import Branch
from agent.compose.merge import merge
from agent.compose.nodes import Budget, Entry, MappingNode
from agent.compose.origin import Origin
from agent.compose.paths import ProjectFiles
from agent.compose.relocate import relocate
from agent.compose.yaml_nodes import shorten

MAX_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Scope:
    """The file a document stands in, and how it was reached."""

    file: str
    folder: str
    """From the project folder; relative paths in the document start there."""
    trail: tuple[str, ...] = ()
    """The files and services on the way here, to find cycles."""
    env_files: tuple[str, ...] = ()
    """Env files of `include`, whose variables fill this document's gaps."""


ParseFile: TypeAlias = Callable[[str, bytes, Scope], MappingNode | None]
"""Parse, interpolate and make canonical one file; None if it is unusable (and reported)."""


class References:
    """Resolves references of canonical documents with the loader's help."""

    def __init__(
        self, files: ProjectFiles, parse: ParseFile, report: Report, budget: Budget
    ) -> None:
        self._files = files
        self._parse = parse
        self._report = report
        self._budget = budget
        self._parsed: dict[tuple[str, tuple[str, ...]], MappingNode | None] = {}

    def resolve(self, document: MappingNode, scope: Scope) -> MappingNode:
        """The document with what it includes merged below it and all extends applied."""
        included = self._included(document, scope)
        extended = self._extended(document, scope)
        return extended if included is None else merge(included, extended, keys.tree())

    def _included(self, document: MappingNode, scope: Scope) -> MappingNode | None:
        merged: MappingNode | None = None
        for item in Fields(document, "", self._report).items("include"):
            base: str | None = None
            if item.has("project_directory"):
                base = posixpath.join(scope.folder, item.text("project_directory"))
            env_files = tuple(posixpath.join(scope.folder, n.text) for n in item.texts("env_file"))
            one: MappingNode | None = None
            for node in item.texts("path"):
                path = posixpath.normpath(posixpath.join(scope.folder, node.text))
                content = self._content(path, node.origin, item.at("path"), "CMP110", scope)
                if content is None:
                    continue
                folder = base if base is not None else posixpath.dirname(path)
                step = f"include at {node.origin}"
                below = Scope(
                    path, folder, (*scope.trail, path), env_files or (f"{folder or '.'}/.env",)
                )
                parsed = self._file(path, content, below)
                if parsed is None:
                    continue
                loaded = self.resolve(parsed, below)
                moved = self._relocate(loaded, scope, folder, step, keys.tree(), "")
                one = moved if one is None else merge(one, moved, keys.tree())
                base = folder
            if one is not None:
                merged = one if merged is None else merge(merged, one, keys.tree())
        return merged

    def _extended(self, document: MappingNode, scope: Scope) -> MappingNode:
        services = document.child("services")
        if services is None:
            return document
        entries: dict[str, Entry] = {}
        for name, entry in services.entries.items():
            value = entry.value
            if isinstance(value, MappingNode) and "extends" in value.entries:
                value = self._service(document, name, value, scope)
            entries[name] = Entry(entry.key, value)
        changed = dict(document.entries)
        key = document.entries["services"].key
        changed["services"] = Entry(key, MappingNode(entries, services.origin, services.action))
        return MappingNode(changed, document.origin, document.action)

    def _service(
        self, document: MappingNode, name: str, service: MappingNode, scope: Scope
    ) -> MappingNode:
        """The service merged over the one it extends, recursively."""
        own = MappingNode(
            {key: entry for key, entry in service.entries.items() if key != "extends"},
            service.origin,
            service.action,
        )
        path = f"services.{name}"
        extends = Fields(service, path, self._report).child("extends")
        if extends is None:
            return own
        branch = keys.tree().children["services"].children["*"]
        # The check of the merged document no longer sees this key.
        check(extends.node, branch.children["extends"], self._report, self._budget, extends.path)
        origin = extends.origin("service")
        wanted = extends.text("service")
        visited = f"{scope.file}#{name}"
        if visited in scope.trail or len(scope.trail) > MAX_DEPTH * 2:
            chain = " → ".join(step.partition("#")[2] for step in scope.trail if "#" in step)
            extends.error("CMP112", "service", f"services extend each other: {chain} → {name}")
            return own
        below = replace(scope, trail=(*scope.trail, visited))
        source: MappingNode | None = document
        folder = scope.folder
        if extends.has("file"):
            file = posixpath.normpath(posixpath.join(scope.folder, extends.text("file")))
            content = self._content(
                file, extends.origin("file"), extends.at("file"), "CMP111", scope
            )
            if content is None:
                return own
            folder = posixpath.dirname(file)
            below = Scope(file, folder, below.trail, scope.env_files)
            source = self._file(file, content, below)
        services = source.child("services") if source is not None else None
        base = services.child(wanted) if services is not None else None
        if source is None or base is None:
            if source is not None:
                self._report.error(
                    "CMP113",
                    origin,
                    extends.path,
                    f'there is no service "{shorten(wanted)}" in {below.file}',
                    "Check the name.",
                )
            return own
        if "extends" in base.entries:
            base = self._service(source, wanted, base, below)
        step = f"extends at {origin}"
        return merge(self._relocate(base, scope, folder, step, branch, "services.*"), own, branch)

    def _file(self, path: str, content: bytes, scope: Scope) -> MappingNode | None:
        key = (path, scope.env_files)
        if key not in self._parsed:
            self._parsed[key] = self._parse(path, content, scope)
        return self._parsed[key]

    def _relocate(
        self, node: MappingNode, scope: Scope, folder: str, step: str, table: Branch, path: str
    ) -> MappingNode:
        return relocate(node, _from(scope.folder, folder), step, table, path, self._budget)

    def _content(
        self, path: str, origin: Origin, where: str, code: str, scope: Scope
    ) -> bytes | None:
        """Content of a referenced compose file, or None with a finding."""
        looped = code == "CMP110" and path in scope.trail
        if looped or len(scope.trail) > MAX_DEPTH * 2:
            self._report.error(
                "CMP112",
                origin,
                where,
                f'"{shorten(path)}" leads back to itself',
                "Break the loop.",
            )
            return None
        if "://" in path or path.startswith(("git@", "oci:", "http:", "https:")):
            self._report.error(
                code, origin, where, "remote files are not read", "Put the file into the bundle."
            )
            return None
        if self._files.resolve(path) is None:
            self._report.error(
                code, origin, where, f'"{shorten(path)}" leaves the project directory'
            )
            return None
        content = self._files.get(path)
        if content is None:
            self._report.error(
                code, origin, where, f'"{shorten(path)}" is not in the bundle', "Add the file."
            )
        return content


def _from(base: str, folder: str) -> str:
    """How to get from one folder of the project to another, both from the project folder."""
    start = [part for part in base.split("/") if part and part != "."]
    end = [part for part in folder.split("/") if part and part != "."]
    while start and end and start[0] == end[0]:
        start, end = start[1:], end[1:]
    return "/".join([".."] * len(start) + end)
