"""Links between environments in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, delete, insert, or_, select

from controlplane.domain.names import EnvironmentLinkName, EnvironmentName
from controlplane.domain.projects import EnvironmentLink
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.repository import Repository
from controlplane.store.tables import environment_links as links
from controlplane.store.tables import environments

_here, _there = environments.alias("here"), environments.alias("there")


class EnvironmentLinkRepository(Repository):
    """Reads and writes links. A link is found from both sides."""

    async def get(self, name: EnvironmentLinkName) -> EnvironmentLink | None:
        """As seen from the side that it is named from."""
        row = await self._row(_SELECT.where(links.c.uid == name.link))
        sides = [] if row is None else [_link(row, row.environment_uid), _link(row, row.peer_uid)]
        return next((link for link in sides if link.name == name), None)

    async def of_environment(self, uid: str) -> Sequence[EnvironmentLink]:
        """Those with the environment on either side, as seen from it, oldest first."""
        rows = await self._rows(_of(uid).order_by(links.c.uid))
        return [_link(row, uid) for row in rows]

    async def page(self, uid: str, request: PageRequest) -> Page[EnvironmentLink]:
        """Those with the environment on either side, as seen from it, oldest first."""
        return await self._page(
            _of(uid),
            [links.c.uid],
            request,
            lambda row: _link(row, uid),
            bound_to=f"environment-links:{uid}",
        )

    async def add(self, link: EnvironmentLink) -> None:
        """Raises AlreadyExists when the two are linked, whichever side made it."""
        await self._insert(
            insert(links).values(
                uid=link.uid,
                environment_uid=link.environment_uid,
                peer_uid=link.peer_uid,
                pair=":".join(sorted((link.environment_uid, link.peer_uid))),
                create_time=link.create_time,
            ),
            f"a link between {link.name.parent} and {link.peer}",
        )

    async def delete(self, uid: str) -> None:
        await self._run(delete(links).where(links.c.uid == uid))


_PARTS = ("organization", "project", "environment")
_SELECT: Select[Any] = (
    select(
        links,
        *(_here.c[part].label(f"here_{part}") for part in _PARTS),
        *(_there.c[part].label(f"there_{part}") for part in _PARTS),
    )
    .join(_here, _here.c.uid == links.c.environment_uid)
    .join(_there, _there.c.uid == links.c.peer_uid)
)


def _of(uid: str) -> Select[Any]:
    return _SELECT.where(or_(links.c.environment_uid == uid, links.c.peer_uid == uid))


def _link(row: Row[Any], side: str) -> EnvironmentLink:
    ends = [
        (
            EnvironmentName(row.here_organization, row.here_project, row.here_environment),
            row.environment_uid,
        ),
        (
            EnvironmentName(row.there_organization, row.there_project, row.there_environment),
            row.peer_uid,
        ),
    ]
    if side == row.peer_uid:
        ends.reverse()
    (own, own_uid), (peer, peer_uid) = ends
    return EnvironmentLink(
        uid=row.uid,
        name=EnvironmentLinkName(own, row.uid),
        peer=peer,
        environment_uid=own_uid,
        peer_uid=peer_uid,
        create_time=row.create_time,
    )
