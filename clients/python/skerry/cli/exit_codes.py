"""What the exit codes mean, in one place. docs/cli.md repeats this table; a test compares them."""

from __future__ import annotations

from enum import IntEnum

from skerry import errors


class ExitCode(IntEnum):
    """`exec` passes on the command's own code instead."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    AUTH = 4
    UNREACHABLE = 5
    CONFLICT = 6
    INTERRUPTED = 130


class CliError(Exception):
    """Something the user can act on: one line, the way out included."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CliError):
    """The command cannot be run as it was written."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.USAGE)


_BY_CODE = {
    errors.Code.INVALID_ARGUMENT: ExitCode.USAGE,
    errors.Code.NOT_FOUND: ExitCode.NOT_FOUND,
    errors.Code.UNAUTHENTICATED: ExitCode.AUTH,
    errors.Code.PERMISSION_DENIED: ExitCode.AUTH,
    errors.Code.UNAVAILABLE: ExitCode.UNREACHABLE,
    errors.Code.DEADLINE_EXCEEDED: ExitCode.UNREACHABLE,
    errors.Code.ALREADY_EXISTS: ExitCode.CONFLICT,
    errors.Code.FAILED_PRECONDITION: ExitCode.CONFLICT,
    errors.Code.ABORTED: ExitCode.CONFLICT,
}
# The work itself failed, whatever canonical code says so.
_FAILED = frozenset({errors.ErrorReason.ROLLOUT_FAILED, errors.ErrorReason.COMPOSE_REJECTED})


def for_error(error: errors.SkerryError) -> ExitCode:
    """The exit code for an error of the SDK."""
    if error.reason in _FAILED:
        return ExitCode.FAILED
    return _BY_CODE.get(error.code, ExitCode.FAILED)
