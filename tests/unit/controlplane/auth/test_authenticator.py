"""The authorization metadata becomes a principal or a refusal."""

import pytest

from controlplane.auth.authenticator import Authenticator
from controlplane.domain.errors import CredentialsMissing
from controlplane.domain.tokens import Principal


class OneToken:
    """A token store with one token that accepts it only."""

    async def authenticate(self, token: str) -> Principal:
        assert token == "sky_good"
        return Principal(name="tokens/1", display_name="me")


@pytest.mark.parametrize("header", ["Bearer sky_good", "bearer sky_good", "Bearer   sky_good "])
async def test_a_bearer_token_is_passed_on(header: str) -> None:
    principal = await Authenticator(OneToken()).authenticate(header)
    assert principal.name == "tokens/1"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic sky_good", "sky_good"])
async def test_anything_else_counts_as_no_credentials(header: str | None) -> None:
    with pytest.raises(CredentialsMissing):
        await Authenticator(OneToken()).authenticate(header)
