"""Which identity an agent starts with, up to the point where the control plane is asked."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from skerry.wire.join_token import JoinToken

from agent.joining import identify
from agent.link import EnrolmentError, Identity, IdentityError, IdentityStore
from agent.settings import load

NOBODY = "127.0.0.1:1"


def self_signed() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.DER)


def token(cluster: str = "clusters/home") -> str:
    _, der = self_signed()
    return JoinToken(address=NOBODY, ca_der=der, secret=b"s" * 32, cluster=cluster).encode()


def joined(state_dir: Path, with_token: str | None = None) -> Identity:
    key, der = self_signed()
    identity = Identity("cp:7071", "clusters/home", "uid", der, (der,), key)
    IdentityStore(state_dir).save(identity)
    if with_token is not None:
        digest = hashlib.sha256(with_token.encode()).hexdigest()
        (state_dir / "joined-with").write_text(digest)
    return identity


async def test_a_joined_agent_needs_no_token(tmp_path):
    joined(tmp_path)
    assert (await identify(load(state_dir=tmp_path))).cluster == "clusters/home"


async def test_a_joined_agent_does_not_mind_that_the_tokens_file_is_gone(tmp_path):
    joined(tmp_path)
    settings = load(state_dir=tmp_path, join_token_file=tmp_path / "gone")
    assert (await identify(settings)).cluster == "clusters/home"


async def test_the_token_that_it_joined_with_is_not_used_again(tmp_path):
    used = token()
    joined(tmp_path, with_token=used)
    assert (await identify(load(state_dir=tmp_path, join_token=used))).cluster == "clusters/home"


async def test_a_new_token_means_joining_again(tmp_path):
    joined(tmp_path, with_token=token())
    with pytest.raises(EnrolmentError, match="cannot be reached"):
        await identify(load(state_dir=tmp_path, join_token=token()))


async def test_an_identity_of_unknown_origin_is_kept(tmp_path):
    joined(tmp_path)
    assert await identify(load(state_dir=tmp_path, join_token=token()))


async def test_without_identity_and_token_it_says_how_to_get_one(tmp_path):
    with pytest.raises(EnrolmentError, match="skerry cluster join-token"):
        await identify(load(state_dir=tmp_path))


async def test_a_missing_token_file_is_named(tmp_path):
    file = tmp_path / "token"
    with pytest.raises(EnrolmentError, match=f"{file}: No such file"):
        await identify(load(state_dir=tmp_path, join_token_file=file))


async def test_a_damaged_token_is_told(tmp_path):
    with pytest.raises(EnrolmentError, match="copy the whole of it"):
        await identify(load(state_dir=tmp_path, join_token="skj1.abc"))


async def test_a_damaged_identity_is_told_and_not_replaced(tmp_path):
    (tmp_path / "identity.json").write_text("{")
    with pytest.raises(IdentityError, match="damaged"):
        await identify(load(state_dir=tmp_path, join_token=token()))
    assert (tmp_path / "identity.json").read_text() == "{"


async def test_a_state_directory_that_cannot_be_written_costs_no_token(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(IdentityError, match="cannot be read"):
        await identify(load(state_dir=blocked / "state", join_token=token()))
