"""The K3s download: nothing is used whose checksum is not the release's."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import pytest
from devcluster import k3s_installer
from devcluster.errors import DevClusterError

BINARY, SCRIPT = b"\x7fELF k3s", b"#!/bin/sh\n"
pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="K3s is not released for this machine"
)


class Release:
    """Stands in for the release's web server (which no test may reach): serves files by name."""

    def __init__(self, **changes: bytes) -> None:
        suffix = "" if platform.machine() == "x86_64" else "-arm64"
        binary_sum = hashlib.sha256(BINARY).hexdigest()
        script_sum = hashlib.sha256(SCRIPT).hexdigest()
        self._files = {
            "sha256sum": f"{'0' * 64}  k3s-images.txt\n{binary_sum}  k3s{suffix}\n".encode(),
            "script_sum": f"{script_sum}  install.sh\n".encode(),
            "script": SCRIPT,
            "binary": BINARY,
            **changes,
        }

    def fetch(self, url: str) -> bytes:
        name = url.rpartition("/")[2]
        if name.startswith("sha256sum-"):
            return self._files["sha256sum"]
        kinds = {"install.sh": "script", "install.sh.sha256sum": "script_sum"}
        return self._files[kinds.get(name, "binary")]


def download(release: Release, folder: Path) -> tuple[Path, Path]:
    return k3s_installer.download(folder, lambda _: None, release.fetch)


def test_verified_files_are_written(tmp_path: Path) -> None:
    binary, script = download(Release(), tmp_path)
    assert (binary.read_bytes(), script.read_bytes()) == (BINARY, SCRIPT)


@pytest.mark.parametrize("what", ["binary", "script"])
def test_a_changed_file_is_refused_and_nothing_is_written(what: str, tmp_path: Path) -> None:
    with pytest.raises(DevClusterError, match="nothing was installed"):
        download(Release(**{what: b"evil"}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_release_without_a_sum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DevClusterError, match="names no checksum"):
        download(Release(sha256sum=b"not found\n"), tmp_path)
