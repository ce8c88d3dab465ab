"""The listeners' certificate is kept while it is good and replaced before it is not."""

import asyncio
import datetime
import ssl
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.api.server import tls_credentials
from controlplane.pki.authority import CertificateAuthority, general_name
from controlplane.pki.errors import KeyMaterialError
from controlplane.pki.given import GivenCertificate, read_pair
from controlplane.pki.server_certificate import ServerCertificate, names_of

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
LIFE = datetime.timedelta(days=90)


def server(
    directory: Path, *, names: tuple[str, ...] = ("localhost",), days: int = 0
) -> ServerCertificate:
    def clock() -> datetime.datetime:
        return NOW + datetime.timedelta(days=days)

    authority = CertificateAuthority.open(directory, clock=clock)
    return ServerCertificate(authority, directory, names=names, ttl=LIFE, clock=clock)


def test_it_is_for_names_and_addresses(tmp_path: Path) -> None:
    names = ("localhost", "127.0.0.1", "::1")
    chain = server(tmp_path, names=names).current.chain_pem
    leaf, authority = x509.load_pem_x509_certificates(chain)
    assert names_of(leaf) == {general_name(name) for name in names}
    leaf.verify_directly_issued_by(authority)


def test_a_restart_keeps_it(tmp_path: Path) -> None:
    first = server(tmp_path).current
    assert server(tmp_path, days=59).current == first


def test_it_is_replaced_when_a_third_of_its_life_is_left(tmp_path: Path) -> None:
    first = server(tmp_path).current
    assert server(tmp_path, days=61).current != first


def test_it_is_replaced_when_the_names_change(tmp_path: Path) -> None:
    first = server(tmp_path).current
    again = server(tmp_path, names=("localhost", "skerry.example"))
    assert again.renew()
    assert again.current != first


def test_the_order_of_the_names_does_not_matter(tmp_path: Path) -> None:
    first = server(tmp_path, names=("a.example", "b.example")).current
    assert server(tmp_path, names=("b.example", "a.example")).current == first


@pytest.mark.parametrize("file", ["server.key", "server.crt"])
def test_a_broken_pair_is_replaced(tmp_path: Path, file: str) -> None:
    first = server(tmp_path).current
    (tmp_path / file).write_bytes(b"half a fi")
    assert server(tmp_path).current != first


def test_it_is_replaced_when_the_authority_is_another(tmp_path: Path) -> None:
    first = server(tmp_path).current
    (tmp_path / "ca.key").unlink()
    (tmp_path / "ca.crt").unlink()
    assert server(tmp_path).current != first


def test_a_given_pair_must_fit(tmp_path: Path) -> None:
    server(tmp_path / "a").renew()
    server(tmp_path / "b").renew()
    good = read_pair(tmp_path / "a" / "server.crt", tmp_path / "a" / "server.key")
    assert good == server(tmp_path / "a").current
    with pytest.raises(KeyMaterialError, match="does not belong"):
        read_pair(tmp_path / "a" / "server.crt", tmp_path / "b" / "server.key")


def give(source: Path, target: Path) -> None:
    """As a renewal does it: each file replaced in one stroke, the certificate first."""
    for name in ("server.crt", "server.key"):
        (source / name).rename(target / name)


def test_a_given_pair_is_read_again_when_it_changes(tmp_path: Path) -> None:
    server(tmp_path / "used").renew()
    server(tmp_path / "next").renew()
    first, second = server(tmp_path / "used").current, server(tmp_path / "next").current
    given = GivenCertificate(tmp_path / "used" / "server.crt", tmp_path / "used" / "server.key")
    assert given.current is given.current
    assert given.current == first
    give(tmp_path / "next", tmp_path / "used")
    assert given.current == second


def test_a_given_pair_that_is_half_replaced_stays_as_it_was(tmp_path: Path) -> None:
    server(tmp_path / "used").renew()
    server(tmp_path / "next").renew()
    first, second = server(tmp_path / "used").current, server(tmp_path / "next").current
    given = GivenCertificate(tmp_path / "used" / "server.crt", tmp_path / "used" / "server.key")
    (tmp_path / "next" / "server.crt").rename(tmp_path / "used" / "server.crt")
    assert given.current == first
    (tmp_path / "used" / "server.key").unlink()
    assert given.current == first
    (tmp_path / "next" / "server.key").rename(tmp_path / "used" / "server.key")
    assert given.current == second


async def test_a_running_server_shows_the_new_certificate(tmp_path: Path) -> None:
    server(tmp_path / "used").renew()
    server(tmp_path / "next").renew()
    given = GivenCertificate(tmp_path / "used" / "server.crt", tmp_path / "used" / "server.key")
    listener = grpc.aio.server()
    port = listener.add_secure_port("127.0.0.1:0", tls_credentials(lambda: given.current))
    await listener.start()

    async def shown() -> bytes:
        pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port), timeout=10)
        return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)

    try:
        before = await shown()
        give(tmp_path / "next", tmp_path / "used")
        after = await shown()
        wanted = x509.load_pem_x509_certificate(given.current.chain_pem)
        assert after == wanted.public_bytes(Encoding.DER)
        assert after != before
    finally:
        await listener.stop(None)
