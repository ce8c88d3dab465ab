"""`skerry-agent convert`: the converter on files, without a cluster or a control plane.

Manifests go to stdout, diagnostics to stderr. Exit codes: 0 converted, 1 rejected by a diagnostic,
2 wrong usage or a file that cannot be read. Mounted by `agent.__main__`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from agent.bundle import MAX_FILE_BYTES, FolderBundle, UnreadableError, read_bounded
from agent.compose import Context, Diagnostic, Manifest, Plan, SourceFile, plan
from agent.compose.reference import explain
from agent.compose.schema import json_schema

EXIT_REJECTED = 1
EXIT_USAGE = 2
STDIN = "-"
DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDE_NAMES = tuple(f"{Path(n).stem}.override{Path(n).suffix}" for n in DEFAULT_NAMES)


class OutputFormat(StrEnum):
    YAML = "yaml"
    JSON = "json"


class DiagnosticsFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    """Workflow commands that show findings beside the lines of a pull request."""


@dataclass(frozen=True, slots=True)
class Input:
    """What the options of one call name, read."""

    sources: tuple[SourceFile, ...]
    bundle: FolderBundle
    env_files: tuple[str, ...]
    default_app: str


def convert_command(
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            help="Compose file or folder; repeat to override; - reads stdin (default: here).",
        ),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", help="Variables for ${…}, instead of the folder's .env."),
    ] = None,
    app: Annotated[
        str | None, typer.Option("--app", help="App name (default: that of the folder).")
    ] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace.")] = "default",
    profiles: Annotated[
        list[str] | None, typer.Option("--profile", help="Active profile; may be repeated.")
    ] = None,
    output: Annotated[
        OutputFormat, typer.Option("--output", "-o", help="Form of the manifests.")
    ] = OutputFormat.YAML,
    output_folder: Annotated[
        Path | None,
        typer.Option("--output-dir", help="Write one file for each object into this folder."),
    ] = None,
    diagnostics: Annotated[
        DiagnosticsFormat, typer.Option("--diagnostics", help="Form of the findings.")
    ] = DiagnosticsFormat.TEXT,
    explain_key: Annotated[
        str | None,
        typer.Option(
            "--explain", metavar="KEY", help="Say what becomes of a key or code, and end."
        ),
    ] = None,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema", help="Print the JSON Schema of compose files for editors, and end."
        ),
    ] = False,
) -> None:
    """Convert compose files to Kubernetes manifests: manifests to stdout, findings to stderr."""
    if explain_key is not None:
        _explain(explain_key)
        return
    if schema:
        typer.echo(json.dumps(json_schema(), indent=2))
        return
    try:
        given = read_input(_expanded(files or ["."]), env_file)
        context = Context(
            app=app if app is not None else given.default_app,
            namespace=namespace,
            # As `docker compose`: the shell's environment fills ${…} and wins over .env.
            variables=dict(os.environ),
            files=given.bundle,
            env_files=given.env_files,
            profiles=tuple(profiles or ()),
        )
        result = plan(given.sources, context)
    except UnreadableError as error:
        typer.echo(f"skerry-agent convert: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from error
    typer.echo(render_diagnostics(result.diagnostics, diagnostics), err=True, nl=False)
    if result.rejected:
        raise typer.Exit(EXIT_REJECTED)
    if output_folder is None:
        typer.echo(render_manifests(result, output), nl=False)
        return
    try:
        write_manifests(result, output, output_folder)
    except OSError as error:
        typer.echo(
            f"skerry-agent convert: cannot write {error.filename}: {error.strerror}", err=True
        )
        raise typer.Exit(EXIT_USAGE) from error


def _explain(key: str) -> None:
    found = explain(key)
    if not found:
        typer.echo(f'skerry-agent convert: compose has no key or code "{key}"', err=True)
        raise typer.Exit(EXIT_USAGE)
    typer.echo(found, nl=False)


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


def render_diagnostics(diagnostics: Sequence[Diagnostic], form: DiagnosticsFormat) -> str:
    """One line each, or one JSON array."""
    if form is DiagnosticsFormat.GITHUB:
        return "".join(f"{_github(d)}\n" for d in diagnostics)
    if form is DiagnosticsFormat.JSON:
        return json.dumps([d.as_dict() for d in diagnostics], indent=2, ensure_ascii=False) + "\n"
    return "".join(f"{d}\n" for d in diagnostics)


def _github(found: Diagnostic) -> str:
    command = {"error": "error", "warning": "warning"}.get(found.severity.value, "notice")
    place = f"file={found.file},line={found.line},col={found.column}" if found.line else ""
    subject = f"{found.path}: " if found.path else ""
    message = f"{subject}{found.message}. {found.hint}".strip()
    escaped = message.replace("%", "%25").replace("\n", "%0A")
    return f"::{command} {place},title={found.code}::{escaped}".replace(" ,", " ")


def render_manifests(result: Plan, form: OutputFormat) -> str:
    """A stream of YAML documents, or one JSON `List`; both are what `kubectl apply -f -` takes."""
    if form is OutputFormat.JSON:
        items = {"apiVersion": "v1", "kind": "List", "items": list(result.manifests)}
        return json.dumps(items, indent=2, ensure_ascii=False) + "\n"
    return _yaml(result.manifests)


def write_manifests(result: Plan, form: OutputFormat, folder: Path) -> None:
    """One file for each object, named so that `kubectl apply -f FOLDER` takes them in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, manifest in enumerate(result.manifests, 1):
        name = f"{number:03}-{manifest['kind'].lower()}-{manifest['metadata']['name']}.{form}"
        text = _yaml([manifest])
        if form is OutputFormat.JSON:
            text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text)


def _yaml(manifests: Sequence[Manifest]) -> str:
    return yaml.dump_all(
        manifests,
        Dumper=_PlainDumper,
        sort_keys=False,
        allow_unicode=True,
        explicit_start=True,
        default_flow_style=False,
        width=1_000_000,
    )


class _PlainDumper(yaml.CSafeDumper):
    """Writes shared values out in full (anchors would puzzle readers) and scripts as blocks."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    """Scripts and files as readable blocks."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_PlainDumper.add_representer(str, _represent_text)


def _expanded(files: Sequence[str]) -> list[str]:
    """Folders replaced by the compose files in them."""
    found: list[str] = []
    for name in files:
        if name != STDIN and Path(name).is_dir():
            folder = Path(name)
            found += [str(folder / file) if name != "." else file for file in default_files(folder)]
        else:
            found.append(name)
    return found


def _read_source(name: str) -> SourceFile:
    if name == STDIN:
        return SourceFile("<stdin>", sys.stdin.buffer.read(MAX_FILE_BYTES + 1))
    return SourceFile(name, read_bounded(Path(name)))
