"""The program as it is started: terminals, pipes, signals, completion, and how fast it starts."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import resource
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.control_plane import ExecPeer, FakeControlPlane
from tests.fakes.script import Hold
from tests.unit.skerry.cli.conftest import Cli
from tests.unit.skerry.cli.test_logs import response

PROGRAM = Path(sys.executable).with_name("skerry")
PATIENCE = 20.0
# Not as a preexec_fn: Python code between fork and exec may wait for ever for a thread of grpc's.
ON_OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass
class Typist:
    """A process on a terminal of its own, and the keyboard."""

    process: asyncio.subprocess.Process
    keyboard: int
    before: list[object]
    seen: bytes = b""

    async def expect(self, text: bytes) -> None:
        """Wait until it has printed this."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while text not in self.seen:
                ready = loop.create_future()
                loop.add_reader(self.keyboard, lambda: ready.done() or ready.set_result(None))  # noqa: B023
                try:
                    await ready
                finally:
                    loop.remove_reader(self.keyboard)
                self.seen += os.read(self.keyboard, 4096)

    def type(self, keys: bytes) -> None:
        os.write(self.keyboard, keys)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.keyboard)[3] & (termios.ICANON | termios.ECHO)

    def is_restored(self) -> bool:
        return termios.tcgetattr(self.keyboard) == self.before

    async def end(self) -> int:
        """Its exit code. The terminal is read on, as nothing else would empty it."""
        loop = asyncio.get_running_loop()

        def drain() -> None:
            with suppress(OSError):
                self.seen += os.read(self.keyboard, 4096)

        loop.add_reader(self.keyboard, drain)
        try:
            return await asyncio.wait_for(self.process.wait(), PATIENCE)
        finally:
            loop.remove_reader(self.keyboard)


@pytest.fixture
def environ(cli: Cli) -> dict[str, str]:
    return {**os.environ, **cli.environ, "TERM": "xterm"}


@asynccontextmanager
async def on_terminal(environ: dict[str, str], *arguments: str) -> AsyncIterator[Typist]:
    keyboard, screen = pty.openpty()
    fcntl.ioctl(keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(keyboard)

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ON_OWN_TERMINAL, PROGRAM, *arguments,
        stdin=screen, stdout=screen, stderr=screen, env=environ, start_new_session=True,
    )  # fmt: skip
    try:
        yield Typist(process, keyboard, before)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(keyboard)
        os.close(screen)


async def shell(peer: ExecPeer) -> None:
    """Echoes keys, tells its size, and exits with the digit that is typed."""
    await peer.stdout(f"start {peer.start.size.rows}x{peer.start.size.columns} $ ".encode())
    while (request := await peer.read()) is not None:
        match request.WhichOneof("message"):
            case "resize":
                await peer.stdout(
                    f"resized {request.resize.rows}x{request.resize.columns}\r\n".encode()
                )
            case "stdin" if request.stdin.isdigit():
                await peer.exit(int(request.stdin))
                return
            case "stdin":
                await peer.stdout(b"got " + request.stdin.hex().encode() + b"\r\n")
            case _:
                pass


async def test_an_interactive_session(fake: FakeControlPlane, environ: dict[str, str]) -> None:
    fake.add_app("web")
    fake.exec_behaviour = shell
    async with on_terminal(environ, "exec", "-it", "web") as typist:
        await typist.expect(b"start 24x80 $ ")
        assert typist.is_raw()
        typist.type(b"\x03")  # Ctrl-C belongs to the command.
        await typist.expect(b"got 03")
        typist.resize(50, 132)
        await typist.expect(b"resized 50x132")
        typist.type(b"7")
        assert await typist.end() == 7
        assert typist.is_restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_puts_the_terminal_back(
    fake: FakeControlPlane, environ: dict[str, str], number: signal.Signals
) -> None:
    fake.add_app("web")
    fake.exec_behaviour = shell
    async with on_terminal(environ, "exec", "-it", "web") as typist:
        await typist.expect(b"$ ")
        typist.process.send_signal(number)
        assert await typist.end() == 128 + number, typist.seen
        assert typist.is_restored()


async def test_a_lost_server_puts_the_terminal_back(
    fake: FakeControlPlane, environ: dict[str, str]
) -> None:
    fake.add_app("web")
    fake.exec_behaviour = shell
    async with on_terminal(environ, "exec", "-it", "web") as typist:
        await typist.expect(b"$ ")
        await fake.stop()
        assert await typist.end() == 5
        assert typist.is_restored()
    assert b"cannot reach" in typist.seen


