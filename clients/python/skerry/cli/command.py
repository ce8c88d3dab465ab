"""How a command is declared: an async function over a `Run`, with the options that every command has.

Typer reads a function's signature; `command` gives it one made of the function's own parameters and
the shared ones. The typer function returns the coroutine instead of running it, so that `program`
decides on the event loop, signals and exit codes in one place.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, TypeVar

import typer

from skerry.cli.config.resolve import Flags
from skerry.cli.output.writer import Format
from skerry.cli.quick_parameters import QuickCommand, QuickGroup
from skerry.cli.run import Given, Run
from skerry.cli.suggest import environments, projects

Function = TypeVar("Function", bound=Callable[..., Awaitable[int | None]])


def _shared(
    output: Annotated[
        Format, typer.Option("--output", "-o", help="Form of the result.")
    ] = Format.TABLE,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No messages, only results.")
    ] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    context: Annotated[
        str, typer.Option("--context", metavar="NAME", help="Use this context.")
    ] = "",
    server: Annotated[
        str, typer.Option("--server", metavar="SERVER", help="Use this server, HOST[:PORT].")
    ] = "",
    ca_file: Annotated[
        str,
        typer.Option(
            "--ca-file", metavar="FILE", help="Trust the CA certificates in this PEM file."
        ),
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Talk without TLS: others can read all of it.")
    ] = False,
) -> None:
    """The options of every command; never called."""


def _scope(
    project: Annotated[
        str,
        typer.Option(
            "--project", "-p", metavar="PROJECT", help="The project.", autocompletion=projects
        ),
    ] = "",
    env: Annotated[
        str,
        typer.Option(
            "--env", "-e", metavar="ENV", help="The environment.", autocompletion=environments
        ),
    ] = "",
) -> None:
    """The options of commands about something in an environment; never called."""


_SHARED = tuple(inspect.signature(_shared, eval_str=True).parameters.values())
_SCOPE = tuple(inspect.signature(_scope, eval_str=True).parameters.values())


def group(help: str) -> typer.Typer:  # noqa: A002
    """A noun: commands below one name."""
    return typer.Typer(
        cls=QuickGroup, help=help, no_args_is_help=True, add_completion=False, rich_markup_mode=None
    )


def single() -> typer.Typer:
    """A verb: one command, made by one call of `command`."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def command(
    app: typer.Typer, name: str, *, examples: str, scoped: bool = True
) -> Callable[[Function], Function]:
    """Register an async function `(run, …options) -> exit code or None` as a command.

    `scoped` adds --project and --env. An option of the function's own takes the place of the shared one
    of that name. `examples` are shown at the end of --help, one a line.
    """

    def register(function: Function) -> Function:
        own = tuple(inspect.signature(function, eval_str=True).parameters.values())[1:]
        names = {p.name for p in own}
        common = tuple(p for p in (_SCOPE if scoped else ()) + _SHARED if p.name not in names)

        def invoke(
            ctx: typer.Context, **options: Any
        ) -> tuple[Run, Coroutine[Any, Any, int | None]]:
            shared = {p.name: options.pop(p.name) for p in common}
            shared.setdefault("output", _form(options.get("output")))
            run = Run(ctx.obj, _given(shared))
            return run, function(run, **options)  # type: ignore[return-value]

        context = inspect.Parameter(
            "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        parameters = [context, *own, *common]
        invoke.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        )
        invoke.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, cls=QuickCommand, help=_help(function, examples))(invoke)
        return function

    return register


def _form(own: object) -> Format:
    """The shared form that a command's own one is; a table for a form that is the command's alone."""
    return next((form for form in Format if form == own), Format.TABLE)


def _given(shared: dict[str, Any]) -> Given:
    return Given(
        flags=Flags(
            context=shared["context"],
            server=shared["server"],
            ca_file=shared["ca_file"],
            insecure=shared["insecure"],
            project=shared.get("project", ""),
            environment=shared.get("env", ""),
        ),
        output=shared["output"],
        quiet=shared["quiet"],
        color=not shared["no_color"],
        debug=shared["debug"],
    )


def _help(function: Function, examples: str) -> str:
    """The docstring and the examples, each kept on its line (click's \\b)."""
    lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    return f"{inspect.getdoc(function)}\n\n\b\nExamples:\n{lines}"
