"""What is encrypted with which key, encrypting it anew, and retiring keys. Called by `skerry-controlplane keys`, beside a serving control plane.

Servers seal values inside writing transactions, with the key that the keyring's file has at that moment. A key is retired inside
one, too, after looking that nothing is sealed with it: so no value can be sealed with it afterwards.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from controlplane.domain.errors import ResourceInUse
from controlplane.domain.sealing import CannotOpen, Cipher
from controlplane.domain.variables import bound_to_revision
from controlplane.services.second_factors import bound_to
from controlplane.store.database import Store

# Rows a transaction: other writers wait for that long only.
_BATCH = 100


class RetiringCipher(Cipher, Protocol):
    """A cipher whose keys can be taken away."""

    def retire(self, key_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Usage:
    """How many values are sealed with a key."""

    variables: int = 0
    revisions: int = 0
    second_factors: int = 0

    @property
    def total(self) -> int:
        return self.variables + self.revisions + self.second_factors


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """What came of it: how many values are sealed with the primary key now that were not, and what could not be opened."""

    values: int
    broken: tuple[str, ...]


class Reencryption:
    """Looks after the keys of what is stored."""

    def __init__(self, *, store: Store, cipher: RetiringCipher) -> None:
        self._store = store
        self._cipher = cipher

    async def usage(self) -> Mapping[str, Usage]:
        """By key id, also of keys that the keyring does not have."""
        async with self._store.reading() as tx:
            variables = await tx.variables.key_usage()
            revisions = await tx.revisions.key_usage()
            factors = await tx.second_factors.key_usage()
        return {
            key_id: Usage(
                variables.get(key_id, 0), revisions.get(key_id, 0), factors.get(key_id, 0)
            )
            for key_id in sorted({*variables, *revisions, *factors})
        }

    async def reencrypt(self) -> Reencrypted:
        """Seal everything with the primary key that is sealed with another one. Raises StorageUnavailable."""
        broken: list[str] = []
        values = await self._variables(broken) + await self._revisions(broken)
        values += await self._second_factors(broken)
        return Reencrypted(values, tuple(broken))

    async def retire(self, key_id: str) -> None:
        """Take a key out of the keyring. Raises ResourceInUse while values are sealed with it, KeyringError."""
        async with self._store.transaction() as tx:
            variables = (await tx.variables.key_usage()).get(key_id, 0)
            revisions = (await tx.revisions.key_usage()).get(key_id, 0)
            factors = (await tx.second_factors.key_usage()).get(key_id, 0)
            if variables or revisions or factors:
                raise ResourceInUse(
                    f"{variables} variables, {revisions} revisions and {factors} second factors are encrypted with {key_id}: "
                    "run `skerry-controlplane keys reencrypt` first"
                )
            self._cipher.retire(key_id)

    async def _variables(self, broken: list[str]) -> int:
        done, after = 0, ""
        while True:
            async with self._store.transaction() as tx:
                batch = await tx.variables.sealed_otherwise(self._cipher.primary, after, _BATCH)
                for stored in batch:
                    after = stored.variable.uid
                    try:
                        plain = self._cipher.open(stored.sealed, bound_to=stored.bound_to)
                    except CannotOpen as error:
                        broken.append(f"{stored.variable.name}: {error}")
                        continue
                    sealed = self._cipher.seal(plain, bound_to=stored.bound_to)
                    await tx.variables.reseal(stored.variable.uid, sealed)
                    done += 1
            if not batch:
                return done

    async def _revisions(self, broken: list[str]) -> int:
        done, after = 0, ("", 0)
        while True:
            async with self._store.transaction() as tx:
                batch = await tx.revisions.sealed_otherwise(self._cipher.primary, after, _BATCH)
                for app_uid, number, kept in batch:
                    after = (app_uid, number)
                    if kept.sealed is None:
                        continue
                    bound_to = bound_to_revision(app_uid, number)
                    try:
                        plain = self._cipher.open(kept.sealed, bound_to=bound_to)
                    except CannotOpen as error:
                        app = await tx.apps.get_by_uid(app_uid)
                        broken.append(f"{app.name if app else app_uid}/revisions/{number}: {error}")
                        continue
                    sealed = self._cipher.seal(plain, bound_to=bound_to)
                    await tx.revisions.reseal(app_uid, number, sealed)
                    done += 1
            if not batch:
                return done

    async def _second_factors(self, broken: list[str]) -> int:
        done, after = 0, ""
        while True:
            async with self._store.transaction() as tx:
                batch = await tx.second_factors.sealed_otherwise(
                    self._cipher.primary, after, _BATCH
                )
                for factor in batch:
                    after = factor.user
                    try:
                        plain = self._cipher.open(factor.sealed, bound_to=bound_to(factor.user))
                    except CannotOpen as error:
                        broken.append(f"{factor.user}, second factor: {error}")
                        continue
                    sealed = self._cipher.seal(plain, bound_to=bound_to(factor.user))
                    await tx.second_factors.save(dataclasses.replace(factor, sealed=sealed))
                    done += 1
            if not batch:
                return done
