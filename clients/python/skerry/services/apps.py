"""Apps and how they are deployed: `Client.apps`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

from grpc import aio

from skerry import errors, paging, watching
from skerry.calls import Calls
from skerry.platform.v1 import app_pb2, app_pb2_grpc, deployment_pb2, operation_pb2
from skerry.services.deployments import Deployments

PLAN_TIMEOUT = 90.0
"""Seconds for PlanApp, which asks the cluster about every object."""
CHECK_TIMEOUT = 10.0
"""Seconds for CheckApp: nobody waits longer for what is underlined."""


class Apps:
    """Compose projects and the apps they become. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel, deployments: Deployments) -> None:
        self._calls = calls
        self._deployments = deployments
        self._stub = app_pb2_grpc.AppServiceStub(channel)

    def list(self, parent: str, *, page_size: int = 0) -> AsyncGenerator[app_pb2.App, None]:
        """The apps of an environment by name; `-` stands for any project or environment."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListApps,
                app_pb2.ListAppsRequest(parent=parent, page_size=page_size, page_token=token),
            ),
            lambda page: page.apps,
        )

    async def get(self, name: str) -> app_pb2.App:
        """One app by its name."""
        request = app_pb2.GetAppRequest(name=name)
        return (await self._calls.unary(self._stub.GetApp, request)).app

    def watch(
        self, parent: str, *, on_cut: watching.OnCut = watching.ignore_cut
    ) -> AsyncGenerator[watching.Event[app_pb2.App], None]:
        """Every app, then each change; goes on after a cut."""
        return watching.watch(
            self._calls,
            lambda token: self._calls.stream(
                self._stub.WatchApps, app_pb2.WatchAppsRequest(parent=parent, resume_token=token)
            ),
            lambda response: response.app,
            lambda response: response.resume_token,
            on_cut,
        )

    async def plan(
        self, parent: str, app_id: str, bundle: app_pb2.Bundle
    ) -> app_pb2.PlanAppResponse:
        """What a deploy would do. Changes nothing; a refused project is no error here: see `rejected`."""
        request = app_pb2.PlanAppRequest(parent=parent, app_id=app_id, bundle=bundle)
        return await self._calls.unary(
            self._stub.PlanApp, request, timeout=max(PLAN_TIMEOUT, self._calls.timeout)
        )

    async def check(
        self,
        parent: str,
        bundle: app_pb2.Bundle,
        *,
        app_id: str = "",
        profiles: Iterable[str] = (),
    ) -> app_pb2.CheckAppResponse:
        """What there is to say about a project, fast enough for every keystroke; the cluster is not asked.

        Cancel the task when the text changes. A refused project is no error here: see `rejected`.
        """
        request = app_pb2.CheckAppRequest(
            parent=parent, app_id=app_id, bundle=bundle, profiles=profiles
        )
        return await self._calls.unary(
            self._stub.CheckApp, request, timeout=min(CHECK_TIMEOUT, self._calls.timeout)
        )

    async def compose_schema(self, parent: str) -> str:
        """The JSON Schema (draft 2020-12) of compose files, as an environment's agent takes them."""
        request = app_pb2.GetComposeSchemaRequest(parent=parent)
        return (await self._calls.unary(self._stub.GetComposeSchema, request)).schema

    async def deploy(
        self,
        parent: str,
        app_id: str,
        bundle: app_pb2.Bundle,
        *,
        etag: str = "",
        request_id: str | None = None,
    ) -> app_pb2.DeployAppResponse:
        """Record a revision and begin to roll it out; follow it with `Client.deployments.watch`."""
        request = app_pb2.DeployAppRequest(
            parent=parent,
            app_id=app_id,
            bundle=bundle,
            etag=etag,
            request_id=request_id or self._calls.request_ids(),
        )
        return await self._calls.unary(self._stub.DeployApp, request)

    async def deploy_and_wait(
        self,
        parent: str,
        app_id: str,
        bundle: app_pb2.Bundle,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 -- covers the call and the watch as one wait
        on_progress: Callable[[deployment_pb2.Deployment], None] | None = None,
        request_id: str | None = None,
    ) -> deployment_pb2.Deployment:
        """Deploy and wait until all pods are ready; `timeout` in seconds, None for ever.

        Raises RolloutFailed with the deployment when it ended otherwise, and DeadlineExceeded when
        the time is up: the rollout then goes on.
        """
        try:
            async with asyncio.timeout(timeout):
                begun = await self.deploy(parent, app_id, bundle, request_id=request_id)
                return await self._wait(begun.deployment, on_progress)
        except TimeoutError as error:
            raise errors.DeadlineExceeded(
                f"the rollout of {app_id} did not end within {timeout:g} s; it goes on"
            ) from error

    async def rollback(
        self, name: str, *, revision: int = 0, request_id: str | None = None
    ) -> app_pb2.RollbackAppResponse:
        """Deploy an earlier revision; 0 means the newest earlier one that was READY."""
        request = app_pb2.RollbackAppRequest(
            name=name, revision=revision, request_id=request_id or self._calls.request_ids()
        )
        return await self._calls.unary(self._stub.RollbackApp, request)

    async def delete(
        self,
        name: str,
        *,
        delete_volumes: bool = False,
        etag: str = "",
        request_id: str | None = None,
    ) -> operation_pb2.Operation:
        """Delete an app's objects; its volumes and what is in them only when asked to."""
        request = app_pb2.DeleteAppRequest(
            name=name,
            delete_volumes=delete_volumes,
            etag=etag,
            request_id=request_id or self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.DeleteApp, request)).operation

    async def _wait(
        self, deployment: str, on_progress: Callable[[deployment_pb2.Deployment], None] | None
    ) -> deployment_pb2.Deployment:
        last = deployment_pb2.Deployment()
        async with aclosing(self._deployments.watch(deployment)) as stream:
            async for last in stream:
                if on_progress is not None:
                    on_progress(last)
        if last.phase != deployment_pb2.DEPLOYMENT_PHASE_READY:
            phase = deployment_pb2.DeploymentPhase.Name(last.phase)
            word = phase.removeprefix("DEPLOYMENT_PHASE_").lower()
            raise errors.RolloutFailed(last.message or f"the rollout was {word}", last)
        return last
