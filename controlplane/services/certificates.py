"""The certificate port of the services, on top of `pki`: its errors become the domain's. Constructed by `app.py`."""

from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controlplane.domain.clock import Clock
from controlplane.domain.errors import CredentialsInvalid, InvalidField
from controlplane.pki.authorities import Authorities
from controlplane.pki.authority import requested_key
from controlplane.pki.errors import InvalidCertificate, InvalidSigningRequest
from controlplane.services.ports import SignedCertificate, VerifiedCertificate


class AgentCertificates:
    """Implements `services.ports.CertificateAuthority`.

    Certificates live for `ttl`; for `grace` behind that they are still good for getting the next one.
    """

    def __init__(
        self, authorities: Authorities, *, ttl: timedelta, grace: timedelta, clock: Clock
    ) -> None:
        self._authorities = authorities
        self._ttl = ttl
        self._grace = grace
        self._clock = clock

    def requested_key(self, csr_der: bytes) -> bytes:
        """Raises InvalidField (`csr`)."""
        try:
            key = requested_key(csr_der)
        except InvalidSigningRequest as error:
            raise InvalidField.of("csr", str(error)) from error
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, csr_der: bytes, *, cluster_uid: str, generation: int) -> SignedCertificate:
        """Raises InvalidField (`csr`)."""
        authority = self._authorities.signing
        try:
            issued = authority.sign_agent(
                csr_der, cluster_uid=cluster_uid, ttl=self._ttl, generation=generation
            )
        except InvalidSigningRequest as error:
            raise InvalidField.of("csr", str(error)) from error
        return SignedCertificate(
            certificate_der=issued.certificate_der,
            authority=authority.fingerprint,
            ca_certificates_der=self._authorities.trusted_der,
            fingerprint=issued.fingerprint,
            expire_time=issued.expire_time,
        )

    @property
    def ca_certificates_der(self) -> tuple[bytes, ...]:
        """What agents are to trust."""
        return self._authorities.trusted_der

    def verify(self, certificate_der: bytes) -> VerifiedCertificate:
        """Raises CredentialsInvalid."""
        try:
            certificate = self._authorities.verify_agent(certificate_der, grace=self._grace)
        except InvalidCertificate as error:
            raise CredentialsInvalid(str(error)) from error
        return VerifiedCertificate(
            cluster_uid=certificate.cluster_uid,
            fingerprint=certificate.fingerprint,
            public_key_der=certificate.public_key_der,
            generation=certificate.generation,
            authority=certificate.authority,
            expired=certificate.expire_time < self._clock.now(),
        )
