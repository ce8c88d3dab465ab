"""One configured connection to an API server: requests, byte streams and WebSockets.

Owned by `KubeClient`. Requests go through the dynamic client; followed logs, watches and exec have
a session of their own so that a hundred open streams never starve a plain request. The read buffer
of a stream is small: a consumer that stalls stops the server, not the agent's memory.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp import AddrInfoType
from kubernetes.aio.client import ApiClient, ApiException, Configuration
from kubernetes.aio.config import (
    ConfigException,
    kube_config,
    load_incluster_config,
    load_kube_config,
)
from kubernetes.aio.dynamic import DynamicClient

from agent.kube.errors import ConfigError, KubeError, UnreachableError, from_response

Query = Sequence[tuple[str, str]]

REQUEST_TIMEOUT = 30.0
"""Seconds a plain request may take."""
CONNECT_TIMEOUT = 10.0
_SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_STREAM_BUFFER = 256 * 1024
_NETWORK_ERRORS = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


class Connection:
    """Use as an async context manager; nothing is sent before the first request."""

    def __init__(
        self, kubeconfig: Path | None = None, context: str | None = None, user_agent: str = ""
    ) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._user_agent = user_agent or "skerry-agent"
        self._stack = AsyncExitStack()
        self._api: Any = None
        self._dynamic: Any = None
        self._dynamic_lock = asyncio.Lock()
        self._streams: aiohttp.ClientSession | None = None
        self._folder = Path()

    async def __aenter__(self) -> Self:
        # Client keys of a kubeconfig are written to files for the TLS library, and the dynamic
        # client caches discovery in a file: both belong in a folder nobody else can read.
        self._folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="skerry-kube-"))
        )
        try:
            configuration = await self._configuration()
            self._api = ApiClient(configuration)
            self._api.user_agent = self._user_agent
            self._stack.push_async_callback(self._api.close)
            self._streams = await self._stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(
                        limit=0, ssl=self._ssl(), socket_factory=_kept_alive
                    ),
                    read_bufsize=_STREAM_BUFFER,
                    trust_env=True,
                )
            )
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def host(self) -> str:
        """The API server's URL."""
        return str(self._api.configuration.host)

    async def dynamic(self) -> Any:
        """The dynamic client; made at first use because making it asks the server."""
        async with self._dynamic_lock:
            if self._dynamic is None:
                with translated("discover the API"):
                    cache = self._folder / "discovery.json"
                    self._dynamic = await DynamicClient(  # type: ignore[no-untyped-call]
                        self._api, cache_file=str(cache)
                    )
            return self._dynamic

    async def request(
        self,
        method: str,
        path: str,
        *,
        about: str,
        query: Query = (),
        body: Any = None,
        content_type: str = "application/json",
        hide_values: bool = False,
    ) -> bytes:
        """One request; the whole answer. Raises KubeError."""
        with translated(about, hide_values=hide_values):
            serialized = await self._api.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            limits = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, sock_connect=CONNECT_TIMEOUT)
            response = await self._api.call_api(*serialized, _request_timeout=limits)
            content: bytes = await response.read()
        if not 200 <= response.status <= 299:
            raise from_response(response.status, content, about, hide_values=hide_values)
        return content

    @asynccontextmanager
    async def stream(
        self, path: str, *, about: str, query: Query = (), read_timeout: float | None = None
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """A GET whose answer is read as it comes; leaving the context closes it.

        `read_timeout` bounds the silence between bytes, in seconds. Raises KubeError, also from
        inside the block when the connection breaks.
        """
        url, headers = await self._prepared("GET", path, query)
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=read_timeout
        )
        with translated(about):
            async with self._session.get(
                url, headers=headers, timeout=limits, server_hostname=self._server_name
            ) as response:
                if response.status != 200:
                    raise from_response(response.status, await response.read(), about)
                yield response.content

    async def websocket(
        self, path: str, *, about: str, query: Query, protocols: Sequence[str]
    ) -> aiohttp.ClientWebSocketResponse:
        """An upgraded connection; the caller closes it. Raises KubeError."""
        url, headers = await self._prepared("GET", path, query)
        parts = urlsplit(url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        with translated(about):
            return await self._session.ws_connect(
                urlunsplit(parts._replace(scheme=scheme)),
                headers=headers,
                protocols=protocols,
                heartbeat=20.0,
                max_msg_size=0,
                server_hostname=self._server_name,
            )

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._streams is None:
            raise ConfigError("the connection is not open")
        return self._streams

    @property
    def _server_name(self) -> str | None:
        name: str | None = self._api.configuration.tls_server_name
        return name or None

    def _ssl(self) -> ssl.SSLContext:
        context: ssl.SSLContext = self._api.rest_client.ssl_context
        return context

    async def _prepared(
        self, method: str, path: str, query: Query
    ) -> tuple[str, Mapping[str, str]]:
        """The URL and the headers with current credentials: tokens rotate."""
        _, url, headers, _, _ = await self._api.param_serialize(
            method, path, query_params=list(query), auth_settings=["BearerToken"]
        )
        return url, headers

    async def _configuration(self) -> Any:
        configuration = Configuration()
        try:
            if self._kubeconfig is None and in_cluster():
                load_incluster_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
            else:
                await load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=str(self._kubeconfig) if self._kubeconfig else None,
                    context=self._context,
                    client_configuration=configuration,
                    persist_config=False,
                    temp_file_path=str(self._folder),
                )
                # The library remembers key files by content for the whole process, and would hand
                # the next connection files of this one's folder, which is gone by then.
                kube_config._temp_files.clear()  # noqa: SLF001
        except (ConfigException, OSError, ValueError) as error:
            source = self._kubeconfig or "the default kubeconfig"
            raise ConfigError(f"cannot read {source}: {error}") from error
        return configuration


def in_cluster() -> bool:
    """Whether this process is a pod with a service account."""
    return _SERVICE_ACCOUNT_TOKEN.exists()


def _kept_alive(address: AddrInfoType) -> socket.socket:
    """A socket that notices within half a minute that the other end is gone without a word: a
    watch or a quiet log would wait for it for ever."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


class translated:  # noqa: N801 - reads as a statement: with translated(...)
    """Turn what the HTTP and Kubernetes libraries raise into KubeError, once."""

    def __init__(self, about: str, *, hide_values: bool = False) -> None:
        self._about = about
        self._hide_values = hide_values

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, KubeError):
            return
        if isinstance(error, aiohttp.WSServerHandshakeError):
            raise from_response(error.status, error.message, self._about) from error
        if isinstance(error, ApiException):
            # The library's error repeats the server's answer with all values: cut the chain.
            hidden = None if self._hide_values else error
            raise from_response(
                error.status or 0, error.body or "", self._about, hide_values=self._hide_values
            ) from hidden
        if isinstance(error, _NETWORK_ERRORS):
            text = str(error) or type(error).__name__
            raise UnreachableError(f"{self._about}: no answer from the API server: {text}") from (
                error
            )
