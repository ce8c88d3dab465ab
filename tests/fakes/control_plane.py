"""A control plane with scripted state: a real grpc.aio server with the generated servicers.

Tests of the SDK and the CLI talk to it over a real connection. It keeps resources in dictionaries,
takes the next script for each server stream, and fails calls when told to.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    cluster_pb2,
    cluster_pb2_grpc,
    deployment_pb2,
    deployment_pb2_grpc,
    environment_link_pb2,
    environment_link_pb2_grpc,
    environment_pb2,
    environment_pb2_grpc,
    log_pb2_grpc,
    operation_pb2,
    operation_pb2_grpc,
    project_pb2,
    project_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    state_pb2,
    terminal_pb2,
    terminal_pb2_grpc,
)

from tests.fakes.script import Fail, Script, play
from tests.fakes.terminals import FakeTerminal

TOKEN = "skt_test"
PRINCIPAL = "users/admin"
ULID = "01jd0000000000000000000000"

ExecBehaviour = Callable[["ExecPeer"], Awaitable[None]]


@dataclass
class Call:
    """A call that reached the server."""

    method: str
    metadata: dict[str, str]
    request: Any = None


@dataclass
class ExecPeer:
    """The container's side of one exec session."""

    start: terminal_pb2.ExecStart
    read: Callable[[], Awaitable[terminal_pb2.ExecRequest | None]]
    write: Callable[[terminal_pb2.ExecResponse], Awaitable[None]]

    async def stdout(self, data: bytes) -> None:
        await self.write(terminal_pb2.ExecResponse(stdout=data))

    async def stderr(self, data: bytes) -> None:
        await self.write(terminal_pb2.ExecResponse(stderr=data))

    async def exit(self, code: int, message: str = "") -> None:
        await self.write(
            terminal_pb2.ExecResponse(exit=terminal_pb2.ExecExit(code=code, message=message))
        )


async def cat(peer: ExecPeer) -> None:
    """Like the program: repeats its input and exits 0 at its end."""
    while (request := await peer.read()) is not None:
        if request.WhichOneof("message") == "stdin_eof":
            break
        if request.stdin:
            await peer.stdout(request.stdin)
    await peer.exit(0)


