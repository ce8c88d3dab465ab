"""The running platform that the end-to-end tests share, and an environment of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import Platform


@pytest.fixture(scope="module")
def platform(kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("platform"), kubeconfig)
    with platform.running():
        platform.cli("project", "create", "shop")
        yield platform


@pytest.fixture
def environment(platform: Platform) -> Iterator[str]:
    """The id of a fresh environment; `--env` with it goes to the CLI."""
    name = f"t{uuid.uuid4().hex[:8]}"
    platform.cli("env", "create", name, "--cluster", "home")
    namespace = platform.json("env", "get", name)["namespace"]
    yield name
    platform.kubectl("delete", "namespace", namespace, "--wait=false", check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in item.nodeid:
            item.add_marker("e2e")
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder for a compose project."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder
