"""Server addresses and TLS."""

from __future__ import annotations

import socket
from pathlib import Path

import grpc
import pytest
import skerry
import trustme
from skerry import errors
from skerry.connection import Address, AddressError, read_ca

from tests.fakes.control_plane import TOKEN, FakeControlPlane


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("cloud.example", "cloud.example:7070"),
        ("cloud.example:443", "cloud.example:443"),
        ("https://cloud.example", "cloud.example:443"),
        ("https://cloud.example:7070/", "cloud.example:7070"),
        (" 10.0.0.1 ", "10.0.0.1:7070"),
        ("[::1]:7070", "[::1]:7070"),
        ("[fe80::1]", "[fe80::1]:7070"),
    ],
)
def test_addresses_that_are_understood(text: str, address: str) -> None:
    assert str(Address.parse(text)) == address


@pytest.mark.parametrize(
    "text", ["", "a b", "cloud:port", "http://x", "x:0", "x:70000", "u@h", "::1"]
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(AddressError):
        Address.parse(text)


def test_a_ca_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_text("hello")
    with pytest.raises(AddressError, match="holds no PEM certificate"):
        read_ca(path)


def server_credentials(ca: trustme.CA, name: str) -> grpc.ServerCredentials:
    issued = ca.issue_cert(name)
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    return grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])


async def test_tls_with_the_given_ca(tmp_path: Path) -> None:
    ca = trustme.CA()
    path = tmp_path / "ca.crt"
    path.write_bytes(ca.cert_pem.bytes())
    async with (
        FakeControlPlane(credentials=server_credentials(ca, "127.0.0.1")) as fake,
        skerry.Client(fake.address, TOKEN, ca=path) as client,
    ):
        assert (await client.server.info()).principal == "users/admin"


async def test_a_server_of_another_ca_is_refused_and_the_way_out_named() -> None:
    credentials = server_credentials(trustme.CA(), "127.0.0.1")
    async with (
        FakeControlPlane(credentials=credentials) as fake,
        skerry.Client(fake.address, TOKEN, ca=trustme.CA().cert_pem.bytes(), timeout=0.5) as client,
    ):
        with pytest.raises(errors.Unavailable, match=r"not trusted.*pki/ca\.crt"):
            await client.server.info()
        assert fake.calls == []


async def test_the_certificate_is_told_where_localhost_is_two_addresses() -> None:
    credentials = server_credentials(trustme.CA(), "localhost")
    async with FakeControlPlane(credentials=credentials) as fake:  # On 127.0.0.1 and not on ::1.
        port = fake.address.rsplit(":", 1)[1]
        async with skerry.Client(f"localhost:{port}", TOKEN, timeout=0.5) as client:
            with pytest.raises(errors.Unavailable, match="is not trusted"):
                await client.server.info()


async def test_a_name_that_the_certificate_does_not_have() -> None:
    ca = trustme.CA()
    async with (
        FakeControlPlane(credentials=server_credentials(ca, "cloud.example")) as fake,
        skerry.Client(fake.address, TOKEN, ca=ca.cert_pem.bytes(), timeout=0.5) as client,
    ):
        with pytest.raises(errors.Unavailable, match="IP address mismatch"):
            await client.server.info()


async def test_tls_to_a_server_without_it() -> None:
    async with (
        FakeControlPlane() as fake,
        skerry.Client(fake.address, TOKEN, timeout=0.5) as client,
    ):
        with pytest.raises(errors.Unavailable, match="does not speak TLS"):
            await client.server.info()


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: refused for sure.
        port = taken.getsockname()[1]
        async with skerry.Client(f"127.0.0.1:{port}", TOKEN, insecure=True, timeout=0.5) as client:
            with pytest.raises(errors.Unavailable, match=f"cannot reach 127.0.0.1:{port}"):
                await client.server.info()
