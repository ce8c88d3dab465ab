"""Variables and secrets: set, list, what holds where, delete. Called by `api/variables`.

Values are encrypted before they reach the store, in the transaction that keeps them. A secret's value is opened for a deploy
only (`services.snapshots`), never for a reply.
"""

import dataclasses
from collections.abc import Sequence

from controlplane.domain.errors import InvalidField, NotFound
from controlplane.domain.ids import IdSource
from controlplane.domain.names import AppName, EnvironmentName, ProjectName
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.domain.sealing import CannotOpen, Cipher, SealedValue
from controlplane.domain.variables import (
    ScopeName,
    StoredVariable,
    Variable,
    VariableValue,
    check_keys,
    check_scope,
    check_values,
    effective,
    scopes_of,
)
from controlplane.services.environments import existing_environment
from controlplane.services.etags import check_etag
from controlplane.services.idempotency import once
from controlplane.services.organizations import existing_organization
from controlplane.services.projects import existing_project
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A variable that holds, and those that it hides, the nearest first."""

    variable: Variable
    shadowed: tuple[Variable, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class VariablesSet:
    """What was set, without values."""

    variables: tuple[Variable, ...]


class VariableService:
    """Use cases of variables."""

    def __init__(self, *, store: Store, ids: IdSource, cipher: Cipher) -> None:
        self._store = store
        self._ids = ids
        self._cipher = cipher

    async def set_variables(
        self,
        scope: ScopeName,
        values: Sequence[VariableValue],
        *,
        secret: bool,
        by: str,
        key: IdempotencyKey | None = None,
    ) -> VariablesSet:
        """Set all, or none. Raises InvalidField (names, sizes, a plain value for a secret), RequestTooLarge, NotFound (scope),
        EtagMismatch."""
        field = "secrets" if secret else "variables"
        check_values(values, field)

        async def set_all() -> VariablesSet:
            await _existing(tx, scope)
            there = {item.variable.key: item for item in await tx.variables.at([str(scope)])}
            done = []
            for index, value in enumerate(values):
                old = there.get(value.key)
                if old is not None and old.variable.secret and not secret:
                    raise InvalidField.of(
                        f"{field}[{index}].key",
                        f"{value.key} is a secret of {scope}: set it as one (`skerry secret set {value.key}`), or delete it first",
                    )
                name = f"{scope}/variables/{value.key}"
                if value.etag and old is None:
                    raise NotFound(name)
                check_etag(value.etag, old.variable.etag if old else "", name)
                stored = self._sealed(tx, scope, old, value, secret=secret, by=by)
                await (tx.variables.save(stored) if old else tx.variables.add(stored))
                there[value.key] = stored
                done.append(stored.variable)
            check_scope(str(scope), [item.variable for item in there.values()])
            return VariablesSet(tuple(done))

        async with self._store.transaction() as tx:
            return await once(tx, key, VariablesSet, set_all)

    async def list_variables(self, scope: ScopeName, page: PageRequest) -> Page[Variable]:
        """Those set at the scope itself, by key, plain ones with their values. Raises NotFound, PageTokenInvalid."""
        async with self._store.reading() as tx:
            await _existing(tx, scope)
            found = await tx.variables.page(str(scope), page)
        return Page(tuple(self._shown(item) for item in found.items), found.next_token)

    async def effective_variables(self, scope: ScopeName) -> Sequence[Shown]:
        """What a deploy there would get, by key, plain ones with their values. Raises NotFound."""
        async with self._store.reading() as tx:
            await _existing(tx, scope)
            found = effective(await tx.variables.at(scopes_of(str(scope))), str(scope))
        return [
            Shown(self._shown(item.variable), tuple(hidden.variable for hidden in item.shadowed))
            for item in found
        ]

    async def delete_variables(
        self,
        scope: ScopeName,
        keys: Sequence[str],
        *,
        secret: bool,
        etag: str = "",
        key: IdempotencyKey | None = None,
    ) -> None:
        """Delete all, or none. Raises InvalidField, NotFound (scope, or one that is not set there), EtagMismatch."""
        check_keys(keys)
        if etag and len(keys) != 1:
            raise InvalidField.of("etag", "goes with a single key")

        async def delete_all() -> bool:
            await _existing(tx, scope)
            there = {
                item.variable.key: item.variable for item in await tx.variables.at([str(scope)])
            }
            for index, wanted in enumerate(keys):
                variable = there.get(wanted)
                if variable is None:
                    raise NotFound(f"{scope}/variables/{wanted}", f"{wanted} is not set at {scope}")
                if variable.secret is not secret:
                    kind = "a secret" if variable.secret else "a plain variable"
                    noun = "secret" if variable.secret else "variable"
                    raise InvalidField.of(
                        f"keys[{index}]", f"{wanted} is {kind}: `skerry {noun} delete {wanted}`"
                    )
                check_etag(etag, variable.etag, variable.name)
                await tx.variables.delete(variable.uid)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete_all)

    def _sealed(
        self,
        tx: Transaction,
        scope: ScopeName,
        old: StoredVariable | None,
        value: VariableValue,
        *,
        secret: bool,
        by: str,
    ) -> StoredVariable:
        content = value.value.encode()
        blank = StoredVariable(
            Variable(
                uid=old.variable.uid if old else self._ids.new(),
                scope=str(scope),
                key=value.key,
                secret=secret,
                version=old.variable.version + 1 if old else 1,
                key_id="",
                size=len(content),
                updated_by=by,
                create_time=old.variable.create_time if old else tx.now,
                update_time=tx.now,
            ),
            SealedValue("", b""),
        )
        sealed = self._cipher.seal(content, bound_to=blank.bound_to)
        return StoredVariable(dataclasses.replace(blank.variable, key_id=sealed.key_id), sealed)

    def _shown(self, stored: StoredVariable) -> Variable:
        try:
            value = self._cipher.open(stored.sealed, bound_to=stored.bound_to).decode()
        except CannotOpen as error:
            return dataclasses.replace(stored.variable, problem=str(error))
        return (
            stored.variable
            if stored.variable.secret
            else dataclasses.replace(stored.variable, value=value)
        )


async def _existing(tx: Transaction, scope: ScopeName) -> None:
    """Raise NotFound when the resource does not exist; an app may come later, with its environment there."""
    if isinstance(scope, AppName):
        await existing_environment(tx, scope.parent)
    elif isinstance(scope, EnvironmentName):
        await existing_environment(tx, scope)
    elif isinstance(scope, ProjectName):
        await existing_project(tx, scope)
    else:
        await existing_organization(tx, scope)
