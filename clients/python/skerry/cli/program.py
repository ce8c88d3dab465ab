"""Runs one command line: parse, perform, and turn every outcome into an exit code. Called by `main`.

Commands are loaded on demand: nothing here imports grpc, which reads its environment when imported.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Coroutine, Sequence
from typing import Any

import typer

from skerry import errors
from skerry.cli.exit_codes import CliError, ExitCode, for_error
from skerry.cli.output.text import one_line
from skerry.cli.run import Run
from skerry.cli.surroundings import Surroundings
from skerry.cli.tree import root_command

Job = tuple[Run, Coroutine[Any, Any, int | None]]
BROKEN_PIPE = 128 + signal.SIGPIPE


def run_program(arguments: Sequence[str], around: Surroundings) -> int:
    """Run one command line in this process and return its exit code."""
    job = parse(arguments, around)
    # `main` held the collector back while modules were loaded; from here on there is garbage to find.
    gc.freeze()
    gc.enable()
    if isinstance(job, int):
        return job
    run, coroutine = job
    try:
        code = asyncio.run(_until_signalled(perform(run, coroutine)))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does. Python must not notice again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def parse(arguments: Sequence[str], around: Surroundings) -> Job | int:
    """The command to perform, or the exit code when there is none (help, usage errors)."""
    try:
        outcome = root_command().main(
            list(arguments), prog_name="skerry", standalone_mode=False, obj=around
        )
    except typer.TyperException as error:
        return _usage(error)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    return outcome if isinstance(outcome, tuple) else int(outcome or 0)


async def perform(run: Run, coroutine: Coroutine[Any, Any, int | None]) -> int:
    """Run a command; its errors become one line and an exit code."""
    try:
        return await coroutine or 0
    except errors.SkerryError as error:
        return _report(run, error, describe(error), for_error(error))
    except CliError as error:
        return _report(run, error, str(error), error.code)
    except typer.Abort:
        run.out.insist("not done")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error} (a bug in skerry; --debug shows where)"
        return _report(run, error, message, ExitCode.FAILED)


def describe(error: errors.SkerryError) -> str:
    """One line with the reason and the way out."""
    line = one_line(error.message)
    for field, problem in error.detail.fields.items():
        if problem not in line:
            line += f"; {field}: {problem}"
    hint = _WAYS_OUT.get(error.reason)
    if hint:
        line += f" ({hint})"
    if error.code is errors.Code.INTERNAL and error.detail.request_id:
        line += f" (request {error.detail.request_id})"
    return line


_WAYS_OUT = {
    errors.ErrorReason.CREDENTIALS_MISSING: "run skerry login SERVER",
    errors.ErrorReason.CREDENTIALS_INVALID: "run skerry login SERVER with a valid token",
    errors.ErrorReason.AGENT_OFFLINE: "skerry cluster list shows which agents are connected",
    errors.ErrorReason.AGENT_NEVER_JOINED: "skerry cluster join-token CLUSTER makes a token for one",
    errors.ErrorReason.AGENT_REVOKED: "skerry cluster join-token CLUSTER lets an agent in again",
    errors.ErrorReason.COMPOSE_REJECTED: "skerry plan shows every finding",
    errors.ErrorReason.DEPLOY_IN_PROGRESS: "skerry operation list --active shows it",
    errors.ErrorReason.NO_RUNNING_POD: "skerry status APP says why",
}


def _report(run: Run, error: Exception, message: str, code: ExitCode) -> int:
    if run.given.debug:
        traceback.print_exception(error)
    run.out.fail(message)
    return code


def _usage(error: typer.TyperException) -> int:
    """What click says, without its box: the reason and where to read on."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if message.startswith("Usage:"):  # A group without a command: the message is its help.
        print(message, file=sys.stderr)
    else:
        print(f"error: {message}", file=sys.stderr)
        if context is not None:
            print(f"Try: {context.command_path} --help", file=sys.stderr)
    return error.exit_code


async def _until_signalled(work: Coroutine[Any, Any, int]) -> int:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does: by cancellation, so that it cleans up."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        if task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        return await work
    except asyncio.CancelledError:
        if received:
            return 128 + received[0]
        raise
