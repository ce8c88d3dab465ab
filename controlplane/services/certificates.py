"""The certificate port of the services, on top of `pki`: its errors become the domain's. Constructed by `app.py`."""

from datetime import timedelta

from controlplane.domain.errors import CredentialsInvalid, InvalidField
from controlplane.pki.authority import CertificateAuthority
from controlplane.pki.errors import InvalidCertificate, InvalidSigningRequest
from controlplane.services.ports import SignedCertificate, VerifiedCertificate


class AgentCertificates:
    """Implements `services.ports.CertificateAuthority`; certificates live for `ttl`."""

    def __init__(self, authority: CertificateAuthority, *, ttl: timedelta) -> None:
        self._authority = authority
        self._ttl = ttl

    def sign(self, csr_der: bytes, *, cluster_uid: str) -> SignedCertificate:
        """Raises InvalidField (`csr`)."""
        try:
            issued = self._authority.sign_agent(csr_der, cluster_uid=cluster_uid, ttl=self._ttl)
        except InvalidSigningRequest as error:
            raise InvalidField.of("csr", str(error)) from error
        return SignedCertificate(
            certificate_der=issued.certificate_der,
            ca_certificates_der=(self._authority.certificate_der,),
            fingerprint=issued.fingerprint,
            expire_time=issued.expire_time,
        )

    def verify(self, certificate_der: bytes) -> VerifiedCertificate:
        """Raises CredentialsInvalid."""
        try:
            certificate = self._authority.verify_agent(certificate_der)
        except InvalidCertificate as error:
            raise CredentialsInvalid(str(error)) from error
        return VerifiedCertificate(
            cluster_uid=certificate.cluster_uid,
            fingerprint=certificate.fingerprint,
            public_key_der=certificate.public_key_der,
        )
