"""The `skerry` command in the test's own loop, talking to a fake control plane."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from skerry.cli.config.store import Config, ConfigStore, Context
from skerry.cli.program import parse, perform
from skerry.cli.surroundings import Surroundings

from tests.fakes.control_plane import TOKEN, FakeControlPlane

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@dataclass
class Cli:
    """Runs command lines; `environ` and `cwd` are what they see."""

    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    cwd: Path
    environ: dict[str, str]
    terminals: dict[str, bool] = field(default_factory=dict)

    @property
    def store(self) -> ConfigStore:
        return ConfigStore(Path(self.environ["SKERRY_CONFIG"]))

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        around = replace(
            Surroundings(self.environ, self.cwd, False, False, False, now=lambda: NOW),
            **self.terminals,
        )
        self.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self.capture.readouterr()
        job = parse(arguments, around)
        code = job if isinstance(job, int) else await perform(*job)
        said = self.capture.readouterr()
        return Result(int(code), said.out, said.err)


@pytest.fixture
def cli(
    fake: FakeControlPlane,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Cli:
    """Logged in to the fake as the context `test`, with the project shop and the environment prod."""
    project = tmp_path / "Web Shop"
    project.mkdir()
    command = Cli(capfd, monkeypatch, project, {"SKERRY_CONFIG": str(tmp_path / "config.toml")})
    context = Context(fake.address, TOKEN, insecure=True, project="shop", environment="prod")
    command.store.save(Config().with_context("test", context))
    return command
