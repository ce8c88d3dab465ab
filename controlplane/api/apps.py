"""AppService at the border."""

from collections.abc import AsyncIterator

from skerry.platform.v1 import app_pb2, app_pb2_grpc

from controlplane.api import caller, streams
from controlplane.api.convert import apps as convert
from controlplane.api.convert import common
from controlplane.api.convert.operations import operation
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import AppName, EnvironmentName
from controlplane.services.apps import AppService
from controlplane.services.checks import CheckService

_VALUES = "bundle.variables|bundle.default_variables"


class AppServicer(app_pb2_grpc.AppServiceServicer):
    """Apps."""

    def __init__(self, apps: AppService, checks: CheckService) -> None:
        self._apps = apps
        self._checks = checks

    async def PlanApp(
        self, request: app_pb2.PlanAppRequest, _context: Context
    ) -> app_pb2.PlanAppResponse:
        plan = await self._apps.plan_app(
            EnvironmentName.parse(request.parent, "parent"),
            request.app_id,
            convert.bundle(request.bundle),
        )
        return convert.plan(plan)

    async def CheckApp(
        self, request: app_pb2.CheckAppRequest, _context: Context
    ) -> app_pb2.CheckAppResponse:
        found = await self._checks.check_app(
            EnvironmentName.parse(request.parent, "parent"),
            request.app_id,
            convert.bundle(request.bundle),
            request.profiles,
        )
        return convert.check(found)

    async def GetComposeSchema(
        self, request: app_pb2.GetComposeSchemaRequest, _context: Context
    ) -> app_pb2.GetComposeSchemaResponse:
        schema = await self._checks.compose_schema(EnvironmentName.parse(request.parent, "parent"))
        return app_pb2.GetComposeSchemaResponse(schema=schema)

    async def DeployApp(
        self, request: app_pb2.DeployAppRequest, _context: Context
    ) -> app_pb2.DeployAppResponse:
        started = await self._apps.deploy_app(
            EnvironmentName.parse(request.parent, "parent"),
            request.app_id,
            convert.bundle(request.bundle),
            etag=request.etag,
            key=caller.idempotency_key(request, unkept=_VALUES),
        )
        return convert.deploy_started(started)

    async def RollbackApp(
        self, request: app_pb2.RollbackAppRequest, _context: Context
    ) -> app_pb2.RollbackAppResponse:
        started = await self._apps.rollback_app(
            AppName.parse(request.name),
            request.revision,
            key=caller.idempotency_key(request),
        )
        return convert.rollback_started(started)

    async def GetApp(
        self, request: app_pb2.GetAppRequest, _context: Context
    ) -> app_pb2.GetAppResponse:
        app = await self._apps.get_app(AppName.parse(request.name))
        return app_pb2.GetAppResponse(app=convert.app(app))

    async def ListApps(
        self, request: app_pb2.ListAppsRequest, _context: Context
    ) -> app_pb2.ListAppsResponse:
        page = await self._apps.list_apps(
            EnvironmentName.parse(request.parent, "parent", wildcard=True),
            common.page_request(request),
            visible=caller.visible(),
        )
        return app_pb2.ListAppsResponse(
            apps=[convert.app(item) for item in page.items], next_page_token=page.next_token
        )

    async def DeleteApp(
        self, request: app_pb2.DeleteAppRequest, _context: Context
    ) -> app_pb2.DeleteAppResponse:
        begun = await self._apps.delete_app(
            AppName.parse(request.name),
            delete_volumes=request.delete_volumes,
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return app_pb2.DeleteAppResponse(operation=operation(begun))

    def WatchApps(
        self, request: app_pb2.WatchAppsRequest, _context: Context
    ) -> AsyncIterator[app_pb2.WatchAppsResponse]:
        return streams.converted(
            self._apps.watch_apps(
                EnvironmentName.parse(request.parent, "parent", wildcard=True),
                request.resume_token,
                visible=caller.visible,
            ),
            convert.app_event,
        )
