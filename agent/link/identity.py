"""Who this agent is: a key, the certificate the control plane gave for it, and the CA to trust.

Kept in one file of the state directory, written atomically and readable by its owner only, so that a
crash leaves either the old identity or the new one. Made by `enrol`, renewed by `renewal`, used by `link`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from skerry.wire.limits import SIGNATURE_CONTEXT

from agent.link.errors import IdentityError

_FILE = "identity.json"
_JOIN_AGAIN = "make a join token with `skerry cluster join-token` and start the agent with it"


@dataclass(frozen=True, slots=True)
class Identity:
    """`address` is `host:port` of the agent listener, `cluster` is `clusters/{cluster}`."""

    address: str
    cluster: str
    cluster_uid: str
    certificate_der: bytes
    ca_certificates_der: tuple[bytes, ...]
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def sign(self, nonce: bytes) -> bytes:
        """Prove to the control plane that the key is here."""
        return self.key.sign(SIGNATURE_CONTEXT + nonce, ec.ECDSA(hashes.SHA256()))

    @property
    def not_before(self) -> datetime:
        """When the certificate begins."""
        return x509.load_der_x509_certificate(self.certificate_der).not_valid_before_utc

    @property
    def expire_time(self) -> datetime:
        """When the certificate ends."""
        return x509.load_der_x509_certificate(self.certificate_der).not_valid_after_utc

    @property
    def generation(self) -> int:
        """Which of the cluster's certificates it is, 0 when it does not say."""
        subject = x509.load_der_x509_certificate(self.certificate_der).subject
        numbers = subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)
        return int(numbers[0].value) if numbers else 0

    def life_left(self, now: datetime) -> float:
        """The share of the certificate's life that is left, 0 when it has ended."""
        life = (self.expire_time - self.not_before).total_seconds()
        return max(0.0, (self.expire_time - now).total_seconds() / life) if life > 0 else 0.0

    @property
    def ca_pem(self) -> bytes:
        """The CA certificates as gRPC wants them."""
        return ca_pem(self.ca_certificates_der)


class IdentityStore:
    """The identity's file in the agent's state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _FILE

    def load(self) -> Identity | None:
        """The identity, or None when the agent never joined. Raises `IdentityError`."""
        try:
            text = self._path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise IdentityError(f"the identity in {self._path} cannot be read: {error}") from error
        try:
            fields = json.loads(text)
            key = serialization.load_der_private_key(_unb64(fields["key"]), password=None)
            certificate_der = _unb64(fields["certificate"])
            certificate = x509.load_der_x509_certificate(certificate_der)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError("the key is not an elliptic curve key")
            if certificate.public_key() != key.public_key():
                raise ValueError("the key does not belong to the certificate")
            return Identity(
                address=str(fields["address"]),
                cluster=str(fields["cluster"]),
                cluster_uid=str(fields["cluster_uid"]),
                certificate_der=certificate_der,
                ca_certificates_der=tuple(_unb64(ca) for ca in fields["ca_certificates"]),
                key=key,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise IdentityError(
                f"the identity in {self._path} is damaged; remove the file, then {_JOIN_AGAIN}"
            ) from error

    def save(self, identity: Identity) -> None:
        """Replace the identity; after this returns it survives a power cut. Raises `IdentityError`."""
        key = identity.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        fields = {
            "address": identity.address,
            "cluster": identity.cluster,
            "cluster_uid": identity.cluster_uid,
            "certificate": _b64(identity.certificate_der),
            "ca_certificates": [_b64(ca) for ca in identity.ca_certificates_der],
            "key": _b64(key),
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_durably(self._path, json.dumps(fields, indent=1).encode("ascii"))
        except OSError as error:
            raise IdentityError(
                f"the identity cannot be written to {self._path}: {error.strerror}; make room or give "
                "the agent another state directory"
            ) from error


def ca_pem(certificates_der: tuple[bytes, ...]) -> bytes:
    """DER certificates as one PEM bundle."""
    return b"".join(
        x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
        for der in certificates_der
    )


def _write_durably(path: Path, content: bytes) -> None:
    # What a crash left behind is a key nobody needs.
    for stale in path.parent.glob(f".{path.name}.*"):
        stale.unlink(missing_ok=True)
    # mkstemp makes the file 0600 from the start: the key is never readable by others.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
