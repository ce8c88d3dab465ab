"""The protocol against a real provider: what it says is believed, and what is not its answer to this login is not."""

import dataclasses
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from controlplane.auth.oidc import Flow, OidcConfig, OidcProvider, OidcRefused, OidcUnavailable
from controlplane.domain.clock import SystemClock
from tests.integration.controlplane.harness import MovableClock
from tests.integration.controlplane.oidc.provider import (
    CLIENT_ID,
    SECRET,
    Browser,
    Provider,
    back,
    provider,
    set_groups,
)

REDIRECT = "http://127.0.0.1:9/auth/oidc/callback"


def config(running: Provider) -> OidcConfig:
    return OidcConfig(
        running.issuer, CLIENT_ID, SECRET, REDIRECT, scopes=("openid", "profile", "email", "groups")
    )


async def answered(oidc: OidcProvider, name: str = "anne") -> tuple[Flow, dict[str, str]]:
    """A login that the browser has come back from, to the address of nobody."""
    url, flow = await oidc.begin()
    async with Browser() as browser:
        answer = await browser.login(url, name, until=REDIRECT)
    return flow, dict(parse_qsl(urlsplit(back(answer)).query))


async def test_who_it_is_comes_from_the_provider(tmp_path: Path) -> None:
    set_groups(tmp_path, anne=["ops", "dev"])
    async with provider(tmp_path, REDIRECT) as running:
        oidc = OidcProvider(config(running), SystemClock())
        flow, answer = await answered(oidc)
        identity = await oidc.finish(flow, answer)
        assert (identity.issuer, identity.subject) == (running.issuer, "anne")
        assert identity.groups == {"ops", "dev"}
        assert (identity.user_name, identity.display_name) == ("anne", "The anne")
        assert identity.email == "anne@example.org"
        with pytest.raises(OidcRefused, match="refused the code"):
            await oidc.finish(flow, answer)  # a code is good once


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"state": "of-another-login"}, "another login"),
        ({"state": ""}, "another login"),
        ({"iss": "https://evil.example"}, "another identity provider"),
        ({"error": "access_denied"}, "access_denied"),
        ({"code": ""}, "no code"),
        ({"code": "guessed"}, "refused the code"),
    ],
)
async def test_other_answers_are_refused(
    tmp_path: Path, changed: dict[str, str], match: str
) -> None:
    async with provider(tmp_path, REDIRECT) as running:
        oidc = OidcProvider(config(running), SystemClock())
        flow, answer = await answered(oidc)
        with pytest.raises(OidcRefused, match=match):
            await oidc.finish(flow, {**answer, **changed})
        # The right one still works: nothing was used up by the wrong ones, unless the code itself was sent.
        if "code" not in changed or not changed["code"]:
            await oidc.finish(flow, answer)


async def test_a_token_for_another_login_is_refused(tmp_path: Path) -> None:
    async with provider(tmp_path, REDIRECT) as running:
        oidc = OidcProvider(config(running), SystemClock())
        flow, answer = await answered(oidc)
        with pytest.raises(OidcRefused, match="nonce"):
            await oidc.finish(dataclasses.replace(flow, nonce="another"), answer)


async def test_a_code_that_was_stolen_is_worthless(tmp_path: Path) -> None:
    async with provider(tmp_path, REDIRECT) as running:
        oidc = OidcProvider(config(running), SystemClock())
        flow, answer = await answered(oidc)
        with pytest.raises(OidcRefused, match="refused the code"):
            await oidc.finish(dataclasses.replace(flow, verifier="x" * 43), answer)


async def test_an_expired_token_is_refused(tmp_path: Path) -> None:
    clock = MovableClock()
    async with provider(tmp_path, REDIRECT) as running:
        oidc = OidcProvider(config(running), clock)
        flow, answer = await answered(oidc)
        clock.ahead = timedelta(hours=2)
        with pytest.raises(OidcRefused, match="not valid"):
            await oidc.finish(flow, answer)


async def test_the_provider_may_change_its_keys(tmp_path: Path) -> None:
    async with provider(tmp_path, REDIRECT) as running:
        oidc = OidcProvider(config(running), SystemClock())
        await oidc.finish(*await answered(oidc))
        port = running.port
    async with provider(tmp_path, REDIRECT, key="second", port=port):
        identity = await oidc.finish(*await answered(oidc))
    assert identity.subject == "anne"


async def test_a_provider_that_calls_itself_something_else_is_not_asked(tmp_path: Path) -> None:
    async with provider(tmp_path, REDIRECT) as running:
        other = dataclasses.replace(config(running), issuer=f"http://localhost:{running.port}")
        with pytest.raises(OidcUnavailable, match="calls itself something else"):
            await OidcProvider(other, SystemClock()).begin()


async def test_a_provider_that_is_away_is_named(tmp_path: Path) -> None:
    async with provider(tmp_path, REDIRECT) as running:
        oidc = OidcProvider(config(running), SystemClock())
    with pytest.raises(OidcUnavailable, match="does not answer"):
        await oidc.begin()
