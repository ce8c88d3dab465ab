"""Revisions in the database: written once, then only read, but for `was_ready`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from controlplane.domain.apps import App, Bundle, Revision, SourceFile
from controlplane.domain.names import AppName, RevisionName
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.repository import Repository
from controlplane.store.tables import revision_files, revisions


class RevisionRepository(Repository):
    """Reads and writes revisions."""

    async def add(self, app: App, bundle: Bundle, now: datetime) -> int:
        """Record a bundle; returns the revision's number, one above the app's newest."""
        newest = await self._connection.scalar(
            select(func.max(revisions.c.revision)).where(revisions.c.app_uid == app.uid)
        )
        number = int(newest or 0) + 1
        await self._run(
            insert(revisions).values(
                app_uid=app.uid,
                revision=number,
                compose_files=list(bundle.compose_files),
                variables=dict(bundle.variables),
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
        return number

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

    async def variables(self, app_uid: str, revision: int) -> Mapping[str, str]:
        found = await self._connection.scalar(
            select(revisions.c.variables).where(
                revisions.c.app_uid == app_uid, revisions.c.revision == revision
            )
        )
        return dict(found or {})

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


def _revision(app: AppName, row: Row[Any], files: tuple[SourceFile, ...]) -> Revision:
    return Revision(
        name=RevisionName(app, row.revision),
        app_uid=row.app_uid,
        compose_files=tuple(row.compose_files),
        files=files,
        variable_names=tuple(sorted(row.variables)),
        was_ready=row.was_ready,
        create_time=row.create_time,
    )
