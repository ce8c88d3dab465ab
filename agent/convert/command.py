"""The command itself: options in, files read, the converter run, the outcome printed or written."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.bundle import UnreadableError
from agent.compose import Context, Plan, plan
from agent.compose.reference import explain
from agent.compose.schema import json_schema
from agent.convert.facts import render_facts
from agent.convert.findings import DiagnosticsFormat, render_diagnostics, summary
from agent.convert.manifests import OutputFormat, render_manifests, write_file, write_folder
from agent.convert.reading import named_files, read_input

EXIT_REJECTED = 1
EXIT_USAGE = 2


def convert_command(
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            help="Compose file or folder; repeat to override; - reads stdin. "
            "[default: $COMPOSE_FILE, else this folder]",
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
    output_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write all objects into this file."),
    ] = None,
    output_folder: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", metavar="DIR", help="Write one file for each object into this folder."
        ),
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
    """Convert compose files to Kubernetes manifests: manifests to stdout, findings to stderr.

    No cluster and no server are needed. Files that a compose file names are read from its folder only.

    \b
    Exit codes:
      0  converted; there may be warnings
      1  rejected: the errors say where and what to do, and nothing is written
      2  wrong usage, or a file that cannot be read or written

    \b
    Examples:
      skerry-agent convert | kubectl apply -f -
      skerry-agent convert -f docker-compose.yml -f production.yml --out app.yaml
      skerry-agent convert -f shop/ --output-dir manifests/ --profile debug
      skerry-agent convert --diagnostics github > /dev/null
      skerry-agent convert --explain healthcheck
    """
    if explain_key is not None:
        _explain(explain_key)
        return
    if schema:
        typer.echo(json.dumps(json_schema(), indent=2))
        return
    if output_file is not None and output_folder is not None:
        raise typer.BadParameter("give --out or --output-dir, not both")
    try:
        given = read_input(named_files(files or [], os.environ), env_file)
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
        _conclude(result, diagnostics, "nothing is written")
        raise typer.Exit(EXIT_REJECTED)
    try:
        _conclude(result, diagnostics, _write(result, output, output_file, output_folder))
    except OSError as error:
        place = output_folder or output_file
        typer.echo(f"skerry-agent convert: cannot write {place}: {error.strerror}", err=True)
        raise typer.Exit(EXIT_USAGE) from error


def _write(
    result: Plan, form: OutputFormat, output_file: Path | None, output_folder: Path | None
) -> str:
    """Give out the manifests, and say where they are. Raises OSError."""
    if output_folder is not None:
        count = write_folder(result, form, output_folder)
        return f"{count} objects in {output_folder}"
    text = render_manifests(result, form)
    if output_file is None:
        typer.echo(text, nl=False)
        return f"{len(result.manifests)} objects"
    write_file(text, output_file)
    return f"{len(result.manifests)} objects in {output_file}"


def _conclude(result: Plan, form: DiagnosticsFormat, outcome: str) -> None:
    """What became of it, for people; programs read the exit code and the manifests."""
    if form is DiagnosticsFormat.TEXT and sys.stderr.isatty():
        typer.echo(render_facts(result), err=True, nl=False)
        typer.echo(f"{summary(result.diagnostics)}; {outcome}", err=True)


def _explain(key: str) -> None:
    found = explain(key)
    if not found:
        typer.echo(f'skerry-agent convert: compose has no key or code "{key}"', err=True)
        raise typer.Exit(EXIT_USAGE)
    typer.echo(found, nl=False)
