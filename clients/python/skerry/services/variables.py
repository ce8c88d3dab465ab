"""Variables and secrets: `Client.variables`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from grpc import aio

from skerry import paging
from skerry.calls import Calls
from skerry.platform.v1 import variable_pb2, variable_pb2_grpc


class Variables:
    """What compose files are filled in with, at an organization, project, environment or app. All methods raise SkerryError.

    The nearest one wins, and changes take effect with the next deploy. Nobody reads a secret's value back.
    """

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = variable_pb2_grpc.VariableServiceStub(channel)

    def list(
        self, parent: str, *, page_size: int = 0
    ) -> AsyncGenerator[variable_pb2.Variable, None]:
        """Variables and secrets set at a resource itself, by key."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListVariables,
                variable_pb2.ListVariablesRequest(
                    parent=parent, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.variables,
        )

    async def effective(self, parent: str) -> Sequence[variable_pb2.EffectiveVariable]:
        """What a deploy at a resource would get, where each comes from, and what it hides."""
        request = variable_pb2.GetEffectiveVariablesRequest(parent=parent)
        response = await self._calls.unary(self._stub.GetEffectiveVariables, request)
        return list(response.variables)

    async def set(
        self,
        parent: str,
        values: Mapping[str, str],
        *,
        etags: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Sequence[variable_pb2.Variable]:
        """Set plain variables: all, or none. `etags` by key: set only what is still so."""
        request = variable_pb2.SetVariablesRequest(
            parent=parent,
            variables=_values(values, etags),
            request_id=request_id or self._calls.request_ids(),
        )
        return list((await self._calls.unary(self._stub.SetVariables, request)).variables)

    async def set_secrets(
        self,
        parent: str,
        values: Mapping[str, str],
        *,
        etags: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Sequence[variable_pb2.Variable]:
        """Set secrets: all, or none. `etags` by key: set only what is still so."""
        request = variable_pb2.SetSecretsRequest(
            parent=parent,
            secrets=_values(values, etags),
            request_id=request_id or self._calls.request_ids(),
        )
        return list((await self._calls.unary(self._stub.SetSecrets, request)).secrets)

    async def delete(
        self, parent: str, keys: Sequence[str], *, etag: str = "", request_id: str | None = None
    ) -> None:
        """Delete plain variables: all, or none. `etag` goes with a single key."""
        request = variable_pb2.DeleteVariablesRequest(
            parent=parent,
            keys=keys,
            etag=etag,
            request_id=request_id or self._calls.request_ids(),
        )
        await self._calls.unary(self._stub.DeleteVariables, request)

    async def delete_secrets(
        self, parent: str, keys: Sequence[str], *, etag: str = "", request_id: str | None = None
    ) -> None:
        """Delete secrets: all, or none. `etag` goes with a single key."""
        request = variable_pb2.DeleteSecretsRequest(
            parent=parent,
            keys=keys,
            etag=etag,
            request_id=request_id or self._calls.request_ids(),
        )
        await self._calls.unary(self._stub.DeleteSecrets, request)


def _values(
    values: Mapping[str, str], etags: Mapping[str, str] | None
) -> Sequence[variable_pb2.VariableValue]:
    return [
        variable_pb2.VariableValue(key=key, value=value, etag=(etags or {}).get(key, ""))
        for key, value in values.items()
    ]
