"""What `skerry-controlplane doctor` looks at: each check says ok, warn or fail, what it saw, and what to do. Called by `__main__`.

Reads only; may run beside a serving control plane.
"""

import contextlib
import datetime
import os
import shutil
import socket
import sqlite3
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives import hashes

from controlplane.domain.errors import StorageUnavailable
from controlplane.keyring.errors import KeyringError
from controlplane.keyring.inspection import inspect
from controlplane.keyring.keyring import Keyring
from controlplane.pki import files
from controlplane.pki.errors import KeyMaterialError
from controlplane.settings import Address, Settings
from controlplane.store.key_usage import key_usage
from controlplane.store.migrations.run import head

_MIB = 1024 * 1024
_DISK_FAIL, _DISK_WARN = 100 * _MIB, 1024 * _MIB
_CA_WARN = datetime.timedelta(days=90)
_CLOCK_SLACK = datetime.timedelta(minutes=2)


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fix` is empty when there is nothing to do."""

    check: str
    verdict: Verdict
    message: str
    fix: str = ""


def examine(settings: Settings, *, now: datetime.datetime) -> list[Finding]:
    """All checks, in the order in which a person would want to mend things."""
    return [
        Finding("settings", Verdict.OK, "all settings are valid"),
        _data_dir(settings.data_dir),
        _disk(settings.data_dir),
        *_database(settings.database_path),
        _keyring(settings),
        *_certificates(settings.pki_dir, now),
        *_rotation(settings),
        _clock(settings.data_dir, now),
        *_ports(settings),
        _advertised(settings),
    ]


def database_revision(path: Path) -> str:
    """The migration that the database is at; empty when there is no database, or one that cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return _revision(connection)
    except sqlite3.Error:
        return ""


def _data_dir(path: Path) -> Finding:
    if not path.exists():
        parent = next(parent for parent in path.parents if parent.exists())
        if os.access(parent, os.W_OK):
            return Finding("data folder", Verdict.OK, f"{path} will be made on the first start")
        return Finding(
            "data folder",
            Verdict.FAIL,
            f"{path} does not exist and {parent} is not writable",
            "choose another folder with --data-dir, or make this one for this user",
        )
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        return Finding(
            "data folder",
            Verdict.FAIL,
            f"{path} is not a writable folder",
            f"check its owner and mode: `ls -ld {path}`",
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding(
            "data folder",
            Verdict.WARN,
            f"{path} is open to other users of this machine",
            f"run `chmod 700 {path}`",
        )
    return Finding("data folder", Verdict.OK, f"{path} is writable and private")


def _disk(path: Path) -> Finding:
    existing = path if path.exists() else next(one for one in path.parents if one.exists())
    free = shutil.disk_usage(existing).free
    message = f"{free // _MIB} MiB free at {existing}"
    if free < _DISK_FAIL:
        return Finding("disk", Verdict.FAIL, message, "free some space: nothing can be saved soon")
    if free < _DISK_WARN:
        return Finding("disk", Verdict.WARN, message, "free some space")
    return Finding("disk", Verdict.OK, message)


def _database(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("database", Verdict.OK, f"{path} will be made on the first start")
        return
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA busy_timeout=5000")
            damage = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
            revision = _revision(connection)
    except sqlite3.Error as error:
        yield Finding(
            "database",
            Verdict.FAIL,
            f"{path} cannot be read: {error}",
            "check its owner and mode; if it is damaged, restore it from a backup",
        )
        return
    if damage != ["ok"]:
        yield Finding(
            "database",
            Verdict.FAIL,
            f"{path} is damaged: {damage[0]}",
            "stop the control plane and restore the database from a backup",
        )
        return
    yield Finding("database", Verdict.OK, f"{path} is whole")
    if revision == head():
        yield Finding("migrations", Verdict.OK, f"at {revision}, as this version wants")
    else:
        yield Finding(
            "migrations",
            Verdict.WARN,
            f"the database is at {revision or 'nothing'}, this version wants {head()}",
            "`skerry-controlplane serve` migrates at start, `skerry-controlplane migrate` at once",
        )


def _revision(connection: sqlite3.Connection) -> str:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
    if known.fetchone() is None:
        return ""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def _keyring(settings: Settings) -> Finding:
    path, check = settings.keyring_path, "keyring"
    restore = "restore it from a backup; if it is lost, `skerry-controlplane keys create --lost` and set all secrets again"
    if not path.exists():
        if used := sum(key_usage(settings.database_path).values()):
            message = f"{path} is missing, and {used} values are encrypted with its keys"
            return Finding(check, Verdict.FAIL, message, restore)
        return Finding(check, Verdict.OK, f"{path} will be made on the first start")
    try:
        keyring = Keyring(path)
        found = inspect(settings.database_path, keyring)
    except KeyringError as error:
        return Finding(check, Verdict.FAIL, str(error), restore)
    except (sqlite3.Error, StorageUnavailable):
        return Finding(check, Verdict.OK, f"{path} is whole; nothing is encrypted with it yet")
    if found.broken:
        more = f" and {len(found.broken) - 5} more" if len(found.broken) > 5 else ""
        return Finding(
            check,
            Verdict.FAIL,
            f"cannot be decrypted: {', '.join(found.broken[:5])}{more}",
            f"restore the keyring that has their keys as {path}, or set them again and deploy anew",
        )
    if found.old:
        return Finding(
            check,
            Verdict.WARN,
            f"{found.old} of {found.values} values are encrypted with older keys",
            "encrypt them anew: `skerry-controlplane keys reencrypt --retire`",
        )
    return Finding(check, Verdict.OK, f"all {found.values} values can be decrypted")


def _certificates(directory: Path, now: datetime.datetime) -> Iterator[Finding]:
    if not (directory / "ca.crt").exists():
        yield Finding("certificates", Verdict.OK, "the CA will be made on the first start")
        return
    try:
        files.read_key(directory / "ca.key")
        authority = files.read_certificate(directory / "ca.crt")
    except KeyMaterialError as error:
        yield Finding(
            "CA",
            Verdict.FAIL,
            str(error),
            "without its key no agent can join: restore it from a backup",
        )
        return
    left = authority.not_valid_after_utc - now
    message = f"valid until {authority.not_valid_after_utc.date()}"
    if left <= datetime.timedelta(0):
        yield Finding(
            "CA", Verdict.FAIL, f"expired: {message}", "make a new one and join every agent again"
        )
    elif left < _CA_WARN:
        yield Finding(
            "CA", Verdict.WARN, message, "change it in time: `skerry-controlplane ca rotate`"
        )
    else:
        yield Finding("CA", Verdict.OK, message)
    if (directory / "server.crt").exists():
        try:
            server = files.read_certificate(directory / "server.crt")
        except KeyMaterialError as error:
            yield Finding(
                "server certificate", Verdict.WARN, str(error), "the next start makes a new one"
            )
            return
        until = server.not_valid_after_utc
        expired = until <= now
        yield Finding(
            "server certificate",
            Verdict.FAIL if expired else Verdict.OK,
            f"{'expired' if expired else 'valid until'} {until.date()}",
            "restart the control plane: it makes a new one" if expired else "",
        )


def _rotation(settings: Settings) -> Iterator[Finding]:
    """How far a change of the CA is."""
    ahead = settings.pki_dir / "next" / "ca.crt"
    if not ahead.exists():
        return
    try:
        fingerprint = files.read_certificate(ahead).fingerprint(hashes.SHA256())
        with contextlib.closing(
            sqlite3.connect(f"file:{settings.database_path}?mode=ro", uri=True)
        ) as connection:
            rows = connection.execute(
                "SELECT cluster, used_authority FROM agent_certificates JOIN clusters ON uid = cluster_uid "
                "WHERE state = 'ACTIVE' ORDER BY cluster"
            ).fetchall()
    except (KeyMaterialError, sqlite3.Error) as error:
        yield Finding("CA change", Verdict.WARN, str(error), "see the findings above")
        return
    behind = [str(name) for name, authority in rows if authority != fingerprint]
    message = f"under way: {len(rows) - len(behind)} of {len(rows)} agents have followed"
    if behind:
        fix = "wait for them, or revoke what will not come back; then `skerry-controlplane ca rotate --finish`"
        yield Finding("CA change", Verdict.WARN, f"{message}, not {', '.join(behind[:10])}", fix)
    else:
        yield Finding(
            "CA change", Verdict.WARN, message, "end it: `skerry-controlplane ca rotate --finish`"
        )


def _clock(directory: Path, now: datetime.datetime) -> Finding:
    """A clock that was set back is seen by files from its future."""
    newest = max(
        (path.stat().st_mtime for path in directory.glob("*") if path.is_file()), default=0.0
    )
    ahead = datetime.datetime.fromtimestamp(newest, datetime.UTC) - now
    if ahead > _CLOCK_SLACK:
        return Finding(
            "clock",
            Verdict.FAIL,
            f"it is {now:%Y-%m-%d %H:%M} UTC here, but the data folder has files from later",
            "set the clock, best by NTP: certificates and tokens depend on it",
        )
    return Finding("clock", Verdict.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _ports(settings: Settings) -> Iterator[Finding]:
    ours = _answers(settings.edge_listen)
    for name, address in (
        ("API port", settings.api_listen),
        ("agent port", settings.agent_listen),
        ("edge port", settings.edge_listen),
    ):
        problem = _bind(address)
        if problem is None:
            yield Finding(name, Verdict.OK, f"{address} is free")
        elif ours:
            yield Finding(name, Verdict.OK, f"{address} is in use; a control plane answers here")
        else:
            yield Finding(
                name,
                Verdict.FAIL,
                f"{address}: {problem}",
                "stop what uses it, or choose another address in the settings",
            )


def _bind(address: Address) -> str | None:
    """Why the address cannot be listened on, None when it can."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.create_server((address.host, address.port), family=family):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _answers(edge: Address) -> bool:
    host = "127.0.0.1" if edge.is_wildcard else edge.host
    url = f"http://{Address(host, edge.port)}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - http by construction  # nosec B310
            return bool(answer.read(16) == b"ok\n")
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _advertised(settings: Settings) -> Finding:
    address = settings.advertised(settings.agent_listen.port)
    host = Address.parse(address).host
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        return Finding(
            "agent address",
            Verdict.WARN,
            f"agents are told to connect to {address}, but {host} does not resolve here: {error.strerror}",
            "set agent_advertise_address to a name or address that agents can reach",
        )
    if Address(host, 0).is_loopback:
        return Finding(
            "agent address",
            Verdict.WARN,
            f"agents are told to connect to {address}: only agents on this machine can",
            "set agent_advertise_address to a name or address that agents can reach",
        )
    return Finding("agent address", Verdict.OK, f"agents are told to connect to {address}")