@dataclass
class FakeControlPlane:
    """Use as an async context manager; `address` is where it listens."""

    credentials: grpc.ServerCredentials | None = None
    token: str = TOKEN
    version: str = "0.1.0"
    clusters: dict[str, cluster_pb2.Cluster] = field(default_factory=dict)
    add_ons: dict[str, list[cluster_pb2.AddOn]] = field(default_factory=dict)
    join_tokens: dict[str, cluster_pb2.JoinToken] = field(default_factory=dict)
    projects: dict[str, project_pb2.Project] = field(default_factory=dict)
    environments: dict[str, environment_pb2.Environment] = field(default_factory=dict)
    links: dict[str, environment_link_pb2.EnvironmentLink] = field(default_factory=dict)
    apps: dict[str, app_pb2.App] = field(default_factory=dict)
    deployments: dict[str, deployment_pb2.Deployment] = field(default_factory=dict)
    revisions: dict[str, deployment_pb2.Revision] = field(default_factory=dict)
    operations: dict[str, operation_pb2.Operation] = field(default_factory=dict)
    plan: app_pb2.PlanAppResponse = field(default_factory=app_pb2.PlanAppResponse)
    check: app_pb2.CheckAppResponse = field(default_factory=app_pb2.CheckAppResponse)
    scripts: dict[str, deque[Script]] = field(default_factory=lambda: defaultdict(deque))
    """RPC name → what each of its next streams does."""
    failures: dict[str, deque[Fail]] = field(default_factory=lambda: defaultdict(deque))
    """RPC name → how its next calls fail, before anything is done."""
    exec_behaviour: ExecBehaviour = cat
    terminal: FakeTerminal | None = None
    terminals: list[terminal_pb2.Terminal] = field(default_factory=list)
    fixed_time: float | None = None
    """What its clock says, in seconds since 1970; the real time when None."""
    calls: list[Call] = field(default_factory=list)
    address: str = ""
    done_request_ids: dict[str, Any] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        await self.listen("127.0.0.1:0")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def listen(self, address: str) -> None:
        """Serve; again, after `stop`, on the address it had."""
        self._server = aio.server(interceptors=[_Gate(self)], options=[("grpc.so_reuseport", 0)])
        self.register(self._server)
        if self.credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, self.credentials)
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    def register(self, server: aio.Server) -> None:
        cluster_pb2_grpc.add_ClusterServiceServicer_to_server(_Clusters(self), server)
        project_pb2_grpc.add_ProjectServiceServicer_to_server(_Projects(self), server)
        environment_pb2_grpc.add_EnvironmentServiceServicer_to_server(_Environments(self), server)
        environment_link_pb2_grpc.add_EnvironmentLinkServiceServicer_to_server(_Links(self), server)
        app_pb2_grpc.add_AppServiceServicer_to_server(_Apps(self), server)
        deployment_pb2_grpc.add_DeploymentServiceServicer_to_server(_Deployments(self), server)
        operation_pb2_grpc.add_OperationServiceServicer_to_server(_Operations(self), server)
        log_pb2_grpc.add_LogServiceServicer_to_server(_Logs(self), server)
        terminal_pb2_grpc.add_TerminalServiceServicer_to_server(_Terminals(self), server)
        server_pb2_grpc.add_ServerServiceServicer_to_server(_Server(self), server)

    def requests(self, method: str) -> list[Any]:
        """The requests of the calls of one RPC so far."""
        return [call.request for call in self.calls if call.method == method]

    def fail(self, method: str, *failures: Fail) -> None:
        self.failures[method].extend(failures)

    def script(self, method: str, *scripts: Script) -> None:
        self.scripts[method].extend(scripts)

    # Builders: resources as a quiet, healthy system would have them.

    def add_cluster(self, cluster_id: str, **fields: Any) -> cluster_pb2.Cluster:
        fields.setdefault("connection", cluster_pb2.CONNECTION_STATE_ONLINE)
        cluster = cluster_pb2.Cluster(name=f"clusters/{cluster_id}", uid=ULID, **fields)
        self.clusters[cluster.name] = cluster
        return cluster

    def add_project(self, project_id: str) -> project_pb2.Project:
        project = project_pb2.Project(name=f"organizations/default/projects/{project_id}", uid=ULID)
        self.projects[project.name] = project
        return project

    def add_environment(self, project_id: str, environment_id: str) -> environment_pb2.Environment:
        if f"organizations/default/projects/{project_id}" not in self.projects:
            self.add_project(project_id)
        environment = environment_pb2.Environment(
            name=f"organizations/default/projects/{project_id}/environments/{environment_id}",
            cluster="clusters/home",
            namespace=f"{project_id}-{environment_id}-abc123",
            state=state_pb2.STATE_READY,
        )
        self.environments[environment.name] = environment
        return environment

    def add_app(
        self, app_id: str, project_id: str = "shop", environment_id: str = "prod", **fields: Any
    ) -> app_pb2.App:
        parent = f"organizations/default/projects/{project_id}/environments/{environment_id}"
        if parent not in self.environments:
            self.add_environment(project_id, environment_id)
        fields.setdefault("state", state_pb2.STATE_READY)
        fields.setdefault("wanted_revision", 1)
        fields.setdefault("serving_revision", 1)
        app = app_pb2.App(name=f"{parent}/apps/{app_id}", uid=ULID, **fields)
        self.apps[app.name] = app
        return app


class _Gate(aio.ServerInterceptor):  # type: ignore[misc]
    """Counts calls, checks the token and fails calls when told to."""

    def __init__(self, fake: FakeControlPlane) -> None:
        self._fake = fake

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        method = details.method.rsplit("/", 1)[-1]
        metadata = {k: v for k, v in details.invocation_metadata if isinstance(v, str)}
        call = Call(method, metadata)
        self._fake.calls.append(call)
        handler = await continuation(details)
        refusal = self._refusal(method, metadata)
        if handler.request_streaming:
            return _refuse_stream_stream(refusal) if refusal else handler
        if handler.response_streaming:
            return _recording_stream(handler, call, refusal)
        return _recording_unary(handler, call, refusal)

    def _refusal(self, method: str, metadata: dict[str, str]) -> Fail | None:
        given = metadata.get("authorization")
        if given is None:
            return Fail(
                grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING", "no token was given"
            )
        if given != f"Bearer {self._fake.token}":
            return Fail(
                grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID", "the token is not valid"
            )
        queue = self._fake.failures[method]
        return queue.popleft() if queue else None


def _recording_unary(handler: Any, call: Call, refusal: Fail | None) -> Any:
    async def behaviour(request: Any, context: Any) -> Any:
        call.request = request
        if refusal:
            await refusal.abort(context)
        return await handler.unary_unary(request, context)

    return grpc.unary_unary_rpc_method_handler(
        behaviour, handler.request_deserializer, handler.response_serializer
    )


