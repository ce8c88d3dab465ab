"""Which cluster is used: the one KUBECONFIG names, unless it is ours or does not answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from devcluster import existing
from devcluster.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(existing, "K3S_KUBECONFIG", tmp_path / "k3s.yaml")
    environ = {"SKERRY_STATE": str(tmp_path / "state"), "KUBECONFIG": str(tmp_path / "theirs")}
    made = Settings.from_environment(environ)
    made.state.mkdir(parents=True)
    (tmp_path / "theirs").write_text("theirs")
    return made


def kubectl(folder: Path, *, answers: bool) -> Path:
    """A program in kubectl's place: what it would print for `get --raw /version`."""
    version = json.dumps({"gitVersion": "v1.36.4+k3s1"}, indent=2)
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\necho '{version}'\nexit {0 if answers else 1}\n")
    program.chmod(0o755)
    return program


def test_a_reachable_kubeconfig_is_used(settings: Settings, tmp_path: Path) -> None:
    found = existing.find(settings, kubectl(tmp_path, answers=True), print)
    assert found == existing.Existing("kubeconfig", tmp_path / "theirs", "v1.36.4+k3s1")


def test_an_unreachable_one_is_named_and_passed_over(settings: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    assert existing.find(settings, kubectl(tmp_path, answers=False), said.append) is None
    assert str(tmp_path / "theirs") in said[0]


def test_our_own_kubeconfig_is_not_somebody_elses_cluster(
    settings: Settings, tmp_path: Path
) -> None:
    settings.kubeconfig.write_text("ours")
    copy = tmp_path / "copy"
    copy.write_text("ours")
    for path in (settings.kubeconfig, copy):
        ours = replace(settings, external_kubeconfig=path)
        assert existing.find(ours, kubectl(tmp_path, answers=True), print) is None


def test_a_k3s_on_this_machine_comes_second(settings: Settings, tmp_path: Path) -> None:
    existing.K3S_KUBECONFIG.write_text("k3s")
    without = replace(settings, external_kubeconfig=None)
    found = existing.find(without, kubectl(tmp_path, answers=True), print)
    assert found is not None
    assert found.kind == "k3s"
