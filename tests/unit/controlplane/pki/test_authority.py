"""The authority signs agents it can recognise again, and nobody else."""

import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from controlplane.pki import authority as pki
from controlplane.pki.errors import InvalidCertificate, InvalidSigningRequest, KeyMaterialError

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
MONTH = datetime.timedelta(days=30)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> pki.CertificateAuthority:
    return pki.CertificateAuthority.open(tmp_path / "pki", clock=clock)


def signing_request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def test_the_key_is_readable_by_its_owner_only(
    authority: pki.CertificateAuthority, tmp_path: Path
) -> None:
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "pki" / "ca.key").stat().st_mode) == 0o600


def test_a_second_open_finds_the_same_authority(
    authority: pki.CertificateAuthority, tmp_path: Path, clock: Clock
) -> None:
    again = pki.CertificateAuthority.open(tmp_path / "pki", clock=clock)
    assert again.certificate_der == authority.certificate_der


def test_a_crash_between_key_and_certificate_is_healed(tmp_path: Path, clock: Clock) -> None:
    pki.CertificateAuthority.open(tmp_path, clock=clock)
    key = (tmp_path / "ca.key").read_bytes()
    (tmp_path / "ca.crt").unlink()
    pki.CertificateAuthority.open(tmp_path, clock=clock)
    assert (tmp_path / "ca.key").read_bytes() == key


def test_a_lost_key_is_not_replaced(tmp_path: Path, clock: Clock) -> None:
    pki.CertificateAuthority.open(tmp_path, clock=clock)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(KeyMaterialError, match="restore the key"):
        pki.CertificateAuthority.open(tmp_path, clock=clock)


def test_a_key_open_to_others_is_refused(tmp_path: Path, clock: Clock) -> None:
    pki.CertificateAuthority.open(tmp_path, clock=clock)
    (tmp_path / "ca.key").chmod(0o644)
    with pytest.raises(KeyMaterialError, match="chmod 600"):
        pki.CertificateAuthority.open(tmp_path, clock=clock)


def test_a_signed_agent_is_recognised(authority: pki.CertificateAuthority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issued = authority.sign_agent(signing_request(key), cluster_uid="01abc", ttl=MONTH)
    verified = authority.verify_agent(issued.certificate_der)
    assert (verified.cluster_uid, verified.fingerprint) == ("01abc", issued.fingerprint)
    assert verified.expire_time == NOW + MONTH
    assert verified.public_key_der == key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_the_names_in_a_request_are_ignored(authority: pki.CertificateAuthority) -> None:
    issued = authority.sign_agent(signing_request(), cluster_uid="01abc", ttl=MONTH)
    certificate = x509.load_der_x509_certificate(issued.certificate_der)
    assert certificate.subject.rfc4514_string() == "CN=01abc"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"not DER",
        b"\x30" * 20_000,
        signing_request(rsa.generate_private_key(65537, 2048)),
        signing_request(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["empty", "noise", "huge", "rsa", "p384"],
)
def test_bad_signing_requests_are_refused(
    authority: pki.CertificateAuthority, request_bytes: bytes
) -> None:
    with pytest.raises(InvalidSigningRequest):
        authority.sign_agent(request_bytes, cluster_uid="01abc", ttl=MONTH)


def test_a_request_signed_with_another_key_is_refused(
    authority: pki.CertificateAuthority,
) -> None:
    broken = bytearray(signing_request())
    broken[-1] ^= 1
    with pytest.raises(InvalidSigningRequest):
        authority.sign_agent(bytes(broken), cluster_uid="01abc", ttl=MONTH)


def test_an_expired_certificate_is_refused(
    authority: pki.CertificateAuthority, clock: Clock
) -> None:
    issued = authority.sign_agent(signing_request(), cluster_uid="01abc", ttl=MONTH)
    clock.now += MONTH + datetime.timedelta(seconds=1)
    with pytest.raises(InvalidCertificate, match="expired"):
        authority.verify_agent(issued.certificate_der)


def test_a_certificate_from_the_future_is_refused(
    authority: pki.CertificateAuthority, clock: Clock
) -> None:
    issued = authority.sign_agent(signing_request(), cluster_uid="01abc", ttl=MONTH)
    clock.now -= datetime.timedelta(hours=1)
    with pytest.raises(InvalidCertificate, match="clocks"):
        authority.verify_agent(issued.certificate_der)


def test_another_authority_s_agent_is_refused(
    authority: pki.CertificateAuthority, tmp_path: Path, clock: Clock
) -> None:
    other = pki.CertificateAuthority.open(tmp_path / "other", clock=clock)
    issued = other.sign_agent(signing_request(), cluster_uid="01abc", ttl=MONTH)
    with pytest.raises(InvalidCertificate, match="another authority"):
        authority.verify_agent(issued.certificate_der)


def test_a_server_certificate_is_no_agent(authority: pki.CertificateAuthority) -> None:
    server = authority.issue_server(["localhost"], ttl=MONTH)
    certificate = x509.load_pem_x509_certificate(server.chain_pem)
    with pytest.raises(InvalidCertificate):
        authority.verify_agent(certificate.public_bytes(serialization.Encoding.DER))


def test_the_authority_itself_is_no_agent(authority: pki.CertificateAuthority) -> None:
    with pytest.raises(InvalidCertificate):
        authority.verify_agent(authority.certificate_der)


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"\x30" * 20_000])
def test_noise_is_no_agent(authority: pki.CertificateAuthority, content: bytes) -> None:
    with pytest.raises(InvalidCertificate):
        authority.verify_agent(content)


def test_nothing_outlives_the_authority(authority: pki.CertificateAuthority) -> None:
    issued = authority.sign_agent(
        signing_request(), cluster_uid="01abc", ttl=datetime.timedelta(days=20_000)
    )
    assert issued.expire_time == authority.expire_time