def _recording_stream(handler: Any, call: Call, refusal: Fail | None) -> Any:
    async def behaviour(request: Any, context: Any) -> Any:
        call.request = request
        if refusal:
            await refusal.abort(context)
        async for response in handler.unary_stream(request, context):
            yield response

    return grpc.unary_stream_rpc_method_handler(
        behaviour, handler.request_deserializer, handler.response_serializer
    )


def _refuse_stream_stream(refusal: Fail) -> Any:
    async def behaviour(_: Any, context: Any) -> None:
        await refusal.abort(context)

    return grpc.stream_stream_rpc_method_handler(behaviour)


class _Servicer:
    def __init__(self, fake: FakeControlPlane) -> None:
        self.fake = fake

    def stream(self, method: str, otherwise: Script, context: Any) -> Any:
        scripts = self.fake.scripts[method]
        return play(scripts.popleft() if scripts else otherwise, context)

    def page(self, items: list[Any], request: Any) -> tuple[list[Any], str]:
        start = int(request.page_token or 0)
        size = request.page_size or 50
        following = str(start + size) if start + size < len(items) else ""
        return items[start : start + size], following

    async def find(self, resources: dict[str, Any], name: str, context: Any) -> Any:
        if name not in resources:
            kind = name.split("/")[-2].removesuffix("s") if "/" in name else "resource"
            await Fail(
                grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND", f"{kind} {name} does not exist"
            ).abort(context)
        return resources[name]

    async def absent(self, resources: dict[str, Any], name: str, context: Any) -> None:
        if name in resources:
            await Fail(
                grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS", f"{name} exists already"
            ).abort(context)

    def operation(self, kind: str, target: str, **fields: Any) -> operation_pb2.Operation:
        name = f"operations/op{len(self.fake.operations) + 1}"
        fields.setdefault("done", True)
        operation = operation_pb2.Operation(name=name, kind=kind, target=target, **fields)
        self.fake.operations[name] = operation
        return operation


class _Clusters(_Servicer, cluster_pb2_grpc.ClusterServiceServicer):
    async def CreateCluster(self, request: Any, context: Any) -> Any:
        if request.request_id not in self.fake.done_request_ids:
            await self.absent(self.fake.clusters, f"clusters/{request.cluster_id}", context)
            self.fake.done_request_ids[request.request_id] = self.fake.add_cluster(
                request.cluster_id,
                display_name=request.display_name or request.cluster_id,
                connection=cluster_pb2.CONNECTION_STATE_NEVER_JOINED,
            )
        return cluster_pb2.CreateClusterResponse(
            cluster=self.fake.done_request_ids[request.request_id]
        )

    async def GetCluster(self, request: Any, context: Any) -> Any:
        cluster = await self.find(self.fake.clusters, request.name, context)
        return cluster_pb2.GetClusterResponse(cluster=cluster)

    async def ListClusters(self, request: Any, context: Any) -> Any:
        items, following = self.page(list(self.fake.clusters.values()), request)
        return cluster_pb2.ListClustersResponse(clusters=items, next_page_token=following)

    async def DeleteCluster(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.clusters, request.name, context)
        del self.fake.clusters[request.name]
        return cluster_pb2.DeleteClusterResponse()

    def WatchClusters(self, request: Any, context: Any) -> Any:
        snapshot = [
            cluster_pb2.WatchClustersResponse(type=cluster_pb2.EVENT_TYPE_SNAPSHOT, cluster=cluster)
            for cluster in self.fake.clusters.values()
        ]
        synced = cluster_pb2.WatchClustersResponse(type=cluster_pb2.EVENT_TYPE_SYNCED)
        return self.stream("WatchClusters", [*snapshot, synced], context)

    async def CreateJoinToken(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.clusters, request.parent, context)
        return cluster_pb2.CreateJoinTokenResponse(
            token="skj1.secret", agent_address="127.0.0.1:7071"
        )

    async def ListJoinTokens(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.clusters, request.parent, context)
        items, following = self.page(list(self.fake.join_tokens.values()), request)
        return cluster_pb2.ListJoinTokensResponse(join_tokens=items, next_page_token=following)

    async def DeleteJoinToken(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.join_tokens, request.name, context)
        del self.fake.join_tokens[request.name]
        return cluster_pb2.DeleteJoinTokenResponse()

    async def RevokeClusterIdentity(self, request: Any, context: Any) -> Any:
        cluster = await self.find(self.fake.clusters, request.name, context)
        cluster.identity.state = cluster_pb2.IDENTITY_STATE_REVOKED
        return cluster_pb2.RevokeClusterIdentityResponse(cluster=cluster)

    async def RotateClusterIdentity(self, request: Any, context: Any) -> Any:
        cluster = await self.find(self.fake.clusters, request.name, context)
        cluster.identity.state = cluster_pb2.IDENTITY_STATE_ACTIVE
        cluster.identity.renewal_pending = True
        return cluster_pb2.RotateClusterIdentityResponse(cluster=cluster)

    async def ListAddOns(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.clusters, request.parent, context)
        items, following = self.page(self.fake.add_ons.get(request.parent, []), request)
        return cluster_pb2.ListAddOnsResponse(add_ons=items, next_page_token=following)

    def WatchAddOns(self, request: Any, context: Any) -> Any:
        snapshot = [
            cluster_pb2.WatchAddOnsResponse(type=cluster_pb2.EVENT_TYPE_SNAPSHOT, add_on=add_on)
            for add_on in self.fake.add_ons.get(request.parent, [])
        ]
        synced = cluster_pb2.WatchAddOnsResponse(type=cluster_pb2.EVENT_TYPE_SYNCED)
        return self.stream("WatchAddOns", [*snapshot, synced], context)


