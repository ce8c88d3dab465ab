"""The environment as `Settings` reads it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from devcluster.errors import DevClusterError
from devcluster.settings import Settings


def test_nothing_set_uses_the_documented_places() -> None:
    settings = Settings.from_environment({"HOME": "/home/ann"})
    assert settings.cache == Path("/home/ann/.cache/skerry")
    assert settings.state == Path("/var/lib/skerry-dev/devcluster")
    assert settings.kubeconfig == Path("/var/lib/skerry-dev/devcluster/kubeconfig")
    assert settings.external_kubeconfig is None


def test_skerry_cache_wins_over_xdg_cache_home() -> None:
    environ = {"XDG_CACHE_HOME": "/x", "SKERRY_CACHE": "/y", "SKERRY_STATE": "/z"}
    settings = Settings.from_environment(environ)
    assert settings.cache == Path("/y")
    assert settings.state == Path("/z/devcluster")


def test_the_first_entry_of_kubeconfig_counts() -> None:
    settings = Settings.from_environment({"KUBECONFIG": "/a:/b"})
    assert settings.external_kubeconfig == Path("/a")


@pytest.mark.parametrize("text", ["http", "0", "70000", "-1", "6443 "])
def test_a_port_that_is_none_is_named(text: str) -> None:
    with pytest.raises(DevClusterError, match="SKERRY_DEVCLUSTER_API_PORT"):
        Settings.from_environment({"SKERRY_DEVCLUSTER_API_PORT": text})


def test_what_a_killed_build_left_is_removed_after_a_day(tmp_path: Path) -> None:
    settings = Settings.from_environment({"SKERRY_CACHE": str(tmp_path)})
    old, young = settings.scratch(), settings.scratch()
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    settings.scratch()
    assert not old.exists()
    assert young.exists()
