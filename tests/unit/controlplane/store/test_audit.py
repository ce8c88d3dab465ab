"""An entry is part of the transaction of its effect: both are there, or neither."""

from pathlib import Path

import pytest

from controlplane.domain.audit import GENESIS, AuditAction
from controlplane.domain.errors import AlreadyExists
from controlplane.domain.names import OrganizationName
from controlplane.domain.people import Organization
from controlplane.store.database import Store
from controlplane.store.migrations.run import migrate
from tests.fakes.clock import FakeClock


async def test_effect_and_entry_come_and_go_together(tmp_path: Path) -> None:
    path, clock = tmp_path / "skerry.db", FakeClock()
    migrate(path)
    action = AuditAction("x/Create", "192.0.2.1", "call", actor="users/anne")
    store = Store(path, clock=clock, on_commit=lambda _: None, action=lambda: action)
    await store.open()
    acme = Organization("u1", OrganizationName("acme"), "", 1, clock.now(), clock.now())
    with pytest.raises(AlreadyExists):  # noqa: PT012 - the second fails
        async with store.transaction() as tx:
            await tx.organizations.add(acme)
            await tx.organizations.add(acme)
    async with store.reading() as tx:
        assert await tx.audit.head() == (0, GENESIS)
        assert await tx.organizations.get(acme.name) is None
    assert not action.recorded
    async with store.transaction() as tx:
        await tx.organizations.add(acme)
    async with store.transaction() as tx:
        await tx.organizations.delete("u1")
    async with store.reading() as tx:
        # One entry a call, however many transactions it takes.
        assert [entry.actor for entry, _ in await tx.audit.after(0, 10)] == ["users/anne"]
    assert action.recorded
    await store.close()