class _Projects(_Servicer, project_pb2_grpc.ProjectServiceServicer):
    async def CreateProject(self, request: Any, context: Any) -> Any:
        await self.absent(
            self.fake.projects, f"{request.parent}/projects/{request.project_id}", context
        )
        return project_pb2.CreateProjectResponse(project=self.fake.add_project(request.project_id))

    async def GetProject(self, request: Any, context: Any) -> Any:
        project = await self.find(self.fake.projects, request.name, context)
        return project_pb2.GetProjectResponse(project=project)

    async def ListProjects(self, request: Any, context: Any) -> Any:
        items, following = self.page(list(self.fake.projects.values()), request)
        return project_pb2.ListProjectsResponse(projects=items, next_page_token=following)

    async def DeleteProject(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.projects, request.name, context)
        del self.fake.projects[request.name]
        return project_pb2.DeleteProjectResponse()


class _Environments(_Servicer, environment_pb2_grpc.EnvironmentServiceServicer):
    async def CreateEnvironment(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.projects, request.parent, context)
        name = f"{request.parent}/environments/{request.environment_id}"
        await self.absent(self.fake.environments, name, context)
        environment = self.fake.add_environment(
            request.parent.split("/")[-1], request.environment_id
        )
        return environment_pb2.CreateEnvironmentResponse(
            environment=environment, operation=self.operation("ensure-environment", name)
        )

    async def GetEnvironment(self, request: Any, context: Any) -> Any:
        environment = await self.find(self.fake.environments, request.name, context)
        return environment_pb2.GetEnvironmentResponse(environment=environment)

    async def ListEnvironments(self, request: Any, context: Any) -> Any:
        found = [e for e in self.fake.environments.values() if _within(e.name, request.parent)]
        items, following = self.page(found, request)
        return environment_pb2.ListEnvironmentsResponse(
            environments=items, next_page_token=following
        )

    async def DeleteEnvironment(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.environments, request.name, context)
        del self.fake.environments[request.name]
        return environment_pb2.DeleteEnvironmentResponse(
            operation=self.operation("delete-environment", request.name)
        )


class _Links(_Servicer, environment_link_pb2_grpc.EnvironmentLinkServiceServicer):
    async def CreateEnvironmentLink(self, request: Any, context: Any) -> Any:
        for side in (request.parent, request.peer):
            await self.find(self.fake.environments, side, context)
        link = environment_link_pb2.EnvironmentLink(
            name=f"{request.parent}/links/{ULID}", peer=request.peer, etag="1"
        )
        self.fake.links[link.name] = link
        sides = (request.parent, request.peer)
        return environment_link_pb2.CreateEnvironmentLinkResponse(
            link=link, operations=[self.operation("link-environments", side) for side in sides]
        )

    async def ListEnvironmentLinks(self, request: Any, context: Any) -> Any:
        found = [
            environment_link_pb2.EnvironmentLink(name=f"{own}/links/{ULID}", peer=peer, etag="1")
            for link in self.fake.links.values()
            for own, peer in _seen_from_both(link)
            if own == request.parent
        ]
        items, following = self.page(found, request)
        return environment_link_pb2.ListEnvironmentLinksResponse(
            links=items, next_page_token=following
        )

    async def DeleteEnvironmentLink(self, request: Any, context: Any) -> Any:
        self.fake.links.clear()
        operation = self.operation("unlink-environments", request.name)
        return environment_link_pb2.DeleteEnvironmentLinkResponse(operations=[operation])


