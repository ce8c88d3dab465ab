"""Through a proxy that ends TLS: it hides client certificates, and shows a certificate of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from skerry.wire.join_token import JoinToken

from agent.link import (
    EnrolmentError,
    IdentityError,
    IdentityStore,
    Journal,
    Link,
    LinkState,
    ReportBoard,
    enrol,
    read_proxy_ca,
)
from controlplane.pki.authority import CertificateAuthority
from tests.integration.link.conftest import CLUSTER, UID, Agents, Plane, until


@dataclass
class TlsProxy:
    """Where it listens, and the file with the CA that signed its certificate."""

    port: int
    ca_file: Path
    connections: int = 0


@pytest.fixture
async def tls_proxy(plane: Plane, tmp_path: Path) -> AsyncIterator[TlsProxy]:
    """Ends TLS with a certificate of its own CA, speaks TLS to the agent port, and passes HTTP/2 on."""
    authority = CertificateAuthority.open(tmp_path / "proxy", clock=lambda: datetime.now(UTC))
    shown = authority.issue_server(["127.0.0.1"], ttl=timedelta(days=1))
    pair = tmp_path / "proxy.pem"
    pair.write_bytes(shown.key_pem + shown.chain_pem)
    ca_file = tmp_path / "proxy-ca.crt"
    ca_file.write_bytes(authority.certificate_pem)
    inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    inside.load_cert_chain(pair)
    outside = ssl.create_default_context(cadata=plane.authority.certificate_pem.decode())
    for context in (inside, outside):
        context.set_alpn_protocols(["h2"])
    pumps: set[asyncio.Task[None]] = set()
    proxy = TlsProxy(0, ca_file)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy.connections += 1
        up = await asyncio.open_connection("127.0.0.1", plane.port, ssl=outside)
        for source, sink in ((reader, up[1]), (up[0], writer)):
            task = asyncio.create_task(pump(source, sink))
            pumps.add(task)
            task.add_done_callback(pumps.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=inside)
    proxy.port = server.sockets[0].getsockname()[1]
    yield proxy
    server.close()
    for task in list(pumps):
        task.cancel()
    await asyncio.gather(*pumps, return_exceptions=True)


async def test_an_agent_joins_links_and_renews_through_it(
    plane: Plane, tls_proxy: TlsProxy, tmp_path: Path
) -> None:
    ca = plane.authority.certificate_der
    token = JoinToken(f"127.0.0.1:{tls_proxy.port}", ca, bytes(32), CLUSTER)
    state = tmp_path / "state"
    proxy_ca = read_proxy_ca(tls_proxy.ca_file)
    identity = await enrol(token, IdentityStore(state), agent_version="test", proxy_ca_pem=proxy_ca)
    journal = Journal(state / "journal.db", cluster_uid=UID)
    link = Link(
        identity=identity,
        store=IdentityStore(state),
        journal=journal,
        board=ReportBoard(),
        stream_handlers={},
        command_handlers={},
        agent_version="test",
        boot_id="boot",
        proxy_ca_pem=proxy_ca,
    )
    task = asyncio.create_task(link.run())
    try:
        await until(lambda: link.state is LinkState.CONNECTED, "the agent")
        assert plane.registry.is_connected(UID)
        plane.registry.ask_to_renew(UID, "a test wants it")
        await until(lambda: plane.sessions.stored == [1], "the new certificate")
        stored = IdentityStore(state).load()
        assert stored is not None
        assert stored.generation == 1
        assert tls_proxy.connections >= 2
    finally:
        task.cancel()
        await asyncio.wait({task})
        journal.close()


async def test_a_proxy_that_is_not_trusted_is_named_with_the_way_out(
    plane: Plane, agents: Agents, tls_proxy: TlsProxy, tmp_path: Path
) -> None:
    token = JoinToken(
        f"127.0.0.1:{tls_proxy.port}", plane.authority.certificate_der, bytes(32), CLUSTER
    )
    with pytest.raises(EnrolmentError, match="SKERRY_AGENT_PROXY_CA_FILE"):
        await enrol(token, IdentityStore(tmp_path / "state"), agent_version="test")
    agent = agents.start(port=tls_proxy.port, backoff=None)
    await until(lambda: bool(agent.link.last_error), "the error")
    assert "SKERRY_AGENT_PROXY_CA_FILE" in agent.link.last_error
    assert plane.sessions.epoch == 0


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    assert read_proxy_ca(None) == b""
    with pytest.raises(IdentityError, match="cannot be read"):
        read_proxy_ca(tmp_path / "nothing")
    (tmp_path / "noise").write_text("noise")
    with pytest.raises(IdentityError, match="no certificates in PEM"):
        read_proxy_ca(tmp_path / "noise")
