"""The loader: source files → one merged document in canonical form, every value with its origin.

Stages for each document, in compose-go's order: parse, interpolate, make canonical, include,
extends, merge. Called by the planner; problems are reported and the stage goes on with the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.compose import dotenv, keys
from agent.compose.canonical import canonical, type_name
from agent.compose.check import check
from agent.compose.context import Context, SourceFile
from agent.compose.diagnostics import Report
from agent.compose.interpolate import Interpolator, TemplateError, substitute
from agent.compose.merge import merge
from agent.compose.nodes import Budget, MappingNode, ScalarNode
from agent.compose.origin import NOWHERE, Origin
from agent.compose.paths import ProjectFiles
from agent.compose.references import References, Scope
from agent.compose.yaml_nodes import YamlError, compose_documents

_PROJECT_NAME = "COMPOSE_PROJECT_NAME"


@dataclass(slots=True)
class Loaded:
    """What the loader hands on."""

    document: MappingNode
    variables: Mapping[str, str]
    """The interpolation environment: project variables over env files."""
    budget: Budget


def load(
    sources: Sequence[SourceFile], context: Context, files: ProjectFiles, report: Report
) -> Loaded | None:
    """The merged document, or None if a file could not be read as a compose file."""
    limits = context.limits
    budget = Budget(limits.nodes, limits.text_bytes)
    variables = interpolation_variables(context, report, budget)
    loader = _Loader(context, files, report, budget, variables)
    document = MappingNode({}, NOWHERE)
    usable = bool(sources)
    for source in sources:
        loaded = loader.file(source)
        if loaded is None:
            usable = False
        else:
            document = merge(document, loaded, keys.tree())
    if not sources:
        report.error("CMP020", NOWHERE, "", "there is no compose file", "Give at least one.")
    if not usable:
        return None
    if _is_first_format(document):
        report.error(
            "CMP022",
            document.origin,
            "",
            "this is the first compose format, with services at the top",
            'Write "services:" above them and indent them.',
        )
        return None
    check(document, keys.tree(), report, budget)
    return Loaded(document, variables, budget)


def interpolation_variables(context: Context, report: Report, budget: Budget) -> dict[str, str]:
    """What `${…}` sees: the project's variables win over env files, later files over earlier."""
    found: dict[str, str] = {}
    for name in context.env_files:
        content = context.files.get(name)
        if content is None:
            continue
        if len(content) > context.limits.file_bytes:
            report.error("CMP012", Origin(name), "", "the env file is too large")
            continue
        values = dotenv.parse(name, content, context.variables.get, report, budget)
        found.update({key: v.value for key, v in values.items() if v.value is not None})
    return {**found, **context.variables}


class _Loader:
    def __init__(
        self,
        context: Context,
        files: ProjectFiles,
        report: Report,
        budget: Budget,
        variables: Mapping[str, str],
    ) -> None:
        self._context = context
        self._files = files
        self._report = report
        self._budget = budget
        self._variables = variables
        self._project_name = context.app
        self._references = References(files, self._parse, report, budget)

    def file(self, source: SourceFile) -> MappingNode | None:
        """One file with everything it refers to; None if it is not usable."""
        try:
            document = self._parse(source.path, source.content, Scope(source.path, ""))
            if document is None:
                return None
            return self._references.resolve(document, Scope(source.path, ""))
        except YamlError as error:
            self._report.error(error.code, error.origin, "", error.message, error.hint)
            return None

    def _parse(self, path: str, content: bytes, scope: Scope) -> MappingNode | None:
        """All documents of one file, interpolated, canonical and merged. Raises YamlError."""
        merged: MappingNode | None = None
        for node in compose_documents(path, content, self._context.limits, self._budget):
            if isinstance(node, ScalarNode) and node.is_null:
                continue
            if not isinstance(node, MappingNode):
                self._report.error(
                    "CMP003",
                    node.origin,
                    "",
                    f"the document is {type_name(node)}, it must be a mapping",
                    'A compose file starts with "services:".',
                )
                return None
            loaded = self._document(node, scope)
            merged = loaded if merged is None else merge(merged, loaded, keys.tree())
        if merged is None:
            self._report.error(
                "CMP020",
                Origin(path),
                "",
                "the file is empty",
                'A compose file starts with "services:".',
            )
        return merged

    def _document(self, node: MappingNode, scope: Scope) -> MappingNode:
        self._read_project_name(node)
        variables = {_PROJECT_NAME: self._project_name, **self._variables}
        if scope.env_files:
            variables = {**self._included_variables(scope), **variables}
        interpolated = Interpolator(variables.get, self._report, self._budget).tree(node)
        if not isinstance(interpolated, MappingNode):
            raise TypeError("interpolation keeps node types")
        return canonical(interpolated, keys.tree(), self._report)

    def _read_project_name(self, node: MappingNode) -> None:
        """`name` fills COMPOSE_PROJECT_NAME for the document it stands in and later ones."""
        name = node.get("name")
        if isinstance(name, ScalarNode) and not name.is_null:
            with contextlib.suppress(TemplateError):  # reported when the value is interpolated
                self._project_name = substitute(name.text, self._variables.get).text

    def _included_variables(self, scope: Scope) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in scope.env_files:
            content = self._files.get(name)
            if content is not None and len(content) <= self._context.limits.file_bytes:
                values = dotenv.parse(
                    name, content, self._variables.get, self._report, self._budget
                )
                found.update({k: v.value for k, v in values.items() if v.value is not None})
        return found


def _is_first_format(document: MappingNode) -> bool:
    """Whether services stand at the top level, as before 2016."""
    if "services" in document.entries:
        return False
    tops = [entry.value for entry in document.entries.values()]
    return any(
        isinstance(top, MappingNode) and ("image" in top.entries or "build" in top.entries)
        for top in tops
    )
