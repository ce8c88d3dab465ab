"""The certificate authority: one self-signed P-256 key that signs servers and agents, and recognises its agents again.

`app.py` opens it once; `services` enrol and authenticate agents through it.
"""

import dataclasses
import datetime
import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controlplane.pki import files
from controlplane.pki.errors import (
    AnotherAuthority,
    InvalidCertificate,
    InvalidSigningRequest,
    KeyMaterialError,
)

TRUST_DOMAIN = "skerry"
AUTHORITY_LIFE = datetime.timedelta(days=3650)
# Certificates begin a little in the past, so that a machine whose clock is behind takes them at once.
CLOCK_SKEW = datetime.timedelta(minutes=5)
MAX_SIGNING_REQUEST_BYTES = 16 * 1024
MAX_CERTIFICATE_BYTES = 16 * 1024

Clock = Callable[[], datetime.datetime]


@dataclasses.dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate just signed for an agent. `fingerprint` is the SHA-256 of the DER."""

    certificate_der: bytes
    fingerprint: bytes
    expire_time: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class AgentCertificate:
    """What a verified agent certificate says. `public_key_der` is a SubjectPublicKeyInfo.

    `generation` is 0 for certificates from before there were generations. `authority` is the fingerprint of the CA certificate.
    """

    cluster_uid: str
    generation: int
    authority: bytes
    fingerprint: bytes
    public_key_der: bytes
    expire_time: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ServerIdentity:
    """A server's key and its certificate chain, both in PEM."""

    key_pem: bytes
    chain_pem: bytes


