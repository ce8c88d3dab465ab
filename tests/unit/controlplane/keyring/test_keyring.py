"""The keyring follows its file, and refuses one that it cannot trust."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlplane.domain.errors import StorageUnavailable
from controlplane.domain.sealing import CannotOpen, SealedValue
from controlplane.keyring.errors import KeyringError
from controlplane.keyring.keyring import Keyring

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keyring.json"


def test_the_first_start_makes_one_key_for_its_owner_only(path: Path) -> None:
    keyring = Keyring.create(path, NOW)
    assert [key.id for key in keyring.all_keys()] == [keyring.primary]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keyring.create(path, NOW).primary == keyring.primary


def test_a_running_keyring_follows_a_rotation(path: Path) -> None:
    keyring = Keyring.create(path, NOW)
    old = keyring.seal(b"old", bound_to="here")
    added = Keyring(path).rotate(NOW)
    assert keyring.primary == added.id != old.key_id
    new = keyring.seal(b"new", bound_to="here")
    assert new.key_id == added.id
    assert [keyring.open(item, bound_to="here") for item in (old, new)] == [b"old", b"new"]
    assert Keyring(path).open(old, bound_to="here") == b"old"


def test_the_key_in_use_cannot_be_retired_and_an_unknown_one_neither(path: Path) -> None:
    keyring = Keyring.create(path, NOW)
    with pytest.raises(KeyringError, match="rotate"):
        keyring.retire(keyring.primary)
    with pytest.raises(KeyringError, match="no key"):
        keyring.retire("k0")


def test_a_retired_key_opens_nothing_after_a_restart(path: Path) -> None:
    keyring = Keyring.create(path, NOW)
    old = keyring.seal(b"old", bound_to="here")
    keyring.rotate(NOW)
    assert keyring.primary != old.key_id
    keyring.retire(old.key_id)
    # A reader of this process may hold a value from before.
    assert keyring.open(old, bound_to="here") == b"old"
    with pytest.raises(CannotOpen, match=old.key_id):
        Keyring(path).open(old, bound_to="here")


def test_what_was_damaged_or_moved_does_not_open(path: Path) -> None:
    keyring = Keyring.create(path, NOW)
    sealed = keyring.seal(b"value", bound_to="here")
    with pytest.raises(CannotOpen, match="damaged or moved"):
        keyring.open(sealed, bound_to="there")
    with pytest.raises(CannotOpen):
        keyring.open(SealedValue(sealed.key_id, sealed.box[:-1]), bound_to="here")


def test_without_its_file_nothing_is_sealed_and_what_is_known_opens(path: Path) -> None:
    keyring = Keyring.create(path, NOW)
    sealed = keyring.seal(b"value", bound_to="here")
    path.unlink()
    with pytest.raises(StorageUnavailable, match="cannot be read"):
        keyring.seal(b"value", bound_to="here")
    assert keyring.open(sealed, bound_to="here") == b"value"


def _open_to_others(path: Path) -> None:
    path.chmod(0o640)


def _without_primary(path: Path) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "primary": "k0"}))


def _of_another_version(path: Path) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "version": 2}))


def _with_a_short_key(path: Path) -> None:
    content = json.loads(path.read_text())
    content["keys"][0]["key"] = "c2hvcnQ="
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "damage",
    [
        _open_to_others,
        _without_primary,
        _of_another_version,
        _with_a_short_key,
        lambda path: path.write_text("[]"),
        lambda path: path.write_text('{"version": 1'),
        lambda path: path.unlink(),
    ],
)
def test_a_file_that_is_no_keyring_is_refused_without_its_content(
    path: Path, damage: Callable[[Path], object]
) -> None:
    Keyring.create(path, NOW)
    secret = json.loads(path.read_text())["keys"][0]["key"]
    damage(path)
    with pytest.raises(KeyringError) as refused:
        Keyring(path)
    assert str(path) in str(refused.value)
    assert secret not in repr(refused.value) + repr(refused.value.__cause__)


def test_keys_do_not_show_in_a_repr(path: Path) -> None:
    keyring = Keyring.create(path, NOW)
    secret = keyring.all_keys()[0].secret
    assert repr(secret) not in repr(keyring.all_keys())
