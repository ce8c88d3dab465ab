"""A server certificate that the operator brings, for the API listener: from a public authority, say. Called by `app.py`."""

from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from controlplane.pki import files
from controlplane.pki.authority import ServerIdentity
from controlplane.pki.errors import KeyMaterialError

log = structlog.get_logger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class GivenCertificate:
    """The pair in two files, read again when they change, so that a renewed certificate needs no restart.

    Whoever renews writes two files one after the other: while they do not fit, or cannot be read, the pair before stays
    in use. Raises KeyMaterialError when there is none to begin with.
    """

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        self._files = (certificate_file, key_file)
        self._seen: _Stamp = self._stamp()
        self._identity = read_pair(*self._files)

    @property
    def current(self) -> ServerIdentity:
        """Asked at each handshake; looks at the files' times only, unless they changed."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._identity = read_pair(*self._files)
            except KeyMaterialError as error:
                log.warning("given_certificate_unusable", error=str(error), kept="the one before")
            else:
                log.info("given_certificate_reloaded", file=str(self._files[0]))
        return self._identity

    def _stamp(self) -> _Stamp:
        found = []
        for file in self._files:
            try:
                status = file.stat()
            except OSError:  # being replaced; read_pair says what is wrong when it stays so
                found.append((0, 0, 0))
            else:
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)


def read_pair(certificate_file: Path, key_file: Path) -> ServerIdentity:
    """Reads a chain and its key, of any kind of key, and checks that they belong together. Raises KeyMaterialError."""
    chain_pem, key_pem = files.read(certificate_file), files.read(key_file)
    try:
        certificate = x509.load_pem_x509_certificate(chain_pem)
    except ValueError as error:
        raise KeyMaterialError(f"{certificate_file} is not a certificate in PEM") from error
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise KeyMaterialError(f"{key_file} is not an unencrypted private key in PEM") from error
    if certificate.public_key() != key.public_key():
        raise KeyMaterialError(f"{certificate_file} does not belong to {key_file}")
    return ServerIdentity(key_pem=key_pem, chain_pem=chain_pem)