def _seen_from_both(link: environment_link_pb2.EnvironmentLink) -> list[tuple[str, str]]:
    own = link.name.partition("/links/")[0]
    return [(own, link.peer), (link.peer, own)]


class _Apps(_Servicer, app_pb2_grpc.AppServiceServicer):
    async def PlanApp(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.environments, request.parent, context)
        return self.fake.plan

    async def CheckApp(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.environments, request.parent, context)
        return self.fake.check

    async def GetComposeSchema(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.environments, request.parent, context)
        return app_pb2.GetComposeSchemaResponse(schema="{}")

    async def DeployApp(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.environments, request.parent, context)
        if request.request_id not in self.fake.done_request_ids:
            name = f"{request.parent}/apps/{request.app_id}"
            revision = len(self.fake.revisions) + 1
            self.fake.done_request_ids[request.request_id] = self._begin("deploy", name, revision)
        deployment, operation = self.fake.done_request_ids[request.request_id]
        return app_pb2.DeployAppResponse(
            operation=operation, deployment=deployment.name, revision=deployment.revision
        )

    async def RollbackApp(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.apps, request.name, context)
        deployment, operation = self._begin("rollback", request.name, request.revision or 1)
        return app_pb2.RollbackAppResponse(
            operation=operation, deployment=deployment.name, revision=deployment.revision
        )

    async def GetApp(self, request: Any, context: Any) -> Any:
        app = await self.find(self.fake.apps, request.name, context)
        return app_pb2.GetAppResponse(app=app)

    async def ListApps(self, request: Any, context: Any) -> Any:
        found = [a for a in self.fake.apps.values() if _within(a.name, request.parent)]
        items, following = self.page(found, request)
        return app_pb2.ListAppsResponse(apps=items, next_page_token=following)

    async def DeleteApp(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.apps, request.name, context)
        del self.fake.apps[request.name]
        return app_pb2.DeleteAppResponse(operation=self.operation("delete-app", request.name))

    def WatchApps(self, request: Any, context: Any) -> Any:
        snapshot = [
            app_pb2.WatchAppsResponse(type=cluster_pb2.EVENT_TYPE_SNAPSHOT, app=app)
            for app in self.fake.apps.values()
            if _within(app.name, request.parent)
        ]
        synced = app_pb2.WatchAppsResponse(type=cluster_pb2.EVENT_TYPE_SYNCED)
        return self.stream("WatchApps", [*snapshot, synced], context)

    def _begin(self, kind: str, app: str, revision: int) -> tuple[Any, Any]:
        name = f"{app}/deployments/d{len(self.fake.deployments) + 1}"
        operation = self.operation(kind, app, deployment=name)
        deployment = deployment_pb2.Deployment(
            name=name,
            revision=revision,
            phase=deployment_pb2.DEPLOYMENT_PHASE_READY,
            message="all pods are ready",
            operation=operation.name,
            objects_applied=3,
            objects_total=3,
        )
        self.fake.deployments[name] = deployment
        return deployment, operation


class _Deployments(_Servicer, deployment_pb2_grpc.DeploymentServiceServicer):
    async def GetDeployment(self, request: Any, context: Any) -> Any:
        deployment = await self.find(self.fake.deployments, request.name, context)
        return deployment_pb2.GetDeploymentResponse(deployment=deployment)

    async def ListDeployments(self, request: Any, context: Any) -> Any:
        found = [d for d in self.fake.deployments.values() if d.name.startswith(request.parent)]
        items, following = self.page(found[::-1], request)
        return deployment_pb2.ListDeploymentsResponse(deployments=items, next_page_token=following)

    async def WatchDeployment(self, request: Any, context: Any) -> Any:
        deployment = await self.find(self.fake.deployments, request.name, context)
        now = deployment_pb2.WatchDeploymentResponse(deployment=deployment)
        async for response in self.stream("WatchDeployment", [now], context):
            yield response

    async def GetRevision(self, request: Any, context: Any) -> Any:
        revision = await self.find(self.fake.revisions, request.name, context)
        return deployment_pb2.GetRevisionResponse(revision=revision)

    async def ListRevisions(self, request: Any, context: Any) -> Any:
        found = [r for r in self.fake.revisions.values() if r.name.startswith(request.parent)]
        items, following = self.page(found[::-1], request)
        return deployment_pb2.ListRevisionsResponse(revisions=items, next_page_token=following)


