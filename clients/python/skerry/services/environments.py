"""Environments: `Client.environments`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from grpc import aio

from skerry import paging
from skerry.calls import Calls
from skerry.platform.v1 import environment_pb2, environment_pb2_grpc, operation_pb2


class Environments:
    """Where apps run: one namespace of one cluster each. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = environment_pb2_grpc.EnvironmentServiceStub(channel)

    def list(
        self, parent: str, *, page_size: int = 0
    ) -> AsyncGenerator[environment_pb2.Environment, None]:
        """A project's environments by name; with `-` as the project, those of all projects."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListEnvironments,
                environment_pb2.ListEnvironmentsRequest(
                    parent=parent, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.environments,
        )

    async def get(self, name: str) -> environment_pb2.Environment:
        """One environment by its name."""
        request = environment_pb2.GetEnvironmentRequest(name=name)
        return (await self._calls.unary(self._stub.GetEnvironment, request)).environment

    async def create(
        self,
        parent: str,
        environment_id: str,
        *,
        cluster: str = "",
        display_name: str = "",
        protected: bool = False,
        request_id: str | None = None,
    ) -> environment_pb2.CreateEnvironmentResponse:
        """Make an environment; the operation in the reply sets up its namespace.

        `cluster` (`clusters/{cluster}`) may be empty when there is exactly one.
        """
        request = environment_pb2.CreateEnvironmentRequest(
            parent=parent,
            environment_id=environment_id,
            cluster=cluster,
            display_name=display_name,
            protected=protected,
            request_id=request_id or self._calls.request_ids(),
        )
        return await self._calls.unary(self._stub.CreateEnvironment, request)

    async def update(
        self, name: str, *, display_name: str | None = None, protected: bool | None = None
    ) -> environment_pb2.Environment:
        """Change what is given."""
        request = environment_pb2.UpdateEnvironmentRequest(
            environment=environment_pb2.Environment(name=name),
            request_id=self._calls.request_ids(),
        )
        if display_name is not None:
            request.environment.display_name = display_name
            request.update_mask.paths.append("display_name")
        if protected is not None:
            request.environment.protected = protected
            request.update_mask.paths.append("protected")
        return (await self._calls.unary(self._stub.UpdateEnvironment, request)).environment

    async def delete(
        self, name: str, *, force: bool = False, etag: str = "", request_id: str | None = None
    ) -> operation_pb2.Operation:
        """Delete an environment; with `force` the apps and volumes in it, too."""
        request = environment_pb2.DeleteEnvironmentRequest(
            name=name,
            force=force,
            etag=etag,
            request_id=request_id or self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.DeleteEnvironment, request)).operation
