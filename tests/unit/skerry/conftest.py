"""A fake control plane, and a client of it, in the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import skerry
from skerry.backoff import Backoff

from tests.fakes.control_plane import TOKEN, FakeControlPlane

IMPATIENT = Backoff(first=0.001, most=0.002)


@pytest.fixture
async def fake() -> AsyncIterator[FakeControlPlane]:
    async with FakeControlPlane() as server:
        yield server


@pytest.fixture
async def client(fake: FakeControlPlane) -> AsyncIterator[skerry.Client]:
    async with skerry.Client(fake.address, TOKEN, insecure=True, backoff=IMPATIENT) as connected:
        yield connected
