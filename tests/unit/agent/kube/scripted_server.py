"""ScriptedApiServer: a test double of an API server, for what a real one does only now and then.

It serves discovery and one collection, ConfigMaps; the test scripts what each list and each watch
answers, so that an expired version, a cut or a silent connection happens when it is wanted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web

Watch: TypeAlias = Callable[[web.StreamResponse], Awaitable[None]]


def obj(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


class ScriptedApiServer:
    def __init__(self) -> None:
        self.lists: list[tuple[int, list[dict[str, Any]]]] = []
        """What each list answers: the resource version and the items; the last one repeats."""
        self.watches: list[Watch] = []
        """What each watch does; when they are used up, watches stay open and silent."""
        self.versions: list[str] = []
        """The resource version each watch began at."""
        self.failures: list[int] = []
        """Status codes to answer before anything else."""
        self.kubeconfig = Path()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"gitVersion": "v1.35.0"})
        if request.path == "/apis":
            return web.json_response({"kind": "APIGroupList", "groups": []})
        if request.path == "/api/v1":
            resource = {"name": "configmaps", "kind": "ConfigMap", "namespaced": True}
            resource |= {"verbs": ["list"], "singularName": "configmap"}  # type: ignore[dict-item]
            return web.json_response({"kind": "APIResourceList", "resources": [resource]})
        if self.failures:
            return web.json_response({"message": "not now"}, status=self.failures.pop(0))
        if "watch" in request.query:
            return await self._watch(request)
        version, items = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        return web.json_response({"metadata": {"resourceVersion": str(version)}, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.versions.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        if self.watches:
            await self.watches.pop(0)(response)
        else:
            await asyncio.Event().wait()
        return response


def events(*told: tuple[str, dict[str, Any]]) -> Watch:
    """A watch that tells these events and ends, as one does after its timeout."""

    async def run(response: web.StreamResponse) -> None:
        for kind, about in told:
            await response.write(json.dumps({"type": kind, "object": about}).encode() + b"\n")

    return run


@asynccontextmanager
async def scripted_server(folder: Path) -> AsyncIterator[ScriptedApiServer]:
    server = ScriptedApiServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.kubeconfig = folder / "config"
    server.kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        f"clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"
    )
    try:
        yield server
    finally:
        await runner.cleanup()
