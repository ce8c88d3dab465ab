"""Revisions in the database: written once, then only read, but for `was_ready`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, tuple_, update

from controlplane.domain.apps import App, Bundle, Revision, SourceFile
from controlplane.domain.names import AppName, RevisionName
from controlplane.domain.requests import Page, PageRequest
from controlplane.domain.sealing import SealedValue
from controlplane.domain.variables import SealedVariables, VariableSource
from controlplane.store.codec import decode, encode
from controlplane.store.repository import Repository
from controlplane.store.tables import revision_files, revisions

_VARIABLES = (
    revisions.c.variable_sources,
    revisions.c.variables_key_id,
    revisions.c.variables_box,
)


class RevisionRepository(Repository):
    """Reads and writes revisions."""

    async def next_number(self, app_uid: str) -> int:
        """One above the app's newest revision."""
        newest = await self._connection.scalar(
            select(func.max(revisions.c.revision)).where(revisions.c.app_uid == app_uid)
        )
        return int(newest or 0) + 1

    async def add(
        self,
        app: App,
        number: int,
        bundle: Bundle,
        variables: SealedVariables,
        now: datetime,
    ) -> None:
        """Record the files of a bundle, and the variables that were made of it and what is set on the server."""
        await self._run(
            insert(revisions).values(
                app_uid=app.uid,
                revision=number,
                compose_files=list(bundle.compose_files),
                variable_sources=encode(variables.sources),
                variables_key_id=variables.sealed.key_id if variables.sealed else None,
                variables_box=variables.sealed.box if variables.sealed else None,
                was_ready=False,
                create_time=now,
            )
        )
        await self._connection.execute(
            insert(revision_files),
            [
                {
                    "app_uid": app.uid,
                    "revision": number,
                    "position": position,
                    "path": file.path,
                    "content": file.content,
                }
                for position, file in enumerate(bundle.files)
            ],
        )

    async def get(self, app: App, revision: int) -> Revision | None:
        """One revision with its files."""
        row = await self._row(
            select(revisions).where(
                revisions.c.app_uid == app.uid, revisions.c.revision == revision
            )
        )
        if row is None:
            return None
        return _revision(app.name, row, await self.files(app.uid, revision))

    async def files(self, app_uid: str, revision: int) -> tuple[SourceFile, ...]:
        rows = await self._rows(
            select(revision_files.c.path, revision_files.c.content)
            .where(revision_files.c.app_uid == app_uid, revision_files.c.revision == revision)
            .order_by(revision_files.c.position)
        )
        return tuple(SourceFile(row.path, row.content) for row in rows)

    async def compose_files(self, app_uid: str, revision: int) -> tuple[str, ...]:
        found = await self._connection.scalar(
            select(revisions.c.compose_files).where(
                revisions.c.app_uid == app_uid, revisions.c.revision == revision
            )
        )
        return tuple(found or ())

    async def variables(self, app_uid: str, revision: int) -> SealedVariables:
        """Those of a revision, as they are kept; none of one that does not exist."""
        row = await self._row(
            select(*_VARIABLES).where(
                revisions.c.app_uid == app_uid, revisions.c.revision == revision
            )
        )
        return SealedVariables() if row is None else _sealed(row)

    async def sealed_otherwise(
        self, key_id: str, after: tuple[str, int], limit: int
    ) -> Sequence[tuple[str, int, SealedVariables]]:
        """Revisions behind (app uid, number) whose variables are sealed with another key than this one."""
        rows = await self._rows(
            select(revisions.c.app_uid, revisions.c.revision, *_VARIABLES)
            .where(
                revisions.c.variables_key_id.is_not(None),
                revisions.c.variables_key_id != key_id,
                tuple_(revisions.c.app_uid, revisions.c.revision) > tuple_(*after),
            )
            .order_by(revisions.c.app_uid, revisions.c.revision)
            .limit(limit)
        )
        return [(row.app_uid, int(row.revision), _sealed(row)) for row in rows]

    async def reseal(self, app_uid: str, revision: int, sealed: SealedValue) -> None:
        await self._run(
            update(revisions)
            .where(revisions.c.app_uid == app_uid, revisions.c.revision == revision)
            .values(variables_key_id=sealed.key_id, variables_box=sealed.box)
        )

    async def key_usage(self) -> Mapping[str, int]:
        """How many revisions are sealed with each key."""
        key_id = revisions.c.variables_key_id
        rows = await self._rows(
            select(key_id, func.count().label("values_sealed"))
            .where(key_id.is_not(None))
            .group_by(key_id)
        )
        return {row.variables_key_id: row.values_sealed for row in rows}

    async def page(self, app: App, request: PageRequest) -> Page[Revision]:
        """Newest first, without files."""
        return await self._page(
            select(revisions).where(revisions.c.app_uid == app.uid),
            [revisions.c.revision],
            request,
            lambda row: _revision(app.name, row, ()),
            bound_to=f"revisions:{app.uid}",
            newest_first=True,
        )

    async def newest_ready_before(self, app_uid: str, revision: int) -> int | None:
        """The newest earlier revision that was READY once."""
        found = await self._connection.scalar(
            select(func.max(revisions.c.revision)).where(
                revisions.c.app_uid == app_uid,
                revisions.c.revision < revision,
                revisions.c.was_ready,
            )
        )
        return None if found is None else int(found)

    async def mark_ready(self, app_uid: str, revision: int) -> None:
        await self._run(
            update(revisions)
            .where(revisions.c.app_uid == app_uid, revisions.c.revision == revision)
            .values(was_ready=True)
        )


def _sealed(row: Row[Any]) -> SealedVariables:
    sources: tuple[VariableSource, ...] = decode(
        tuple[VariableSource, ...], row.variable_sources or []
    )
    if row.variables_key_id is None:
        return SealedVariables(sources)
    return SealedVariables(sources, SealedValue(row.variables_key_id, bytes(row.variables_box)))


def _revision(app: AppName, row: Row[Any], files: tuple[SourceFile, ...]) -> Revision:
    return Revision(
        name=RevisionName(app, row.revision),
        app_uid=row.app_uid,
        compose_files=tuple(row.compose_files),
        files=files,
        variables=_sealed(row).sources,
        was_ready=row.was_ready,
        create_time=row.create_time,
    )
