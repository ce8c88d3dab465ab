"""VariableService at the border."""

from collections.abc import Iterable

from skerry.platform.v1 import variable_pb2, variable_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert import variables as convert
from controlplane.api.interceptors.call import Context
from controlplane.domain.variables import VariableValue, parse_scope
from controlplane.services.variables import VariableService


class VariableServicer(variable_pb2_grpc.VariableServiceServicer):
    """Variables and secrets."""

    def __init__(self, variables: VariableService) -> None:
        self._variables = variables

    async def SetVariables(
        self, request: variable_pb2.SetVariablesRequest, _context: Context
    ) -> variable_pb2.SetVariablesResponse:
        done = await self._variables.set_variables(
            parse_scope(request.parent),
            _values(request.variables),
            secret=False,
            by=caller.principal().name,
            key=caller.idempotency_key(request, unkept="variables"),
        )
        return variable_pb2.SetVariablesResponse(
            variables=[convert.variable(item) for item in done.variables]
        )

    async def SetSecrets(
        self, request: variable_pb2.SetSecretsRequest, _context: Context
    ) -> variable_pb2.SetSecretsResponse:
        done = await self._variables.set_variables(
            parse_scope(request.parent),
            _values(request.secrets),
            secret=True,
            by=caller.principal().name,
            key=caller.idempotency_key(request, unkept="secrets"),
        )
        return variable_pb2.SetSecretsResponse(
            secrets=[convert.variable(item) for item in done.variables]
        )

    async def ListVariables(
        self, request: variable_pb2.ListVariablesRequest, _context: Context
    ) -> variable_pb2.ListVariablesResponse:
        page = await self._variables.list_variables(
            parse_scope(request.parent), common.page_request(request)
        )
        return variable_pb2.ListVariablesResponse(
            variables=[convert.variable(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def GetEffectiveVariables(
        self, request: variable_pb2.GetEffectiveVariablesRequest, _context: Context
    ) -> variable_pb2.GetEffectiveVariablesResponse:
        found = await self._variables.effective_variables(parse_scope(request.parent))
        return variable_pb2.GetEffectiveVariablesResponse(
            variables=[convert.effective(item) for item in found]
        )

    async def DeleteVariables(
        self, request: variable_pb2.DeleteVariablesRequest, _context: Context
    ) -> variable_pb2.DeleteVariablesResponse:
        await self._variables.delete_variables(
            parse_scope(request.parent),
            request.keys,
            secret=False,
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return variable_pb2.DeleteVariablesResponse()

    async def DeleteSecrets(
        self, request: variable_pb2.DeleteSecretsRequest, _context: Context
    ) -> variable_pb2.DeleteSecretsResponse:
        await self._variables.delete_variables(
            parse_scope(request.parent),
            request.keys,
            secret=True,
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return variable_pb2.DeleteSecretsResponse()


def _values(items: Iterable[variable_pb2.VariableValue]) -> list[VariableValue]:
    return [VariableValue(item.key, item.value, item.etag) for item in items]
