"""Key material on disk: written whole or not at all, readable by its owner only. Called by the rest of this package."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from controlplane.pki.errors import KeyMaterialError


def prepare_directory(directory: Path) -> None:
    """Makes `directory` with mode 0700; one that exists keeps its contents and gets the mode."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as error:
        raise KeyMaterialError(f"{directory} cannot be used for keys: {error.strerror}") from error


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Holds the directory's lock, so that two first starts at once agree on one authority."""
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, content: bytes, *, mode: int) -> None:
    """Writes `content` beside `path`, syncs it and renames it there: a crash leaves the old file or the new one."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise KeyMaterialError(f"{path} cannot be written: {error.strerror}") from error


def encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8 in PEM, not encrypted: the file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def encode_certificate(certificate: x509.Certificate) -> bytes:
    """PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Reads an elliptic curve key; refuses one that group or others may read."""
    content = read(path)
    if path.stat().st_mode & 0o077:
        raise KeyMaterialError(f"{path} is open to other users: run `chmod 600 {path}`")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise KeyMaterialError(f"{path} is not an unencrypted private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyMaterialError(f"{path} is not an elliptic curve key")
    return key


def read_certificate(path: Path) -> x509.Certificate:
    """Reads the first certificate of a PEM file."""
    try:
        return x509.load_pem_x509_certificate(read(path))
    except ValueError as error:
        raise KeyMaterialError(f"{path} is not a certificate in PEM") from error


def read(path: Path) -> bytes:
    """The file's bytes."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyMaterialError(f"{path} cannot be read: {error.strerror}") from error
