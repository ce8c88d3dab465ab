"""KubeClient: the agent's one way to the API server. Made by `agent.app`, given to everybody.

Only this package knows the Kubernetes library; everybody else sees plain dictionaries and the
errors of `agent.kube.errors`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from agent.kube.apply import Applied, Applier, Live
from agent.kube.connection import Connection, Query
from agent.kube.discovery import Discovery
from agent.kube.errors import NotFoundError, NotServedError
from agent.kube.exec import ExecSession, TerminalSize, open_exec
from agent.kube.logs import read_log
from agent.kube.manifest import Manifest, ObjectRef
from agent.kube.watch import Watcher, WatchEvent, list_pages


class KubeClient:
    """Async context manager. Without a kubeconfig: the pod's service account if there is one,
    else $KUBECONFIG or ~/.kube/config. Any number of tasks may use it at once.
    """

    def __init__(
        self, kubeconfig: Path | None = None, *, context: str | None = None, user_agent: str = ""
    ) -> None:
        self._connection = Connection(kubeconfig, context, user_agent)
        self._discovery = Discovery(self._connection)
        self._applier = Applier(self._connection, self._discovery)
        self._watcher = Watcher(self._connection, self._discovery)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._connection)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def host(self) -> str:
        """The API server's URL, for messages."""
        return self._connection.host

    async def apply(
        self,
        manifest: Manifest,
        *,
        field_manager: str,
        namespace: str | None = None,
        force: bool = False,
        dry_run: bool = False,
        strict: bool = True,
        served_within: float = 0.0,
        live: Live | None = None,
    ) -> Applied:
        """Server-side apply of any manifest; see `Applier.apply`."""
        return await self._applier.apply(
            manifest,
            field_manager=field_manager,
            namespace=namespace,
            force=force,
            dry_run=dry_run,
            strict=strict,
            served_within=served_within,
            live=live,
        )

    async def apply_all(
        self,
        manifests: Sequence[Manifest],
        *,
        field_manager: str,
        namespace: str | None = None,
        force: bool = False,
        served_within: float = 60.0,
    ) -> list[Applied]:
        """Apply in order, waiting for CRDs that came before; see `Applier.apply_all`."""
        return await self._applier.apply_all(
            manifests,
            field_manager=field_manager,
            namespace=namespace,
            force=force,
            served_within=served_within,
        )

    async def wait_served(self, api_version: str, kind: str, *, within: float) -> None:
        """Wait until the kind is served. Raises NotServedError after `within` seconds."""
        await self._applier.wait_served(api_version, kind, within=within)

    async def is_served(self, api_version: str, kind: str) -> bool:
        """Whether the kind is served now."""
        try:
            await self._discovery.find(api_version, kind)
        except NotServedError:
            return False
        return True

    async def is_namespaced(self, api_version: str, kind: str) -> bool:
        """Whether objects of the kind live in namespaces. Raises NotServedError."""
        return (await self._discovery.find(api_version, kind)).namespaced

    async def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Manifest | None:
        """The object, or None. Raises NotServedError when the kind is unknown."""
        resource = await self._discovery.find(api_version, kind)
        try:
            content = await self._connection.request(
                "GET", resource.path(name, namespace or ""), about=f"read {kind} {name}"
            )
        except NotFoundError:
            return None
        found: Manifest = json.loads(content)
        return found

    async def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Manifest]:
        """All objects, of all namespaces when none is given."""
        resource = await self._discovery.find(api_version, kind)
        pairs = (("labelSelector", label_selector), ("fieldSelector", field_selector))
        selection = [(key, value) for key, value in pairs if value]
        items, _ = await list_pages(self._connection, resource, namespace, selection)
        return items

    async def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        grace_seconds: int | None = None,
    ) -> bool:
        """Ask for deletion; False when there was nothing to delete. Does not wait for the end.

        `propagation` is Background, Foreground or Orphan. With `uid` only that very object is
        deleted: ModifiedError when another one has its name.
        """
        resource = await self._discovery.find(api_version, kind)
        options: dict[str, Any] = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self._connection.request(
                "DELETE",
                resource.path(name, namespace or ""),
                about=f"delete {kind} {name}",
                body=options,
            )
        except NotFoundError:
            return False
        return True

    async def patch(
        self, ref: ObjectRef, patch: Manifest, *, subresource: str = "", field_manager: str = ""
    ) -> Manifest:
        """A JSON merge patch, for what apply cannot say (taking a field away, a subresource)."""
        resource = await self._discovery.find(ref.api_version, ref.kind)
        path = resource.path(ref.name, ref.namespace)
        content = await self._connection.request(
            "PATCH",
            f"{path}/{subresource}" if subresource else path,
            about=f"change {ref}",
            query=[("fieldManager", field_manager)] if field_manager else (),
            body=patch,
            content_type="application/merge-patch+json",
            hide_values=ref.kind == "Secret",
        )
        changed: Manifest = json.loads(content)
        return changed

    def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        """All objects and then every change, for ever; see `Watcher.watch`."""
        return self._watcher.watch(api_version, kind, namespace, label_selector, field_selector)

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = False,
        since_time: datetime | None = None,
        tail_lines: int | None = None,
        previous: bool = False,
        timestamps: bool = True,
    ) -> AsyncGenerator[bytes, None]:
        """Raw chunks of a container's log; see `read_log`."""
        return read_log(
            self._connection,
            namespace,
            pod,
            container,
            follow=follow,
            since_time=since_time,
            tail_lines=tail_lines,
            previous=previous,
            timestamps=timestamps,
        )

    async def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        size: TerminalSize | None = None,
    ) -> ExecSession:
        """Run a command in a running container; the caller closes the session."""
        return await open_exec(
            self._connection, namespace, pod, container, command, tty=tty, stdin=stdin, size=size
        )

    async def version(self) -> dict[str, str]:
        """What /version says: gitVersion, platform, …"""
        answer: dict[str, str] = json.loads(await self.raw_get("/version"))
        return answer

    async def allowed(
        self, verb: str, group: str, resource: str, namespace: str | None = None
    ) -> bool:
        """Whether our own credentials may do it (`pods/log` names a subresource); in all namespaces
        when none is given. Asks the API server's authorizer, changes nothing.
        """
        name, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": name,
            "subresource": subresource,
            "namespace": namespace or "",
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {k: v for k, v in attributes.items() if v}},
        }
        content = await self._connection.request(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            about=f"ask for the right to {verb} {resource}",
            body=review,
        )
        return bool(json.loads(content)["status"].get("allowed"))

    async def raw_get(self, path: str, query: Query = ()) -> bytes:
        """Any path of the API server (`/readyz?verbose`), as bytes."""
        return await self._connection.request("GET", path, about=f"read {path}", query=query)
