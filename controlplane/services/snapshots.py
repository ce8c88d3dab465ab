"""The variables of a deploy: put together, kept encrypted with the revision, and opened when the command is sent.

A revision keeps the values that it was made with, so that going back to it brings back what worked
(docs/decisions/106). A value that cannot be opened fails the deploy here, before anything reaches a cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.domain.apps import Bundle
from controlplane.domain.errors import SecretUnavailable
from controlplane.domain.names import AppName, RevisionName
from controlplane.domain.sealing import CannotOpen, Cipher
from controlplane.domain.variables import (
    SealedVariables,
    StoredVariable,
    VariableSource,
    bound_to_revision,
    effective,
    pack,
    scopes_of,
    unpack,
)
from controlplane.store.transaction import Transaction

_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The variables of one deploy, open. Never stored; `sources` in the order of their keys."""

    values: Mapping[str, str] = field(repr=False)
    sources: tuple[VariableSource, ...]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The keys whose values must not be said."""
        return tuple(source.key for source in self.sources if source.secret)


class Snapshots:
    """Makes, keeps and opens snapshots."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    async def take(self, tx: Transaction, app: AppName, bundle: Bundle) -> Snapshot:
        """What a deploy of this bundle gets now. Raises SecretUnavailable, naming the variable."""
        found = effective(await tx.variables.at(scopes_of(str(app))), str(app))
        values = dict(bundle.default_variables)
        sources = {key: VariableSource(key, secret=False) for key in values}
        for item in found:
            variable = item.variable.variable
            if variable.key in bundle.variables:
                # What is given in place of a secret is one, too.
                sources[variable.key] = VariableSource(variable.key, variable.secret)
                continue
            values[variable.key] = open_variable(self._cipher, item.variable)
            sources[variable.key] = VariableSource(
                variable.key, variable.secret, variable.scope, variable.version
            )
        for key, value in bundle.variables.items():
            values[key] = value
            sources.setdefault(key, VariableSource(key, secret=False))
        return Snapshot(values, tuple(source for _, source in sorted(sources.items())))

    def seal(self, snapshot: Snapshot, app_uid: str, revision: int) -> SealedVariables:
        """As the revision keeps it; inside the writing transaction. Raises StorageUnavailable."""
        if not snapshot.values:
            return SealedVariables()
        bound_to = bound_to_revision(app_uid, revision)
        return SealedVariables(
            snapshot.sources, self._cipher.seal(pack(snapshot.values), bound_to=bound_to)
        )

    def open(self, kept: SealedVariables, app_uid: str, revision: int, what: str) -> Snapshot:
        """A revision's variables; `what` names it for people. Raises SecretUnavailable."""
        if kept.sealed is None:
            return Snapshot({}, kept.sources)
        try:
            packed = self._cipher.open(kept.sealed, bound_to=bound_to_revision(app_uid, revision))
        except CannotOpen as error:
            keys = [source.key for source in kept.sources]
            more = f" and {len(keys) - _NAMED_MAX} more" if len(keys) > _NAMED_MAX else ""
            raise SecretUnavailable(
                f"the variables of {what} ({', '.join(keys[:_NAMED_MAX])}{more}) cannot be decrypted: {error}. "
                "Nothing was sent to the cluster. Restore the keyring that has the key, or deploy anew, which makes a "
                "revision of its own",
                metadata={
                    "resource": what,
                    "variables": ",".join(keys[:_NAMED_MAX]),
                    "key_id": kept.sealed.key_id,
                },
            ) from error
        return Snapshot(unpack(packed), kept.sources)

    async def check_revision(self, tx: Transaction, name: RevisionName, app_uid: str) -> None:
        """Raise SecretUnavailable when a revision's variables cannot be opened."""
        kept = await tx.revisions.variables(app_uid, name.revision)
        self.open(kept, app_uid, name.revision, str(name))


def open_variable(cipher: Cipher, stored: StoredVariable) -> str:
    """A variable's value. Raises SecretUnavailable, with its place and the way out."""
    variable = stored.variable
    try:
        return cipher.open(stored.sealed, bound_to=stored.bound_to).decode()
    except CannotOpen as error:
        noun = "secret" if variable.secret else "variable"
        raise SecretUnavailable(
            f"{noun} {variable.key} of {variable.scope} cannot be decrypted: {error}. Nothing was sent to the cluster. "
            f"Set it again (`skerry {noun} set {variable.key}`), or restore the keyring that has the key",
            metadata={
                "resource": variable.scope,
                "variable": variable.key,
                "key_id": variable.key_id,
            },
        ) from error
