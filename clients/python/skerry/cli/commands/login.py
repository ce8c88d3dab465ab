"""`skerry login`: try a server and a token, and remember them as a context."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import skerry
from skerry import errors
from skerry.cli.command import command, single
from skerry.cli.commands.user import read_password
from skerry.cli.config.store import Context
from skerry.cli.device_login import login_by_code
from skerry.cli.exit_codes import CliError, UsageError
from skerry.cli.run import Run, connect
from skerry.connection import Address, AddressError, read_ca
from skerry.setup_link import SetupLink, SetupLinkError

app = single()

MAX_TOKEN_BYTES = 4096


@command(
    app,
    "login",
    scoped=False,
    examples="""
        skerry login cloud.example:7070 --ca-file ca.crt
        skerry login cloud.example --token-stdin < token
        skerry login cloud.example --user anne
        skerry login --setup 'https://cloud.example:7070/setup#code=...'
        skerry login 127.0.0.1:7070 --token-file admin-token --ca-file pki/ca.crt --context home
    """,
)
async def login(
    run: Run,
    address: Annotated[
        str, typer.Argument(metavar="[SERVER]", help="HOST[:PORT]; the port is 7070.")
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            "--token", metavar="TOKEN", help="The token. Others may see it: prefer the next two."
        ),
    ] = "",
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="Read the token from this file."),
    ] = None,
    user: Annotated[
        str, typer.Option("--user", "-u", metavar="USER", help="Log in with a password.")
    ] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    code: Annotated[
        str,
        typer.Option(
            "--code", metavar="CODE", help="Of the second factor; asked for on a terminal."
        ),
    ] = "",
    device: Annotated[
        bool,
        typer.Option(
            "--device",
            help="Show a code that you approve where you are logged in; so it is on a terminal without other options.",
        ),
    ] = False,
    setup: Annotated[
        str,
        typer.Option(
            "--setup",
            metavar="LINK",
            help="Become the first owner with the link that the control plane printed.",
        ),
    ] = "",
    project: Annotated[
        str,
        typer.Option("--project", "-p", metavar="PROJECT", help="Default project of the context."),
    ] = "",
    env: Annotated[
        str, typer.Option("--env", "-e", metavar="ENV", help="Default environment.")
    ] = "",
) -> None:
    """Log in to a control plane and remember it.

    The server and the token are tried first; then both are written to the configuration file, with the
    content of --ca-file. The context is named after --context, else after the host.
    """
    flags = run.given.flags
    ways = (bool(user and not setup), bool(token or token_stdin or token_file), bool(setup), device)
    if sum(ways) > 1:
        raise UsageError("give one of --setup, --user, --device and a token")
    try:
        ca = read_ca(Path(flags.ca_file)) if flags.ca_file else None
    except (AddressError, OSError) as error:
        raise UsageError(f"--ca-file: {error}") from error
    insecure = flags.insecure
    if setup:
        link = parse_link(setup, insecure=insecure)
        server, ca = parse_address(address or link.server), ca or link.ca_pem or None
        secret = read_password(run, from_stdin=password_stdin)
        async with connect(str(server), "", ca=ca, insecure=insecure) as client:
            made = await client.sessions.complete_setup(link.code, secret, user_id=user)
        secret = made.secret
    elif not address:
        raise UsageError("name the server: skerry login HOST[:PORT]")
    elif user:
        server = parse_address(address)
        secret = read_password(run, from_stdin=password_stdin, confirm=False)
        async with connect(str(server), "", ca=ca, insecure=insecure) as client:
            secret = await login_with_password(run, client, user, secret, code)
    elif device or wants_code(run, token, token_stdin=token_stdin, token_file=token_file):
        server = parse_address(address)
        async with connect(str(server), "", ca=ca, insecure=insecure) as client:
            secret = await login_by_code(run, client)
    else:
        server = parse_address(address)
        secret = read_token(run, token, token_stdin=token_stdin, token_file=token_file)
    async with connect(str(server), secret, ca=ca, insecure=insecure) as client:
        info = await client.server.info()
    name = flags.context or server.host.strip("[]")
    config = run.store.load()
    known = config.contexts.get(name, Context(server=""))
    context = Context(
        server=str(server),
        token=secret,
        ca=ca.decode("ascii", "replace") if ca else "",
        insecure=insecure,
        project=project or known.project,
        environment=env or known.environment,
    )
    run.store.save(config.with_context(name, context))
    run.out.say(f"Logged in to {server} as {info.principal}; context {name} is in {run.store.path}")


async def login_with_password(
    run: Run, client: skerry.Client, user: str, password: str, code: str
) -> str:
    """The session's token; asks for the second factor when there is one. Raises UsageError where nobody can be asked."""
    try:
        return (await client.sessions.login(user, password, code)).secret
    except errors.Unauthenticated as error:
        if error.reason is not errors.ErrorReason.SECOND_FACTOR_REQUIRED:
            raise
    if not run.around.stdin_is_terminal:
        raise UsageError("this user has a second factor: add --code")
    code = typer.prompt("Code of your app, or a recovery code", err=True)
    return (await client.sessions.login(user, password, code)).secret


def wants_code(run: Run, token: str, *, token_stdin: bool, token_file: Path | None) -> bool:
    """Whether a person sits there and has given nothing to log in with."""
    given = token or token_stdin or token_file or run.around.environ.get("SKERRY_TOKEN")
    return not given and run.around.stdin_is_terminal


def parse_link(text: str, *, insecure: bool) -> SetupLink:
    """Raises UsageError; also when the code would travel in clear text and nobody asked for that."""
    try:
        link = SetupLink.parse(text)
    except SetupLinkError as error:
        raise UsageError(f"--setup: {error}") from error
    if not link.tls and not insecure:
        raise UsageError("this link leads to a server without TLS: add --insecure")
    return link


def parse_address(text: str) -> Address:
    try:
        return Address.parse(text)
    except AddressError as error:
        raise UsageError(str(error)) from error


def read_token(run: Run, token: str, *, token_stdin: bool, token_file: Path | None) -> str:
    """The token from the one place that was named. Raises CliError."""
    if sum((bool(token), token_stdin, token_file is not None)) > 1:
        raise UsageError("give the token once: --token, --token-stdin or --token-file")
    if token_stdin:
        token = sys.stdin.read(MAX_TOKEN_BYTES)
    elif token_file is not None:
        try:
            with token_file.open(encoding="ascii") as file:
                token = file.read(MAX_TOKEN_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            raise CliError(f"cannot read the token from {token_file}: {error}") from error
    elif not token:
        token = run.around.environ.get("SKERRY_TOKEN", "")
    token = token.strip()
    if not token:
        raise UsageError("no token: give --token-file, --token-stdin, SKERRY_TOKEN or --device")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise errors.InvalidArgument("this is no token: it holds spaces or unprintable characters")
    return token
