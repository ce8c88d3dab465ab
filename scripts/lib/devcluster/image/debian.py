"""Debian packages as files: resolved and checked by apt, unpacked without running install scripts.

apt is given an empty system (or the base image's package list) instead of the host's, so that it finds
the closure an image needs, and verifies signatures and hashes as always. Maintainer scripts are
not run: nothing needs a chroot, and what they would do for a container is a handful of links and accounts,
which `root` lays down. `layers` and `devcluster.tools` call this.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster import locks
from devcluster.errors import BuildError

# Inst python3.11 (3.11.2-6+deb12u6 Debian:12.11/oldstable, … [amd64]) [libc6:amd64 ]
_INSTALL = re.compile(r"Inst (\S+) (?:\[\S+\] )?\((\S+) [^)]*\[(\w+)\]\)")
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    architecture: str

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


class Apt:
    """apt with folders of its own under the cache; the host's package lists and keys are used as they are."""

    def __init__(self, folder: Path) -> None:
        self._archives = folder / "archives"

    def resolve(
        self, packages: Sequence[str], *, without: Sequence[str] = (), status: str | None = ""
    ) -> list[Package]:
        """The packages to unpack, dependencies first, on top of a dpkg `status` ("" is an empty system).

        `without` names packages to treat as if they were there. None for `status` means the host's own.
        Raises BuildError with apt's words.
        """
        output = self._apt(packages, without, status, "--simulate")
        matches = (_INSTALL.match(line) for line in output.splitlines())
        return [Package(*match.groups()) for match in matches if match is not None]

    def download(
        self, packages: Sequence[Package], *, without: Sequence[str] = (), status: str | None = ""
    ) -> list[Path]:
        """Fetch exactly these packages; return their files in the same order."""
        files = [self._archives / package.file for package in packages]
        if not all(file.exists() for file in files):
            exact = [f"{package.name}={package.version}" for package in packages]
            self._apt(exact, without, status, "--download-only")
        missing = [file.name for file in files if not file.exists()]
        if missing:
            raise BuildError(f"apt did not fetch {', '.join(missing)}; `apt-get update` may help")
        return files

    def _apt(
        self, packages: Sequence[str], without: Sequence[str], status: str | None, *options: str
    ) -> str:
        (self._archives / "partial").mkdir(parents=True, exist_ok=True)
        argv = ["apt-get", "-qq", "-y", "--no-install-recommends", "--allow-downgrades", *options]
        settings = {
            "APT::Sandbox::User": "root",
            "APT::Immediate-Configure": "false",
            "Dir::Cache::archives": f"{self._archives}/",
            # apt's own cache of parsed lists belongs to the host's status; ours differs each time.
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Dir::State::extended_states": "/dev/null",
        }
        file = self._archives.parent / f"status.{os.getpid()}"
        if status is not None:
            file.write_text(status + "".join(_pretended(name) for name in without))
            settings["Dir::State::status"] = str(file)
        for key, value in settings.items():
            argv += ["-o", f"{key}={value}"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        with locks.held(
            self._archives.parent / "lock"
        ):  # apt gives up where it finds its own lock held
            done = _run([*argv, "install", *packages], environment)
            if done.returncode:
                # A machine whose package lists are missing or old: fetch them, once.
                _run(["apt-get", "-qq", "update"], environment)
                done = _run([*argv, "install", *packages], environment)
        file.unlink(missing_ok=True)
        if done.returncode:
            raise BuildError(
                f"apt cannot get {' '.join(packages)}: {done.stderr.strip()[-800:]} "
                "(run `apt-get update`, or see whether this Debian release has them)"
            )
        return done.stdout


def _run(argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, text=True, capture_output=True, env=environment, check=False)


def unpack(files: Sequence[Path], root: Path) -> str:
    """Unpack packages into `root` (through its /bin → usr/bin links); return their dpkg status entries."""
    entries = []
    for file in files:
        contents = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE)
        extract = ["tar", "-x", "--keep-directory-symlink", "--numeric-owner", "-C", str(root)]
        done = subprocess.run(extract, stdin=contents.stdout, capture_output=True, check=False)
        assert contents.stdout is not None
        contents.stdout.close()
        if contents.wait() or done.returncode:
            raise BuildError(f"{file.name} cannot be unpacked: {done.stderr.decode()[-400:]}")
        control = subprocess.run(
            ["dpkg-deb", "--field", file], text=True, capture_output=True, check=True
        ).stdout
        entries.append(_status_entry(control))
    return "".join(entries)


def root(folder: Path) -> None:
    """Lay down what Debian's install scripts would have made: the merged /usr, accounts, a few folders."""
    for name in MERGED:
        (folder / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"usr/{name}")
    for name, mode in (
        ("tmp", 0o1777),
        ("var/tmp", 0o1777),
        ("root", 0o700),
        ("proc", 0o555),
        ("sys", 0o555),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name).chmod(mode)
    (folder / "dev").mkdir(exist_ok=True)


def accounts(folder: Path) -> None:
    """Fill /etc/passwd, group and nsswitch from the master files that the packages carry."""
    etc = folder / "etc"
    etc.mkdir(exist_ok=True)
    for name in ("passwd", "group"):
        master = folder / "usr/share/base-passwd" / f"{name}.master"
        if master.exists() and not (etc / name).exists():
            lines = [line.replace(":*:", ":x:", 1) for line in master.read_text().splitlines()]
            (etc / name).write_text("".join(f"{line}\n" for line in lines))
    nsswitch = folder / "usr/share/libc-bin/nsswitch.conf"
    if nsswitch.exists() and not (etc / "nsswitch.conf").exists():
        (etc / "nsswitch.conf").write_text(nsswitch.read_text())


def _pretended(name: str) -> str:
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], text=True, capture_output=True, check=True
    ).stdout.strip()
    # "allowed" is what satisfies both `perl` and `perl:any`.
    return (
        f"Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: misc\n"
        f"Maintainer: nobody\nArchitecture: {architecture}\nMulti-Arch: allowed\nVersion: 9999\n"
        f"Description: left out\n\n"
    )


def _status_entry(control: str) -> str:
    first, _, rest = control.strip().partition("\n")
    return f"{first}\nStatus: install ok installed\n{rest}\n\n"


def to_json(packages: Sequence[Package]) -> str:
    return json.dumps(
        [[package.name, package.version, package.architecture] for package in packages]
    )


def from_json(text: str) -> list[Package]:
    return [Package(*entry) for entry in json.loads(text)]
