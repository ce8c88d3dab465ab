"""The wall clock leaps under a program, as it does when a machine wakes or NTP sets it: nothing is lost or done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import chaos
from tests.e2e.platform import Platform


@pytest.fixture(scope="module")
def platform(kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose two programs have clocks that can be moved."""
    if not chaos.FAKETIME.exists():
        pytest.skip("needs libfaketime: apt-get install faketime")
    folder = tmp_path_factory.mktemp("clocks")
    platform = Platform(folder, kubeconfig, **chaos.faked_clocks(folder))
    with platform.running():
        platform.cli("project", "create", "shop")
        yield platform


@pytest.mark.parametrize("fault", chaos.CLOCK_FAULTS, ids=lambda fault: fault.name)
def test_nothing_is_lost_and_nothing_done_twice(
    platform: Platform, environment: str, project: Path, fault: chaos.Fault
) -> None:
    chaos.suffer(platform, environment, project, fault)
