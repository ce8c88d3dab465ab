"""The `skerry-agent` command: run, doctor, convert. Reads arguments, hands over, prints.

Exit codes: 0 done, 1 failed (or rejected by `convert`), 2 wrong usage or settings, 3 joining
failed, 4 the control plane has revoked this agent.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from agent import app as agent_app
from agent import doctor as doctoring
from agent import log_setup, settings
from agent.bootstrap.errors import CatalogError
from agent.convert.command import convert_command
from agent.health import ListenError
from agent.kube.errors import ConfigError
from agent.link import EnrolmentError, IdentityError, JournalError, LinkRefused


class Exit(IntEnum):
    FAILED = 1
    USAGE = 2
    NOT_JOINED = 3
    REVOKED = 4


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


app = typer.Typer(
    name="skerry-agent",
    help="Makes one cluster be what is wanted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("convert")(convert_command)

StateDirOption = Annotated[
    Path | None, typer.Option("--state-dir", help="Where the identity and the journal are.")
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="The cluster. [default: the pod's own, else $KUBECONFIG]"),
]
ContextOption = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]


@app.command()
def run(
    join_token: Annotated[
        str | None, typer.Option("--join-token", help="Single-use token; prefer the file.")
    ] = None,
    join_token_file: Annotated[
        Path | None, typer.Option("--join-token-file", help="File with the token; needed once.")
    ] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    state_dir: StateDirOption = None,
    metrics_address: Annotated[
        str | None,
        typer.Option(
            "--metrics-address", help="host:port of /healthz, /readyz, /metrics; '' for none."
        ),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", help="auto, json or text.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="debug, info, warning or error.")
    ] = None,
) -> None:
    """Join when there is no identity yet, then look after the cluster until told to stop.

    All other settings are SKERRY_AGENT_… in the environment. SIGTERM stops in order, a second one
    at once.
    """
    loaded = _load(
        join_token=join_token,
        join_token_file=join_token_file,
        kubeconfig=kubeconfig,
        context=context,
        state_dir=state_dir,
        metrics_address=metrics_address,
        log_format=log_format,
        log_level=log_level,
    )
    log_setup.configure(log_format=loaded.log_format, level=loaded.log_level)
    code = 0
    try:
        uvloop.run(agent_app.run(loaded))
    except* (CatalogError, ConfigError, ListenError) as errors:
        code = _tell(errors, Exit.USAGE)
    except* (EnrolmentError, IdentityError) as errors:
        code = _tell(errors, Exit.NOT_JOINED)
    except* JournalError as errors:
        code = _tell(errors, Exit.FAILED)
    except* LinkRefused as errors:
        code = _tell(errors, Exit.REVOKED)
    if code:
        raise typer.Exit(code)


@app.command()
def doctor(
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    state_dir: StateDirOption = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="table or json.")] = Output.TABLE,
) -> None:
    """Say what stands in the way of an agent here, with the way out. Exit code 1 when something
    does."""
    loaded = _load(kubeconfig=kubeconfig, context=context, state_dir=state_dir)
    log_setup.configure(log_format="text", level="error")

    async def examine() -> list[doctoring.Finding]:
        return [finding async for finding in doctoring.examine(loaded, lambda: datetime.now(UTC))]

    findings = asyncio.run(examine())
    if output is Output.JSON:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.verdict.value:8} {finding.check}: {finding.message}")
            if finding.fix:
                typer.echo(f"{'':8} → {finding.fix}")
    if any(finding.verdict is doctoring.Verdict.FAILED for finding in findings):
        raise typer.Exit(Exit.FAILED)


def main() -> None:
    """Entry point of the console script."""
    app()


def _load(**flags: object) -> settings.AgentSettings:
    try:
        return settings.load(**flags)
    except settings.SettingsError as error:
        typer.echo(f"skerry-agent: {error}", err=True)
        sys.exit(Exit.USAGE)


def _tell(errors: BaseExceptionGroup[Exception], code: Exit) -> Exit:
    """One line for each reason, and the exit code to end with."""
    for error in _leaves(errors):
        typer.echo(f"skerry-agent: {error}", err=True)
    return code


def _leaves(errors: BaseExceptionGroup[Exception]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in errors.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


if __name__ == "__main__":
    main()
