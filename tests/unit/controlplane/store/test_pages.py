"""Keyset pages: complete, in order, stable while the list changes, and only with their own tokens."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.domain.errors import PageTokenInvalid, ResumeTokenExpired
from controlplane.domain.names import ProjectName
from controlplane.domain.projects import Project
from controlplane.domain.requests import PageRequest
from controlplane.store.database import Store
from controlplane.store.page_tokens import Sealed
from tests.fakes.clock import FakeClock


async def add(store: Store, name: str, organization: str = "default") -> None:
    async with store.transaction() as tx:
        uid = f"{organization}{name}".rjust(26, "0")
        await tx.projects.add(Project(uid, ProjectName(organization, name), "", 1, tx.now, tx.now))


async def walk(store: Store, size: int) -> list[str]:
    seen: list[str] = []
    request = PageRequest(size)
    while True:
        async with store.reading() as tx:
            page = await tx.projects.page("default", request)
        assert len(page.items) <= size
        seen += [item.name.project for item in page.items]
        if not page.next_token:
            return seen
        request = PageRequest(size, page.next_token)


async def test_pages_together_are_the_list(store: Store) -> None:
    names = [f"p{n}" for n in range(7)]
    for name in reversed(names):
        await add(store, name)
    await add(store, "theirs", "other")
    for size in (1, 2, 3, 7, 8):
        assert await walk(store, size) == names


async def test_what_is_added_behind_the_token_comes_and_nothing_comes_twice(store: Store) -> None:
    for name in ("b", "d"):
        await add(store, name)
    async with store.reading() as tx:
        first = await tx.projects.page("default", PageRequest(1))
    for name in ("a", "c"):
        await add(store, name)
    async with store.reading() as tx:
        rest = await tx.projects.page("default", PageRequest(10, first.next_token))
    assert [item.name.project for item in rest.items] == ["c", "d"]


async def test_another_lists_token_is_refused(store: Store) -> None:
    for name in ("a", "b"):
        await add(store, name)
    async with store.reading() as tx:
        token = (await tx.projects.page("default", PageRequest(1))).next_token
        with pytest.raises(PageTokenInvalid):
            await tx.projects.page("other", PageRequest(1, token))
        with pytest.raises(PageTokenInvalid):
            await tx.clusters.page(PageRequest(1, token))


async def test_tokens_outlive_a_restart_and_are_worth_nothing_elsewhere(
    store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    for name in ("a", "b"):
        await add(store, name)
    async with store.reading() as tx:
        token = (await tx.projects.page("default", PageRequest(1))).next_token
        resume = tx.changes.resume_token("x", 0)
    again = Store(tmp_path / "skerry.db", clock=clock, on_commit=lambda _: None)
    await again.open()
    async with again.reading() as tx:
        assert len((await tx.projects.page("default", PageRequest(1, token))).items) == 1
        assert tx.changes.resume_seq("x", resume) == 0
        with pytest.raises(ResumeTokenExpired):
            tx.changes.resume_seq("y", resume)
    await again.close()


async def test_sizes_have_a_default_and_a_most(store: Store) -> None:
    async with store.transaction() as tx:
        for n in range(60):
            await tx.projects.add(
                Project(f"{n:026}", ProjectName("default", f"p{n:03}"), "", 1, tx.now, tx.now)
            )
    async with store.reading() as tx:
        assert len((await tx.projects.page("default", PageRequest())).items) == 50
    assert PageRequest(10_000).limit == 1000


SEALED = Sealed(b"k" * 32)


@given(st.text(), st.lists(st.text() | st.integers()))
def test_a_seal_opens_for_its_list_only(bound_to: str, position: list[object]) -> None:
    token = SEALED.seal(bound_to, position)
    assert SEALED.open(bound_to, token) == position
    assert SEALED.open(bound_to + "x", token) is None
    assert Sealed(b"other" * 8).open(bound_to, token) is None


@given(
    st.text(max_size=100)
    | st.binary(max_size=60).map(lambda b: base64.urlsafe_b64encode(b).decode())
)
def test_made_up_tokens_do_not_open(token: str) -> None:
    assert SEALED.open("list", token) is None


def test_a_token_with_one_bit_changed_does_not_open() -> None:
    token = SEALED.seal("list", ["a", 1])
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    for bit in range(len(raw) * 8):
        raw[bit // 8] ^= 1 << bit % 8
        changed = base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
        assert SEALED.open("list", changed) is None
        raw[bit // 8] ^= 1 << bit % 8
