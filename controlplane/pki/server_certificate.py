"""The certificate that the listeners show, renewed while the server runs.

`app.py` hands `current` to both gRPC listeners as a fetcher that they call at each handshake, and runs `renew` from time to time.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from controlplane.pki import files
from controlplane.pki.authority import Clock, ServerIdentity, general_name
from controlplane.pki.errors import KeyMaterialError


class ServerAuthority(Protocol):
    """`Authorities` or one `CertificateAuthority`."""

    @property
    def certificate_der(self) -> bytes:
        """Of the one that signs servers now."""
        ...

    def issue_server(self, names: Sequence[str], *, ttl: datetime.timedelta) -> ServerIdentity:
        """A fresh key and a certificate."""
        ...


class ServerCertificate:
    """Keeps `server.key` (0600) and `server.crt` of a directory fit for `names`.

    A new pair is made when there is none, when the names differ, when the authority is another one, or when less than a third
    of its life is left.
    """

    def __init__(
        self,
        authority: ServerAuthority,
        directory: Path,
        *,
        names: Sequence[str],
        ttl: datetime.timedelta,
        clock: Clock,
    ) -> None:
        self._authority = authority
        self._key_path = directory / "server.key"
        self._certificate_path = directory / "server.crt"
        self._directory = directory
        self._names = tuple(dict.fromkeys(names))
        self._ttl = ttl
        self._clock = clock
        self._identity: ServerIdentity | None = None

    @property
    def current(self) -> ServerIdentity:
        """The pair to show; the same object until `renew` made another."""
        if self._identity is None:
            self.renew()
        assert self._identity is not None  # noqa: S101 - renew sets it or raises
        return self._identity

    def renew(self) -> bool:
        """Makes a new pair when one is due; says whether it did. Raises KeyMaterialError."""
        with files.exclusive(self._directory):
            if not self._is_due():
                if self._identity is None:
                    self._identity = ServerIdentity(
                        key_pem=files.read(self._key_path),
                        chain_pem=files.read(self._certificate_path),
                    )
                return False
            identity = self._authority.issue_server(self._names, ttl=self._ttl)
            # The key first: a crash between the two leaves a pair that does not match, which is_due finds at the next start.
            files.write_atomically(self._key_path, identity.key_pem, mode=0o600)
            files.write_atomically(self._certificate_path, identity.chain_pem, mode=0o644)
            self._identity = identity
            return True

    def _is_due(self) -> bool:
        if not (self._key_path.exists() and self._certificate_path.exists()):
            return True
        try:
            certificate = files.read_certificate(self._certificate_path)
            key = files.read_key(self._key_path)
        except KeyMaterialError:
            return True
        if certificate.public_key() != key.public_key():
            return True
        if names_of(certificate) != {general_name(name) for name in self._names}:
            return True
        try:
            certificate.verify_directly_issued_by(
                x509.load_der_x509_certificate(self._authority.certificate_der)
            )
        except (ValueError, TypeError, InvalidSignature):
            return True
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        return certificate.not_valid_after_utc - self._clock() < life / 3


def names_of(certificate: x509.Certificate) -> set[x509.GeneralName]:
    """The host names and addresses that a certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return set(extension.value)
