"""Certificates: made once, renewed in time, and reissued for another address."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

from cryptography import x509
from devcluster.pki import Leaf, Pki

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SERVER = Leaf("server", "ca", "the-server", ("group",), ("localhost",), ("192.0.2.1",))


def read(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_a_leaf_is_signed_by_its_authority_for_its_names(tmp_path: Path) -> None:
    Pki(tmp_path, NOW).ensure(["ca", "other"], [SERVER])
    leaf, authority = read(tmp_path, "server"), read(tmp_path, "ca")
    leaf.verify_directly_issued_by(authority)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    assert leaf.subject.rfc4514_string() == "CN=the-server,O=group"


def test_the_second_time_nothing_is_made(tmp_path: Path) -> None:
    assert Pki(tmp_path, NOW).ensure(["ca"], [SERVER]) == ["ca", "server", "service-account"]
    assert Pki(tmp_path, NOW).ensure(["ca"], [SERVER]) == []


def test_thirty_days_before_its_end_a_leaf_is_renewed(tmp_path: Path) -> None:
    Pki(tmp_path, NOW).ensure(["ca"], [SERVER])
    end = read(tmp_path, "server").not_valid_after_utc
    assert Pki(tmp_path, end - dt.timedelta(days=31)).ensure(["ca"], [SERVER]) == []
    assert Pki(tmp_path, end - dt.timedelta(days=29)).ensure(["ca"], [SERVER]) == ["server"]


def test_another_address_needs_another_certificate(tmp_path: Path) -> None:
    Pki(tmp_path, NOW).ensure(["ca"], [SERVER])
    moved = Leaf("server", "ca", "the-server", ("group",), ("localhost",), ("192.0.2.9",))
    assert Pki(tmp_path, NOW).ensure(["ca"], [moved]) == ["server"]


def test_a_new_authority_reissues_its_leaves(tmp_path: Path) -> None:
    Pki(tmp_path, NOW).ensure(["ca"], [SERVER])
    (tmp_path / "ca.key").unlink()
    assert Pki(tmp_path, NOW).ensure(["ca"], [SERVER]) == ["ca", "server"]
    read(tmp_path, "server").verify_directly_issued_by(read(tmp_path, "ca"))


def test_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    Pki(tmp_path, NOW).ensure(["ca"], [SERVER])
    for key in tmp_path.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