class CertificateAuthority:
    """Signs with the key of one directory: `ca.key` (0600) and `ca.crt`."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, clock: Clock
    ) -> None:
        self._key = key
        self._certificate = certificate
        self._clock = clock

    @classmethod
    def open(cls, directory: Path, *, clock: Clock) -> Self:
        """Reads the authority of `directory`, making it on the first start.

        Raises KeyMaterialError when what is there cannot be used; an existing authority is never replaced, because every
        agent would have to join again.
        """
        files.prepare_directory(directory)
        key_path, certificate_path = directory / "ca.key", directory / "ca.crt"
        with files.exclusive(directory):
            if certificate_path.exists() and not key_path.exists():
                raise KeyMaterialError(
                    f"{certificate_path} is there but its key {key_path} is not: restore the key from a backup, "
                    "or delete the certificate to start a new authority, which every agent must then join again"
                )
            if not key_path.exists():
                key = ec.generate_private_key(ec.SECP256R1())
                files.write_atomically(key_path, files.encode_key(key), mode=0o600)
            key = files.read_key(key_path)
            if not certificate_path.exists():
                # Also after a crash between the two files: nothing was signed with this key before the certificate stood.
                files.write_atomically(
                    certificate_path,
                    files.encode_certificate(_self_signed(key, clock())),
                    mode=0o644,
                )
            certificate = files.read_certificate(certificate_path)
        if certificate.public_key() != key.public_key():
            raise KeyMaterialError(f"{certificate_path} does not belong to {key_path}")
        return cls(key, certificate, clock)

    @property
    def certificate_der(self) -> bytes:
        """What agents and clients trust."""
        return self._certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        """The same, for people and tools."""
        return files.encode_certificate(self._certificate)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the authority's certificate."""
        return self._certificate.fingerprint(hashes.SHA256())

    @property
    def expire_time(self) -> datetime.datetime:
        """When everything signed stops being valid."""
        return self._certificate.not_valid_after_utc

    def issue_server(self, names: Sequence[str], *, ttl: datetime.timedelta) -> ServerIdentity:
        """A fresh key and a certificate for these host names and IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(
            common_name="Skerry control plane",
            public_key=key.public_key(),
            ttl=ttl,
            usage=ExtendedKeyUsageOID.SERVER_AUTH,
        ).add_extension(
            x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        return ServerIdentity(
            key_pem=files.encode_key(key),
            chain_pem=files.encode_certificate(certificate) + self.certificate_pem,
        )

    def sign_agent(
        self,
        csr_der: bytes,
        *,
        cluster_uid: str,
        ttl: datetime.timedelta,
        generation: int = 0,
    ) -> IssuedCertificate:
        """Certifies the key of a PKCS #10 request as the agent of a cluster; the request's names are ignored.

        The generation goes into the subject's serial number. Raises InvalidSigningRequest.
        """
        public_key = requested_key(csr_der)
        builder = self._builder(
            common_name=cluster_uid,
            public_key=public_key,
            ttl=ttl,
            usage=ExtendedKeyUsageOID.CLIENT_AUTH,
            generation=generation,
        ).add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_id(cluster_uid))]),
            critical=False,
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        return IssuedCertificate(
            certificate_der=certificate.public_bytes(serialization.Encoding.DER),
            fingerprint=certificate.fingerprint(hashes.SHA256()),
            expire_time=certificate.not_valid_after_utc,
        )

    def verify_agent(
        self, certificate_der: bytes, *, grace: datetime.timedelta = datetime.timedelta(0)
    ) -> AgentCertificate:
        """Says whose certificate this is, if it is one of an agent's, signed here and within its life or `grace` behind it.

        Whether it was revoked since is for the caller to look up by its generation. Raises InvalidCertificate.
        """
        if len(certificate_der) > MAX_CERTIFICATE_BYTES:
            raise InvalidCertificate("the certificate is larger than 16 KiB")
        try:
            certificate = x509.load_der_x509_certificate(certificate_der)
            certificate.verify_directly_issued_by(self._certificate)
            extensions = certificate.extensions
            usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
            names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
            public_key = certificate.public_key()
            numbers = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
            generation = int(numbers[0].value) if numbers else 0
        except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
            raise InvalidCertificate(
                "not a certificate of an agent of this control plane"
            ) from error
        except InvalidSignature as error:
            raise AnotherAuthority("the certificate was signed by another authority") from error
        prefix = spiffe_id("")
        if (
            constraints.ca
            or ExtendedKeyUsageOID.CLIENT_AUTH not in usage
            or len(uris) != 1
            or not uris[0].startswith(prefix)
            or not isinstance(public_key, ec.EllipticCurvePublicKey)
        ):
            raise InvalidCertificate("the certificate is not one of an agent's")
        now = self._clock()
        if now < certificate.not_valid_before_utc:
            raise InvalidCertificate("the certificate is not valid yet: compare the clocks")
        if now > certificate.not_valid_after_utc + grace:
            raise InvalidCertificate(
                f"the certificate expired at {certificate.not_valid_after_utc.isoformat()}, too long ago to renew it: "
                "make a join token with `skerry cluster join-token` and join the agent again"
            )
        return AgentCertificate(
            cluster_uid=uris[0].removeprefix(prefix),
            generation=generation,
            authority=self.fingerprint,
            fingerprint=certificate.fingerprint(hashes.SHA256()),
            public_key_der=public_key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            expire_time=certificate.not_valid_after_utc,
        )

    def _builder(
        self,
        *,
        common_name: str,
        public_key: ec.EllipticCurvePublicKey,
        ttl: datetime.timedelta,
        usage: x509.ObjectIdentifier,
        generation: int = 0,
    ) -> x509.CertificateBuilder:
        now = self._clock()
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if generation:
            names.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, str(generation)))
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(self._certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            # Nothing outlives the authority: a chain is only as long as its shortest link.
            .not_valid_after(min(now + ttl, self.expire_time))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )


def spiffe_id(cluster_uid: str) -> str:
    """The name under which a cluster's agent is certified."""
    return f"spiffe://{TRUST_DOMAIN}/clusters/{cluster_uid}"


def general_name(name: str) -> x509.GeneralName:
    """An IP address where the text is one, else a host name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def requested_key(csr_der: bytes) -> ec.EllipticCurvePublicKey:
    """The key that a signing request asks to certify, proven by its signature. Raises InvalidSigningRequest."""
    if len(csr_der) > MAX_SIGNING_REQUEST_BYTES:
        raise InvalidSigningRequest("the signing request is larger than 16 KiB")
    try:
        request = x509.load_der_x509_csr(csr_der)
        # The signature proves that the caller holds the key that it asks us to certify.
        proven = request.is_signature_valid
        public_key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidSigningRequest(
            "the signing request is not a PKCS #10 request in DER"
        ) from error
    if not proven:
        raise InvalidSigningRequest("the signing request is not signed with its own key")
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(
        public_key.curve, ec.SECP256R1
    ):
        raise InvalidSigningRequest("the signing request must be for an ECDSA P-256 key")
    return public_key


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Skerry CA")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
