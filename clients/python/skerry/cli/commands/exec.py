"""`skerry exec`: a command in a container, with this terminal or these pipes."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import Annotated

import typer

from skerry.cli.attached import attached, carried, exit_code
from skerry.cli.command import command, single
from skerry.cli.detach_keys import DEFAULT, DetachKeys, parse
from skerry.cli.exit_codes import UsageError
from skerry.cli.run import Run
from skerry.cli.suggest import apps
from skerry.cli.terminal import Input, window_size, write_all
from skerry.services.terminals import ExecSession, Stream

app = single()

SLASHES_WITH_SCOPE = 3


@command(
    app,
    "exec",
    examples="""
        skerry exec web -- ls -l /data
        skerry exec -it web/db -- psql -U postgres
        skerry exec -i web/db -- psql < dump.sql
        skerry exec -it shop/prod/web/api
    """,
)
async def exec_command(
    run: Run,
    target: Annotated[
        str,
        typer.Argument(
            metavar="APP[/SERVICE]",
            help="The service where the app has several.",
            autocompletion=apps,
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND", help="Behind --; a login shell without it.", show_default=False
        ),
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", "-i", help="Give it this standard input.")
    ] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give it a terminal.")] = False,
    service: Annotated[
        str, typer.Option("--service", "-s", metavar="SERVICE", help="The service.")
    ] = "",
    pod: Annotated[
        str,
        typer.Option("--pod", metavar="POD", help="The pod. [default: the newest that is ready]"),
    ] = "",
    detach_keys: Annotated[
        str,
        typer.Option(
            "--detach-keys",
            metavar="KEYS",
            help="With -it: keys that leave it running; empty for none.",
        ),
    ] = DEFAULT,
) -> int:
    """Run a command in a container of an app.

       Its exit code becomes this one's.
    With -it it gets this terminal: keys go to it unchanged, and the window's size follows.
       It survives a cut of up to a minute, and ctrl-p ctrl-q leaves it running: see `skerry terminal`.
    """
    name, named_service = split_target(target)
    if named_service and service and service != named_service:
        raise UsageError(f"two services are named: {named_service} and {service}")
    if tty and not run.around.stdin_is_terminal:
        run.out.say("standard input is no terminal: going on without --tty")
        tty = False
    stdin = stdin and sys.stdin is not None
    in_ = sys.stdin.fileno() if stdin or tty else -1
    out = sys.stdout.fileno()
    async with run.client() as client:
        service = named_service or service
        if tty and stdin:
            keys = DetachKeys(parse(detach_keys))
            async with client.terminals.open(
                run.app(name), arguments or (), service=service, pod=pod, size=window_size(in_)
            ) as terminal:
                return await attached(run, terminal, keys, in_, out, sys.stderr.fileno())
        async with client.terminals.exec(
            run.app(name),
            arguments or (),
            tty=tty,
            stdin=stdin,
            size=window_size(in_) if tty else None,
            service=service,
            pod=pod,
        ) as session:
            return await _attached(session, in_, out, sys.stderr.fileno(), tty=tty, stdin=stdin)


def split_target(text: str) -> tuple[str, str]:
    """(app, service) of `web`, `web/db`, `shop/prod/web` or `shop/prod/web/db`. Raises UsageError."""
    parts = text.split("/")
    if not all(parts) or len(parts) > SLASHES_WITH_SCOPE + 1:
        raise UsageError(f"{text!r}: write APP, APP/SERVICE or PROJECT/ENV/APP[/SERVICE]")
    if len(parts) in (2, SLASHES_WITH_SCOPE + 1):
        return "/".join(parts[:-1]), parts[-1]
    return text, ""


async def _attached(
    session: ExecSession, in_: int, out: int, err: int, *, tty: bool, stdin: bool
) -> int:
    """Tie the command's streams to these descriptors until it ends; its exit code."""
    async with carried(session, in_, tty=tty, raw=tty and stdin) as sending:
        if stdin:
            sending.append(asyncio.create_task(_pump(session, Input(in_)), name="exec-stdin"))
        async with aclosing(session.output()) as pieces:
            async for piece in pieces:
                write_all(err if piece.stream is Stream.STDERR else out, piece.data)
    return exit_code(session.exit, err)


async def _pump(session: ExecSession, source: Input) -> None:
    while data := await source.read():
        await session.write(data)
    await session.close_stdin()