class _Operations(_Servicer, operation_pb2_grpc.OperationServiceServicer):
    async def GetOperation(self, request: Any, context: Any) -> Any:
        operation = await self.find(self.fake.operations, request.name, context)
        return operation_pb2.GetOperationResponse(operation=operation)

    async def ListOperations(self, request: Any, context: Any) -> Any:
        items, following = self.page(list(self.fake.operations.values())[::-1], request)
        return operation_pb2.ListOperationsResponse(operations=items, next_page_token=following)

    async def WatchOperation(self, request: Any, context: Any) -> Any:
        operation = await self.find(self.fake.operations, request.name, context)
        now = operation_pb2.WatchOperationResponse(operation=operation)
        async for response in self.stream("WatchOperation", [now], context):
            yield response

    async def CancelOperation(self, request: Any, context: Any) -> Any:
        operation = await self.find(self.fake.operations, request.name, context)
        operation.cancel_requested = True
        return operation_pb2.CancelOperationResponse(operation=operation)


class _Logs(_Servicer, log_pb2_grpc.LogServiceServicer):
    async def TailLogs(self, request: Any, context: Any) -> Any:
        await self.find(self.fake.apps, request.app, context)
        async for response in self.stream("TailLogs", [], context):
            yield response


class _Terminals(_Servicer, terminal_pb2_grpc.TerminalServiceServicer):
    async def Exec(self, request_iterator: Any, context: Any) -> None:
        first = await context.read()
        await self.find(self.fake.apps, first.start.app, context)
        if first.start.keep and self.fake.terminal is not None:
            await self.fake.terminal.serve(context, terminal_pb2.ExecResponse)
            return

        async def read() -> terminal_pb2.ExecRequest | None:
            request = await context.read()
            return None if request is aio.EOF else request

        await context.write(
            terminal_pb2.ExecResponse(
                started=terminal_pb2.ExecStarted(pod="web-1", container="web")
            )
        )
        await self.fake.exec_behaviour(ExecPeer(first.start, read, context.write))

    async def AttachTerminal(self, request_iterator: Any, context: Any) -> None:
        first = await context.read()
        assert self.fake.terminal is not None
        await self.fake.terminal.serve(context, terminal_pb2.AttachTerminalResponse, first.attach)

    async def DetachTerminal(self, request: Any, context: Any) -> Any:
        assert self.fake.terminal is not None
        self.fake.terminal.detach()
        return terminal_pb2.DetachTerminalResponse()

    async def ListTerminals(self, request: Any, context: Any) -> Any:
        return terminal_pb2.ListTerminalsResponse(terminals=self.fake.terminals)

    def OpenTerminal(self, request: Any, context: Any) -> Any:
        raise NotImplementedError("for grpc-web; the Python client uses Exec")

    def WriteTerminal(self, request: Any, context: Any) -> Any:
        raise NotImplementedError("for grpc-web; the Python client uses Exec")

    def ResizeTerminal(self, request: Any, context: Any) -> Any:
        raise NotImplementedError("for grpc-web; the Python client uses Exec")

    async def CloseTerminal(self, request: Any, context: Any) -> Any:
        self.fake.terminals = [t for t in self.fake.terminals if t.name != request.terminal]
        return terminal_pb2.CloseTerminalResponse()


class _Server(_Servicer, server_pb2_grpc.ServerServiceServicer):
    async def GetServerInfo(self, request: Any, context: Any) -> Any:
        now = Timestamp()
        now.GetCurrentTime()
        if self.fake.fixed_time is not None:
            now = Timestamp(seconds=int(self.fake.fixed_time))
        return server_pb2.GetServerInfoResponse(
            version=self.fake.version,
            principal=PRINCIPAL,
            server_time=now,
            agent_address="127.0.0.1:7071",
        )


def _within(name: str, parent: str) -> bool:
    """Whether a resource lies in a parent whose `-` stand for anything."""
    pattern = parent.split("/")
    return len(pattern) <= len(name.split("/")) and all(
        want in ("-", have) for want, have in zip(pattern, name.split("/"), strict=False)
    )
