"""Exit codes, and errors as one line with the way out."""

from __future__ import annotations

import grpc
import pytest
from skerry import errors
from skerry.cli.exit_codes import ExitCode, for_error
from skerry.platform.v1 import app_pb2, operation_pb2

from tests.fakes.control_plane import FakeControlPlane
from tests.fakes.script import Fail
from tests.unit.skerry.cli.conftest import Cli

S = grpc.StatusCode
TABLE = [
    (S.NOT_FOUND, "RESOURCE_NOT_FOUND", ExitCode.NOT_FOUND),
    (S.UNAUTHENTICATED, "CREDENTIALS_INVALID", ExitCode.AUTH),
    (S.PERMISSION_DENIED, "PERMISSION_DENIED", ExitCode.AUTH),
    (S.UNAVAILABLE, "AGENT_OFFLINE", ExitCode.UNREACHABLE),
    (S.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", ExitCode.UNREACHABLE),
    (S.ALREADY_EXISTS, "RESOURCE_EXISTS", ExitCode.CONFLICT),
    (S.FAILED_PRECONDITION, "RESOURCE_IN_USE", ExitCode.CONFLICT),
    (S.ABORTED, "ETAG_MISMATCH", ExitCode.CONFLICT),
    (S.INVALID_ARGUMENT, "INVALID_FIELD", ExitCode.USAGE),
    (S.ABORTED, "ROLLOUT_FAILED", ExitCode.FAILED),
    (S.FAILED_PRECONDITION, "COMPOSE_REJECTED", ExitCode.FAILED),
    (S.INTERNAL, "INTERNAL", ExitCode.FAILED),
    (S.UNIMPLEMENTED, "", ExitCode.FAILED),
    (S.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", ExitCode.FAILED),
]


@pytest.mark.parametrize(("code", "reason", "expected"), TABLE, ids=str)
async def test_the_exit_code_of_each_error(
    fake: FakeControlPlane, cli: Cli, code: grpc.StatusCode, reason: str, expected: ExitCode
) -> None:
    fake.fail("GetApp", Fail(code, reason, "this is why"))
    failed = await cli("app", "get", "web")
    assert failed.code == expected
    assert failed.out == ""
    assert failed.err.startswith("error: this is why")
    assert len(failed.err.splitlines()) == 1


def test_every_error_class_has_an_exit_code() -> None:
    for kind in errors.BY_CODE.values():
        assert for_error(kind("x")) in ExitCode


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clutser"], "No such command 'clutser'. Did you mean 'cluster'"),
        (["cluster", "lst"], "Did you mean 'list'?"),
        (["app", "list", "--colour"], "No such option"),
        (["app", "get"], "Missing argument"),
        (["app", "list", "-o", "xml"], "'xml'"),
        (["rollback", "web", "--to", "x"], "--to"),
        (["logs", "web", "--since", "yesterday"], "'yesterday' is no duration"),
        (["operation", "wait", "x", "--timeout", "soon"], "'soon' is no duration"),
        (["app", "get", "a/b"], "write APP or PROJECT/ENV/APP"),
        (["exec", "a//b", "--", "ls"], "write APP"),
    ],
    ids=str,
)
async def test_usage_errors(
    fake: FakeControlPlane, cli: Cli, arguments: list[str], message: str
) -> None:
    fake.operations["operations/x"] = operation_pb2.Operation(name="operations/x")
    wrong = await cli(*arguments)
    assert wrong.code == ExitCode.USAGE
    assert message in wrong.err
    assert wrong.out == ""


async def test_nobody_is_logged_in(cli: Cli) -> None:
    cli.store.path.unlink()
    refused = await cli("app", "list")
    assert (refused.code, refused.err) == (4, "error: not logged in: run skerry login SERVER\n")


async def test_the_server_is_away(fake: FakeControlPlane, cli: Cli) -> None:
    await fake.stop()
    away = await cli("app", "list")
    assert away.code == ExitCode.UNREACHABLE
    assert f"cannot reach {fake.address}" in away.err


async def test_a_hint_says_the_way_out(fake: FakeControlPlane, cli: Cli) -> None:
    fake.fail("GetApp", Fail(S.UNAVAILABLE, "AGENT_OFFLINE", "the agent of home is away"))
    assert (
        "(skerry cluster list shows which agents are connected)"
        in (await cli("app", "get", "web")).err
    )


async def test_debug_shows_the_traceback(fake: FakeControlPlane, cli: Cli) -> None:
    fake.fail("GetApp", Fail(S.INTERNAL, "INTERNAL", "boom"))
    failed = await cli("app", "get", "web", "--debug")
    assert "Traceback (most recent call last)" in failed.err
    assert "skerry.errors.Internal: boom" in failed.err


async def test_a_bug_is_said_as_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skerry.cli.output.writer.Writer.all", lambda *_, **__: 1 / 0)
    failed = await cli("project", "list")
    assert failed.code == 1
    assert "a bug in skerry; --debug shows where" in failed.err


async def test_colours_only_where_wanted(fake: FakeControlPlane, cli: Cli) -> None:
    cli.terminals = {"stderr_is_terminal": True}
    assert "\x1b[31merror:" in (await cli("app", "get", "web")).err
    assert "\x1b" not in (await cli("app", "get", "web", "--no-color")).err
    cli.environ["NO_COLOR"] = "1"
    assert "\x1b" not in (await cli("app", "get", "web")).err


async def test_control_characters_of_messages_do_not_reach_the_terminal(
    fake: FakeControlPlane, cli: Cli
) -> None:
    fake.fail("GetApp", Fail(S.INTERNAL, "INTERNAL", "\x1b]0;owned\x07boom"))
    failed = await cli("app", "get", "web")
    assert failed.err.startswith("error: \ufffd]0;owned\ufffdboom (request ")
    services = [app_pb2.ServiceStatus(service="api", desired=1, message="\x1b[2Jgone")]
    fake.add_app("web", services=services)
    assert "\x1b" not in (await cli("status", "web")).out


async def test_a_dumb_terminal_gets_plain_lines(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("web")
    cli.terminals = {"stdout_is_terminal": True, "stderr_is_terminal": True}
    cli.environ["TERM"] = "dumb"
    assert "\x1b" not in (await cli("app", "list")).out
