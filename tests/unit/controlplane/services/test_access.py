"""The first admin token and what tokens stand for."""

import pytest

from controlplane.auth.secrets import new_secret
from controlplane.domain.errors import CredentialsInvalid, CredentialsMissing
from tests.unit.controlplane.services.world import World


async def test_the_admin_token_is_made_once(world: World) -> None:
    token = await world.access.ensure_admin_token()
    assert token is not None
    assert await world.access.ensure_admin_token() is None
    principal = await world.access.authenticate(token)
    assert principal.display_name == "admin"
    assert token.encode() not in world.path.read_bytes()


async def test_other_tokens_stand_for_nobody(world: World) -> None:
    await world.access.ensure_admin_token()
    for token in (new_secret(), "nonsense"):
        with pytest.raises(CredentialsInvalid):
            await world.access.authenticate(token)
    with pytest.raises(CredentialsMissing):
        await world.access.authenticate("")
