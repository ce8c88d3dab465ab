"""The client: one connection to a control plane, one attribute a service.

This is what users of the SDK and the `skerry` CLI make; everything else hangs off it.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from skerry.backoff import Backoff
from skerry.calls import Calls, new_request_id
from skerry.connection import Address, Security, open_channel, read_ca
from skerry.diagnosis import why_unreachable
from skerry.version import VERSION

if TYPE_CHECKING:
    from skerry.services.apps import Apps
    from skerry.services.audit import Audit
    from skerry.services.clusters import Clusters
    from skerry.services.deployments import Deployments
    from skerry.services.device_logins import DeviceLogins
    from skerry.services.environment_links import EnvironmentLinks
    from skerry.services.environments import Environments
    from skerry.services.logs import Logs
    from skerry.services.members import Members
    from skerry.services.operations import Operations
    from skerry.services.organizations import Organizations
    from skerry.services.projects import Projects
    from skerry.services.server import Server
    from skerry.services.sessions import Sessions
    from skerry.services.terminals import Terminals
    from skerry.services.users import Users
    from skerry.services.variables import Variables

DEFAULT_TIMEOUT = 30.0


class Client:
    """A connection to a control plane, to be used as an async context manager.

        async with Client("cloud.example:7070", token, ca=Path("ca.crt")) as client:
            cluster = await client.clusters.create("home")

    Make it inside a running event loop. Unary calls have a deadline and are repeated, with jitter,
    while the server is away for a moment; mutations carry a `request_id`, so that a repeat does
    nothing twice. Lists and watches are async generators. Errors are `skerry.errors`.
    """

    def __init__(
        self,
        server: str,
        token: str | None = None,
        *,
        ca: bytes | Path | None = None,
        insecure: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        name: str = f"skerry-python/{VERSION}",
        backoff: Backoff | None = None,
        request_ids: Callable[[], str] = new_request_id,
    ) -> None:
        """Prepare the connection; the first call makes it.

        `server` is `host[:port]` or `https://host[:port]`; `ca` the PEM certificates to trust, or the
        file they are in (default: the system's); `insecure` does without TLS. `timeout` bounds unary
        calls, in seconds. `name` is told to the server. Raises `skerry.connection.AddressError`.
        """
        asyncio.get_running_loop()  # grpc.aio would otherwise bind to a loop that never runs.
        self.address = Address.parse(server)
        if isinstance(ca, Path):
            ca = read_ca(ca)
        security = Security(ca, insecure)
        self._channel = open_channel(self.address, security)
        self._calls = Calls(
            str(self.address),
            token,
            name,
            timeout,
            backoff or Backoff(),
            request_ids=request_ids,
            diagnose=functools.partial(why_unreachable, self.address, security),
        )

    @functools.cached_property
    def clusters(self) -> Clusters:
        """Clusters, their join tokens and add-ons."""
        return cast("Clusters", self._service("clusters").Clusters(self._calls, self._channel))

    @functools.cached_property
    def projects(self) -> Projects:
        """Projects."""
        return cast("Projects", self._service("projects").Projects(self._calls, self._channel))

    @functools.cached_property
    def environment_links(self) -> EnvironmentLinks:
        """Links between environments."""
        service = self._service("environment_links")
        return cast("EnvironmentLinks", service.EnvironmentLinks(self._calls, self._channel))

    @functools.cached_property
    def environments(self) -> Environments:
        """Environments: where apps run."""
        return cast(
            "Environments", self._service("environments").Environments(self._calls, self._channel)
        )

    @functools.cached_property
    def apps(self) -> Apps:
        """Apps: plan, deploy, roll back, delete."""
        return cast(
            "Apps", self._service("apps").Apps(self._calls, self._channel, self.deployments)
        )

    @functools.cached_property
    def deployments(self) -> Deployments:
        """Rollouts and revisions."""
        return cast(
            "Deployments", self._service("deployments").Deployments(self._calls, self._channel)
        )

    @functools.cached_property
    def operations(self) -> Operations:
        """Long-running work."""
        return cast(
            "Operations", self._service("operations").Operations(self._calls, self._channel)
        )

    @functools.cached_property
    def logs(self) -> Logs:
        """What containers print."""
        return cast("Logs", self._service("logs").Logs(self._calls, self._channel))

    @functools.cached_property
    def terminals(self) -> Terminals:
        """Commands in containers."""
        return cast("Terminals", self._service("terminals").Terminals(self._calls, self._channel))

    @functools.cached_property
    def server(self) -> Server:
        """The control plane itself."""
        return cast("Server", self._service("server").Server(self._calls, self._channel))

    @functools.cached_property
    def organizations(self) -> Organizations:
        """Organizations: the walls between tenants."""
        return cast(
            "Organizations",
            self._service("organizations").Organizations(self._calls, self._channel),
        )

    @functools.cached_property
    def users(self) -> Users:
        """Users: who may log in."""
        return cast("Users", self._service("users").Users(self._calls, self._channel))

    @functools.cached_property
    def members(self) -> Members:
        """Roles, groups and service accounts."""
        return cast("Members", self._service("members").Members(self._calls, self._channel))

    @functools.cached_property
    def sessions(self) -> Sessions:
        """Logging in, and the caller's own tokens."""
        return cast("Sessions", self._service("sessions").Sessions(self._calls, self._channel))

    @functools.cached_property
    def device_logins(self) -> DeviceLogins:
        """Logins by a code that somebody approves elsewhere."""
        return cast(
            "DeviceLogins", self._service("device_logins").DeviceLogins(self._calls, self._channel)
        )

    @functools.cached_property
    def audit(self) -> Audit:
        """The audit log."""
        return cast("Audit", self._service("audit").Audit(self._calls, self._channel))

    @functools.cached_property
    def variables(self) -> Variables:
        """Variables and secrets."""
        return cast("Variables", self._service("variables").Variables(self._calls, self._channel))

    def _service(self, name: str) -> Any:
        """A module of `skerry.services`, loaded when it is first used: each brings the messages of its
        service, and `skerry exec` should not wait for those of all the others."""
        return importlib.import_module(f"skerry.services.{name}")

    async def close(self) -> None:
        """End all calls and the connection."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
