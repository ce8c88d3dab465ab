"""Certificates of the cluster: three authorities and the leaves they sign.

The front-proxy authority must differ from the client authority, otherwise any client certificate could
pose as an aggregated API server; etcd has its own so that no Kubernetes client can read the datastore.
`programs` names the files; `up` calls `ensure`, which renews what is near its end or was
issued for another address.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = dt.timedelta(days=3650)
LEAF_LIFE = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)
# A clock a little behind ours must not see a certificate from the future.
BACKDATE = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate wanted on disk as `<name>.crt` and `<name>.key`."""

    name: str
    authority: str
    common_name: str
    organizations: Sequence[str] = ()
    names: Sequence[str] = ()
    addresses: Sequence[str] = field(default_factory=tuple)


class Pki:
    """The certificate folder of one cluster."""

    def __init__(self, folder: Path, now: dt.datetime) -> None:
        self._folder = folder
        self._now = now

    def ensure(self, authorities: Sequence[str], leaves: Sequence[Leaf]) -> list[str]:
        """Make what is missing, wrong or ends within 30 days; return the names of what was made."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = [name for name in authorities if self._ensure_authority(name)]
        made += [
            leaf.name for leaf in leaves if self._ensure_leaf(leaf, reissue=leaf.authority in made)
        ]
        if not (self._folder / "service-account.key").exists():
            self._make_service_account_key()
            made.append("service-account")
        return made

    def _ensure_authority(self, name: str) -> bool:
        if (self._folder / f"{name}.crt").exists() and (self._folder / f"{name}.key").exists():
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"skerry-dev-{name}")])
        certificate = (
            self._builder(subject, subject, key.public_key(), AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._write(name, key, certificate)
        return True

    def _ensure_leaf(self, leaf: Leaf, *, reissue: bool) -> bool:
        if not reissue and self._is_current(leaf):
            return False
        issuer = x509.load_pem_x509_certificate(
            (self._folder / f"{leaf.authority}.crt").read_bytes()
        )
        issuer_key = serialization.load_pem_private_key(
            (self._folder / f"{leaf.authority}.key").read_bytes(), None
        )
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in leaf.organizations]
            + [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)]
        )
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            self._builder(subject, issuer.subject, key.public_key(), LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if alternatives := _alternatives(leaf):
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        self._write(leaf.name, key, builder.sign(issuer_key, hashes.SHA256()))
        return True

    def _is_current(self, leaf: Leaf) -> bool:
        path = self._folder / f"{leaf.name}.crt"
        if not path.exists() or not path.with_suffix(".key").exists():
            return False
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if certificate.not_valid_after_utc - self._now < RENEW_BEFORE:
            return False
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return not _alternatives(leaf)
        return set(extension.value) == set(_alternatives(leaf))

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePublicKey,
        life: dt.timedelta,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATE)
            .not_valid_after(self._now + life)
        )

    def _make_service_account_key(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self._folder / "service-account.pub").write_bytes(public)
        _write_private(self._folder / "service-account.key", _pem(key))

    def _write(
        self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> None:
        _write_private(self._folder / f"{name}.key", _pem(key))
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (self._folder / f"{name}.crt").write_bytes(pem)


def _alternatives(leaf: Leaf) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in leaf.names]
    return names + [x509.IPAddress(ipaddress.ip_address(text)) for text in leaf.addresses]


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