async def piped(
    environ: dict[str, str], *arguments: str, stdin: bytes | int = b"", cwd: Path | None = None
) -> tuple[int | None, bytes, bytes]:
    """(exit code, stdout, stderr) of a process with pipes."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, env=environ, cwd=cwd,
        stdin=stdin if isinstance(stdin, int) else subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    given = None if isinstance(stdin, int) else stdin
    out, err = await asyncio.wait_for(process.communicate(given), PATIENCE)
    return process.returncode, out, err


async def test_a_pipe_through_a_command(fake: FakeControlPlane, environ: dict[str, str]) -> None:
    fake.add_app("web")
    data = os.urandom(300_000)
    code, out, err = await piped(environ, "exec", "-i", "web", "--", "cat", stdin=data)
    assert (code, out == data, err) == (0, True, b"")


async def test_a_file_as_standard_input(
    fake: FakeControlPlane, environ: dict[str, str], tmp_path: Path
) -> None:
    fake.add_app("web")
    (tmp_path / "dump.sql").write_bytes(b"SELECT 1;")
    with (tmp_path / "dump.sql").open("rb") as file:
        code, out, _ = await piped(environ, "exec", "-i", "web", "--", "cat", stdin=file.fileno())
    assert (code, out) == (0, b"SELECT 1;")


async def test_no_terminal_for_a_tty(fake: FakeControlPlane, environ: dict[str, str]) -> None:
    fake.add_app("web")
    code, out, err = await piped(environ, "exec", "-it", "web", "--", "cat", stdin=b"x")
    assert (code, out) == (0, b"x")
    assert err == b"standard input is no terminal: going on without --tty\n"


async def test_streams_stay_apart_and_the_code_is_passed_on(
    fake: FakeControlPlane, environ: dict[str, str]
) -> None:
    fake.add_app("web")

    async def behaviour(peer: ExecPeer) -> None:
        assert list(peer.start.command) == ["sh", "-c", "exit 3"]
        assert peer.start.service == "db"
        await peer.stdout(b"out")
        await peer.stderr(b"err")
        await peer.exit(3)

    fake.exec_behaviour = behaviour
    ended = await piped(environ, "exec", "web/db", "--", "sh", "-c", "exit 3")
    assert ended == (3, b"out", b"err")


async def test_ctrl_c_ends_a_follow(fake: FakeControlPlane, environ: dict[str, str]) -> None:
    fake.add_app("web")
    fake.script("TailLogs", [response("api", b"hello"), Hold()])
    async with on_terminal(environ, "logs", "-f", "web") as typist:
        await typist.expect(b"hello\r\n")
        typist.type(b"\x03")
        assert await typist.end() == 130
    assert b"Traceback" not in typist.seen


async def test_a_reader_that_leaves_ends_it_quietly(
    fake: FakeControlPlane, environ: dict[str, str]
) -> None:
    fake.add_app("web")
    endless = [response("api", b"x" * 1000)] * 500
    fake.script("TailLogs", [*endless, Hold()])
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "logs", "-f", "web", env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined]  # as `head -1` does
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 141
    assert await process.stderr.read() == b""


async def complete(environ: dict[str, str], *words: str) -> list[str]:
    """What bash is offered for the last word."""
    request = {
        **environ,
        "_SKERRY_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["skerry", *words]),
        "COMP_CWORD": str(len(words)),
    }
    _, out, err = await piped(request)
    assert err == b""
    return out.decode().split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["dep"], ["deploy", "deployments"]),
        (["cluster", "l"], ["list"]),
        (["logs", "w"], ["web", "worker"]),
        (["logs", "--project", "blog", "--env", "dev", ""], ["notes"]),
        (["cluster", "get", ""], ["home"]),
        (["env", "get", ""], ["prod"]),
        (["deploy", "--project", ""], ["shop", "blog"]),
        (["context", "use", ""], ["test"]),
    ],
    ids=str,
)
async def test_completion(
    fake: FakeControlPlane, environ: dict[str, str], words: list[str], offered: list[str]
) -> None:
    fake.add_cluster("home")
    fake.add_app("web")
    fake.add_app("worker")
    fake.add_app("notes", "blog", "dev")
    assert await complete(environ, *words) == offered


async def test_completion_does_not_wait_for_a_server_that_is_away(
    fake: FakeControlPlane, environ: dict[str, str]
) -> None:
    await fake.stop()
    assert await complete(environ, "logs", "") == []


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
async def test_completion_scripts(cli: Cli, shell_name: str) -> None:
    script = await cli("completion", shell_name)
    assert script.code == 0
    assert "_SKERRY_COMPLETE" in script.out


LIGHT = ["--help", "context list", "config view", "version --client"]


@pytest.mark.parametrize("line", LIGHT)
def test_light_commands_load_neither_grpc_nor_rich_nor_yaml(
    environ: dict[str, str], line: str
) -> None:
    needless = {"grpc", "rich", "yaml", "google.protobuf", "pydantic"}
    assert loaded(environ, line) & needless == set()


def test_exec_loads_nothing_that_only_others_need(
    fake: FakeControlPlane, environ: dict[str, str]
) -> None:
    needless = {
        "rich",
        "yaml",
        "dotenv",
        "pydantic",
        "google.protobuf.json_format",
        "skerry.cli.output.tables",
    }
    assert loaded(environ, "exec --help") & needless == set()


def loaded(environ: dict[str, str], line: str) -> set[str]:
    """The modules that are imported when a command line ends."""
    code = (
        "import sys, contextlib, io\n"
        "from skerry.cli.program import run_program\n"
        "from skerry.cli.surroundings import Surroundings\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    assert run_program({line.split()!r}, Surroundings.real()) == 0\n"
        "print('\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def cost(command: list[str | Path], environ: dict[str, str]) -> float:
    """The least processor time of some runs, in seconds: other work on the machine hardly changes it."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(5))


def test_a_start_is_the_imports_that_nothing_can_do_without(environ: dict[str, str]) -> None:
    bare = "import typer, grpc.aio, google.protobuf.internal.builder"
    floor = cost([sys.executable, "-c", bare], environ)
    assert cost([PROGRAM, "exec", "web", "--help"], environ) < 1.8 * floor
