"""Rollouts and the revisions they roll out: `Client.deployments`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from grpc import aio

from skerry import paging, watching
from skerry.calls import Calls
from skerry.platform.v1 import deployment_pb2, deployment_pb2_grpc

ENDED = frozenset(
    {
        deployment_pb2.DEPLOYMENT_PHASE_READY,
        deployment_pb2.DEPLOYMENT_PHASE_FAILED,
        deployment_pb2.DEPLOYMENT_PHASE_CANCELLED,
        deployment_pb2.DEPLOYMENT_PHASE_SUPERSEDED,
    }
)
"""The phases that a deployment does not leave."""


class Deployments:
    """What was rolled out, when, and how that went. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = deployment_pb2_grpc.DeploymentServiceStub(channel)

    def list(
        self, app: str, *, page_size: int = 0
    ) -> AsyncGenerator[deployment_pb2.Deployment, None]:
        """An app's deployments, newest first."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListDeployments,
                deployment_pb2.ListDeploymentsRequest(
                    parent=app, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.deployments,
        )

    async def get(self, name: str) -> deployment_pb2.Deployment:
        """One deployment by its name."""
        request = deployment_pb2.GetDeploymentRequest(name=name)
        return (await self._calls.unary(self._stub.GetDeployment, request)).deployment

    def watch(
        self, name: str, *, on_cut: watching.OnCut = watching.ignore_cut
    ) -> AsyncGenerator[deployment_pb2.Deployment, None]:
        """The deployment now and after each change, until it has ended; goes on after a cut."""
        return watching.latest(
            self._calls, lambda: self._stream(name), lambda message: message.phase in ENDED, on_cut
        )

    def list_revisions(
        self, app: str, *, page_size: int = 0
    ) -> AsyncGenerator[deployment_pb2.Revision, None]:
        """An app's revisions, newest first, without their files."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListRevisions,
                deployment_pb2.ListRevisionsRequest(
                    parent=app, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.revisions,
        )

    async def get_revision(self, name: str) -> deployment_pb2.Revision:
        """One revision with its compose files as written, without the variables' values."""
        request = deployment_pb2.GetRevisionRequest(name=name)
        return (await self._calls.unary(self._stub.GetRevision, request)).revision

    async def _stream(self, name: str) -> AsyncGenerator[deployment_pb2.Deployment, None]:
        request = deployment_pb2.WatchDeploymentRequest(name=name)
        async with aclosing(self._calls.stream(self._stub.WatchDeployment, request)) as stream:
            async for response in stream:
                if response.HasField("deployment"):
                    yield response.deployment
