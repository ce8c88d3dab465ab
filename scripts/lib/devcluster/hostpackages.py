"""The few small Debian packages a node needs installed: tools for the network, none with a service."""

from __future__ import annotations

import os
import shutil
import subprocess

from devcluster.errors import DevClusterError

# program → package that has it
NEEDED = {
    "conntrack": "conntrack",
    "ip": "iproute2",
    "iptables": "iptables",
    "mount": "mount",
    "nft": "nftables",
}
PATHS = "/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> list[str]:
    return sorted(
        package for program, package in NEEDED.items() if not shutil.which(program, path=PATHS)
    )


def ensure() -> list[str]:
    """Install what is missing; return what was installed. Raises DevClusterError with the way out."""
    packages = missing()
    if not packages:
        return []
    if not shutil.which("apt-get"):
        raise DevClusterError(
            f"please install: {', '.join(packages)} (this is no Debian, so it is not done for you)"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        # Another apt may be at work on a fresh machine: wait for it instead of failing.
        argv = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments]
        done = subprocess.run(argv, text=True, capture_output=True, env=environment, check=False)
        if done.returncode:
            raise DevClusterError(f"`{' '.join(argv)}` failed: {done.stderr.strip()[-600:]}")
    return packages
