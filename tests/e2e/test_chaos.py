"""Every fault of `chaos` on the dev cluster: log lines neither lost nor doubled, the deploy under way done once, and all back by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import chaos
from tests.e2e.platform import Platform


@pytest.fixture(scope="module")
def platform(kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose agent has a small disk of its own."""
    if not chaos.is_root() or not shutil.which("iptables"):
        pytest.skip("needs root and iptables: packets are dropped, a small file system is mounted")
    platform = Platform(tmp_path_factory.mktemp("chaos"), kubeconfig)
    with chaos.small_disk(platform.agent_state), platform.running():
        platform.cli("project", "create", "shop")
        yield platform


@pytest.mark.parametrize("fault", [*chaos.FAULTS, *chaos.DISK_FAULTS], ids=lambda fault: fault.name)
def test_nothing_is_lost_and_nothing_done_twice(
    platform: Platform, environment: str, project: Path, fault: chaos.Fault
) -> None:
    chaos.suffer(platform, environment, project, fault)
