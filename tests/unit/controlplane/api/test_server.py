"""A listener shows the certificate that is current, and says when its port is taken."""

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from controlplane.api.interceptors.audit import Audit
from controlplane.api.interceptors.authorization import Authorization
from controlplane.api.interceptors.limits import SizeLimit
from controlplane.api.interceptors.rates import Rate, RateLimit
from controlplane.api.server import (
    API_OPTIONS,
    GrpcServer,
    Interceptors,
    ListenError,
    tls_credentials,
)
from controlplane.auth.authenticator import Authenticator
from controlplane.domain.clock import SystemClock
from controlplane.domain.errors import CredentialsInvalid
from controlplane.domain.tokens import Principal
from controlplane.pki.authority import CertificateAuthority
from controlplane.services.audit import AuditService
from controlplane.services.authorization import Authorizer
from controlplane.services.changes import ChangeHub


async def nobody(_principal: Principal) -> Principal:
    raise CredentialsInvalid("unknown")


# Health has no resources, so its calls never get as far as the store.
NO_REQUESTS = Authorization(
    cast("Authorizer", None), again=nobody, hub=ChangeHub(), clock=SystemClock()
)


class NoTokens:
    """Knows nobody."""

    async def authenticate(self, token: str) -> Principal:
        raise CredentialsInvalid("unknown")


def server() -> GrpcServer:
    interceptors = Interceptors(
        authenticator=Authenticator(NoTokens()),
        authorization=NO_REQUESTS,
        audit=Audit(cast("AuditService", None), SystemClock()),
        registry=CollectorRegistry(),
        clock=SystemClock(),
        size_limit=SizeLimit(1000),
        rate_limit=RateLimit(Rate(100, 1000), Rate(100, 1000), monotonic=time.monotonic),
    )
    return GrpcServer([], interceptors=interceptors, options=API_OPTIONS)


async def shown(port: int) -> bytes:
    """The certificate that a new connection sees, DER."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return certificate


async def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path, clock=lambda: datetime.now(UTC))
    first, second = (authority.issue_server(["localhost"], ttl=timedelta(days=1)) for _ in "ab")
    current = [first]
    listening = server()
    port = listening.bind("127.0.0.1:0", tls_credentials(lambda: current[0]))
    await listening.start()
    try:
        before = [await shown(port), await shown(port)]
        current[0] = second
        after = [await shown(port), await shown(port)]
    finally:
        await listening.stop(None)
    assert [ssl.DER_cert_to_PEM_cert(der).encode() in first.chain_pem for der in before] == [
        True
    ] * 2
    assert [ssl.DER_cert_to_PEM_cert(der).encode() in second.chain_pem for der in after] == [
        True
    ] * 2


async def test_two_servers_do_not_share_a_port() -> None:
    first, second = server(), server()
    port = first.bind("127.0.0.1:0", None)
    with pytest.raises(ListenError, match=f"127.0.0.1:{port}"):
        second.bind(f"127.0.0.1:{port}", None)
    await first.stop(None)
    await second.stop(None)


@pytest.mark.parametrize("address", ["nowhere.invalid:1", "256.0.0.1:0"])
async def test_an_address_that_is_not_ours_is_named(address: str) -> None:
    listening = server()
    with pytest.raises(ListenError, match=address.split(":")[0]):
        listening.bind(address, None)
    await listening.stop(None)
