"""`up --k3s`: the official K3s by its own installer, nothing of which runs before its checksum is right.

The binary is checked against the checksum file of the same release, the install script against the
checksum that K3s keeps beside it in the release's source; the script is then told to skip its own download
and only installs the service. Needs a machine that reaches GitHub.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from devcluster import host
from devcluster.errors import DevClusterError

VERSION = "v1.36.4+k3s1"
BINARY = Path("/usr/local/bin/k3s")
_SUFFIXES = {"x86_64": ("", "amd64"), "aarch64": ("-arm64", "arm64")}

Fetch = Callable[[str], bytes]


def install(scratch: Path, say: Callable[[str], None], fetch: Fetch | None = None) -> None:
    """Download, verify, install and start K3s. Raises DevClusterError and leaves nothing when a sum is wrong."""
    host.require_root()
    if BINARY.exists():
        raise DevClusterError(
            f"{BINARY} exists: start that K3s (`systemctl start k3s`) or remove it first"
        )
    if not shutil.which("systemctl"):
        raise DevClusterError(
            "the K3s installer needs systemd or OpenRC; without --k3s a cluster is built from packages"
        )
    binary, script = download(scratch, say, fetch or _fetch)
    staged = BINARY.with_name(".k3s.new")
    shutil.copyfile(binary, staged)
    staged.chmod(0o755)
    staged.replace(BINARY)
    say(f"installing K3s {VERSION} as a service")
    environment = {**os.environ, "INSTALL_K3S_SKIP_DOWNLOAD": "true", "K3S_KUBECONFIG_MODE": "600"}
    done = subprocess.run(["sh", script], env=environment, check=False)
    if done.returncode:
        raise DevClusterError(
            f"the K3s installer ended with {done.returncode}; `journalctl -u k3s` tells more, and "
            "`k3s-uninstall.sh` takes back what it did"
        )


def download(scratch: Path, say: Callable[[str], None], fetch: Fetch) -> tuple[Path, Path]:
    """Fetch binary and script into `scratch`, both verified; return their paths."""
    suffix, architecture = _architecture()
    release = f"https://github.com/k3s-io/k3s/releases/download/{VERSION.replace('+', '%2B')}"
    source = f"https://raw.githubusercontent.com/k3s-io/k3s/{VERSION.replace('+', '%2B')}"
    name = f"k3s{suffix}"
    say(f"downloading K3s {VERSION}")
    sums = parse_sums(fetch(f"{release}/sha256sum-{architecture}.txt").decode())
    script_sums = parse_sums(fetch(f"{source}/install.sh.sha256sum").decode())
    binary = _verified(fetch(f"{release}/{name}"), name, sums)
    script = _verified(fetch(f"{source}/install.sh"), "install.sh", script_sums)
    (scratch / "k3s").write_bytes(binary)
    (scratch / "install.sh").write_bytes(script)
    return scratch / "k3s", scratch / "install.sh"


def parse_sums(text: str) -> dict[str, str]:
    """`sha256sum` output as file name → sum in lower-case hex."""
    found = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 2 and len(fields[0]) == 64:
            found[fields[1].lstrip("*")] = fields[0].lower()
    return found


def _verified(content: bytes, name: str, sums: dict[str, str]) -> bytes:
    wanted = sums.get(name)
    if wanted is None:
        raise DevClusterError(f"the release names no checksum for {name}; nothing was installed")
    actual = hashlib.sha256(content).hexdigest()
    if actual != wanted:
        raise DevClusterError(
            f"{name} has checksum {actual}, the release says {wanted}; nothing was installed"
        )
    return content


def _architecture() -> tuple[str, str]:
    try:
        return _SUFFIXES[platform.machine()]
    except KeyError:
        raise DevClusterError(f"K3s is not released for {platform.machine()}") from None


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return bytes(response.read())
    except (urllib.error.URLError, TimeoutError) as error:
        raise DevClusterError(f"{url} cannot be fetched: {error}; try without --k3s") from error
