"""A change of the CA: two steps, each whole or repeatable after a crash at any moment."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from controlplane.pki import files
from controlplane.pki.authorities import Authorities
from controlplane.pki.errors import AnotherAuthority, RotationError

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
NONE = datetime.timedelta(0)


def opened(directory: Path) -> Authorities:
    return Authorities.open(directory, clock=lambda: NOW)


def csr() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def test_without_a_change_there_is_one(tmp_path: Path) -> None:
    authorities = opened(tmp_path)
    assert authorities.next is None
    assert authorities.signing is authorities.current
    assert authorities.trusted_der == (authorities.certificate_der,)
    with pytest.raises(RotationError, match="ca rotate"):
        authorities.finish()


def test_while_it_changes_both_are_trusted_and_the_next_signs_agents(tmp_path: Path) -> None:
    authorities, watching = opened(tmp_path), opened(tmp_path)
    old = authorities.signing.sign_agent(csr(), cluster_uid="a", ttl=DAY)
    assert not watching.reload()
    authorities.begin()
    assert watching.reload()
    assert watching.trusted_der == authorities.trusted_der
    assert len(watching.trusted_der) == 2
    new = watching.signing.sign_agent(csr(), cluster_uid="a", ttl=DAY)
    for issued in (old, new):
        assert watching.verify_agent(issued.certificate_der, grace=NONE).cluster_uid == "a"
    server = x509.load_pem_x509_certificate(watching.issue_server(["host"], ttl=DAY).chain_pem)
    server.verify_directly_issued_by(
        x509.load_der_x509_certificate(old_ca := authorities.certificate_der)
    )
    with pytest.raises(RotationError, match="under way"):
        authorities.begin()
    before = authorities.signing.certificate_der
    authorities.finish()
    assert watching.reload()
    assert watching.trusted_der == (before,)
    assert before != old_ca
    with pytest.raises(AnotherAuthority):
        watching.verify_agent(old.certificate_der, grace=NONE)
    assert watching.verify_agent(new.certificate_der, grace=NONE).authority == (
        watching.current.fingerprint
    )
    assert not (tmp_path / "finishing").exists()


class _Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(1, 7))
def test_a_crash_while_finishing_is_made_good_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Steps: the mark, the key, the certificate, then three removals."""
    authorities = opened(tmp_path)
    old = authorities.certificate_der
    authorities.begin()
    new = authorities.signing.certificate_der
    writes, removals = files.write_atomically, Path.unlink
    left = [step]

    def counted() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise _Crash

    def write(path: Path, content: bytes, *, mode: int) -> None:
        counted()
        writes(path, content, mode=mode)

    def unlink(self: Path, missing_ok: bool = False) -> None:
        counted()
        removals(self, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_atomically", write)
        patched.setattr(Path, "unlink", unlink)
        with pytest.raises(_Crash):
            authorities.finish()
    again = opened(tmp_path)
    if step == 1:  # nothing was decided yet
        assert again.certificate_der == old
        assert again.trusted_der == (old, new)
    else:
        assert again.trusted_der == (new,)
        assert not (tmp_path / "finishing").exists()
    assert opened(tmp_path).trusted_der == again.trusted_der


def test_a_next_authority_without_its_certificate_was_never_there(tmp_path: Path) -> None:
    authorities = opened(tmp_path)
    authorities.begin()
    (tmp_path / "next" / "ca.crt").unlink()
    again = opened(tmp_path)
    assert again.next is None
    again.begin()
    assert again.next is not None
