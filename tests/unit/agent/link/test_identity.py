"""The identity on disk: whole or not at all, and nobody else's to read."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.link.errors import IdentityError
from agent.link.identity import Identity, IdentityStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def identity(key: ec.EllipticCurvePrivateKey | None = None) -> Identity:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "agent")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=30))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    return Identity("host:7071", "clusters/lab", "uid", certificate, (certificate,), key)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    store, saved = IdentityStore(tmp_path / "state"), identity()
    assert store.load() is None
    store.save(saved)
    loaded = store.load()
    assert loaded is not None
    assert dataclasses.replace(loaded, key=saved.key) == saved
    assert loaded.key.private_numbers() == saved.key.private_numbers()


def test_only_the_owner_can_read_it_and_nothing_else_is_left(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path)
    store.save(identity())
    store.save(identity())
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": "AAAA"}', "\x00\x01"])
def test_a_damaged_identity_says_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "identity.json").write_text(text)
    with pytest.raises(IdentityError, match="join-token"):
        IdentityStore(tmp_path).load()


def test_a_key_of_another_certificate_is_damage(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path)
    store.save(identity())
    file = tmp_path / "identity.json"
    fields = json.loads(file.read_text())
    other = IdentityStore(tmp_path / "other")
    other.save(identity())
    fields["key"] = json.loads((tmp_path / "other" / "identity.json").read_text())["key"]
    file.write_text(json.dumps(fields))
    with pytest.raises(IdentityError, match="damaged"):
        store.load()


def test_a_disk_that_does_not_take_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")
    with pytest.raises(IdentityError, match="another state directory"):
        IdentityStore(tmp_path / "state").save(identity())


def test_the_life_that_is_left() -> None:
    made = identity()
    assert made.life_left(NOW) == 1
    assert made.life_left(NOW + timedelta(days=15)) == pytest.approx(0.5)
    assert made.life_left(NOW + timedelta(days=31)) == 0


def test_the_key_is_not_printed() -> None:
    assert "key" not in repr(identity())


def test_a_signature_is_for_this_protocol_and_this_nonce() -> None:
    made = identity()
    signature = made.sign(b"nonce")
    made.key.public_key().verify(signature, b"skerry-link-v1nonce", ec.ECDSA(hashes.SHA256()))


class _Crash(BaseException):
    """The process ends here."""


STEPS = ("mkstemp", "write", "fsync", "replace", "directory", "after")


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_leaves_a_whole_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever was on the disk when the process died is what the next start reads."""
    store = IdentityStore(tmp_path)
    before, after = identity(), identity()
    store.save(before)

    def dies(*_: object, **__: object) -> None:
        raise _Crash

    with monkeypatch.context() as patched:
        # A process that dies removes nothing behind itself.
        patched.setattr(contextlib, "suppress", lambda *_: contextlib.nullcontext())
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        if step == "mkstemp":
            patched.setattr(tempfile, "mkstemp", dies)
        elif step == "write":
            patched.setattr(os, "fdopen", dies)
        elif step == "fsync":
            patched.setattr(os, "fsync", dies)
        elif step == "replace":
            patched.setattr(Path, "replace", dies)
        elif step == "directory":
            opens = os.open

            def dies_on_directories(path: str, flags: int, *rest: int, **named: int) -> int:
                if flags & os.O_DIRECTORY:
                    raise _Crash
                return opens(path, flags, *rest, **named)

            patched.setattr(os, "open", dies_on_directories)
        if step == "after":
            store.save(after)
        else:
            with pytest.raises(_Crash):
                store.save(after)
    loaded = IdentityStore(tmp_path).load()
    assert loaded is not None
    wanted = after if step in ("directory", "after") else before
    assert loaded.certificate_der == wanted.certificate_der
    assert loaded.key.private_numbers() == wanted.key.private_numbers()
    # What the crash left behind holds a key: the next save removes it.
    store.save(after)
    assert [path.name for path in tmp_path.iterdir()] == ["identity.json"]


def test_the_generation_is_in_the_subject() -> None:
    assert identity().generation == 0
