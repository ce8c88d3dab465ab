"""The ids of what there is, for completion. Loaded by `suggest` when TAB was pressed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from skerry import names
from skerry.cli.run import Run


async def names_of(run: Run, kind: str) -> list[str]:
    """The ids of all `apps`, `clusters`, `environments` or `projects`. Raises SkerryError."""
    async with run.client() as client:
        match kind:
            case "apps":
                found: AsyncIterator[object] = client.apps.list(run.environment(), page_size=1000)
            case "clusters":
                found = client.clusters.list(page_size=1000)
            case "environments":
                found = client.environments.list(run.project(), page_size=1000)
            case _:
                found = client.projects.list(page_size=1000)
        return [names.last(str(getattr(item, "name", ""))) async for item in found]
