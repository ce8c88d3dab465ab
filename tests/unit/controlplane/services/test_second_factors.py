"""The second factor: codes of an app, recovery codes, and what guessing and replaying them brings."""

import base64
from datetime import UTC, datetime

import pytest

from controlplane.auth import totp
from controlplane.domain.errors import (
    AlreadyExists,
    CredentialsInvalid,
    NotFound,
    PermissionDenied,
    SecondFactorRequired,
    TooManyAttempts,
)
from controlplane.domain.tokens import Principal
from controlplane.services.reencryption import Reencryption
from tests.unit.controlplane.services.world import World

PASSWORD = "a long enough passphrase"
HERE = "192.0.2.1"


class App:
    """What a person has in the pocket."""

    def __init__(self, world: World, key: str) -> None:
        self._world = world
        self._key = base64.b32decode(key)

    def code(self) -> str:
        return totp.code_at(self._key, self._world.clock.now())


async def anne(world: World) -> Principal:
    await world.users.create_user("anne", password=PASSWORD)
    issued = await world.logins.login("anne", PASSWORD, address=HERE)
    return await world.access.authenticate(issued.secret)


async def enrolled(world: World) -> tuple[Principal, App, list[str]]:
    caller = await anne(world)
    app = App(world, (await world.second_factors.enroll(caller, PASSWORD, address=HERE)).key)
    codes = await world.second_factors.confirm(caller, app.code(), address=HERE)
    world.clock.advance(totp.STEP_SECONDS)
    return caller, app, codes


async def login(world: World, code: str = "") -> None:
    await world.logins.login("anne", PASSWORD, code=code, address=HERE)


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238 appendix B, the last six of its eight digits."""
    key = b"12345678901234567890"
    for second, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        from_standard = datetime.fromtimestamp(second, tz=UTC)
        assert totp.code_at(key, from_standard) == code


async def test_it_is_asked_for_once_it_is_confirmed(world: World) -> None:
    caller = await anne(world)
    made = await world.second_factors.enroll(caller, PASSWORD, address=HERE)
    assert made.uri.startswith("otpauth://totp/")
    await login(world)
    app = App(world, made.key)
    assert len(await world.second_factors.confirm(caller, app.code(), address=HERE)) == 10
    with pytest.raises(SecondFactorRequired):
        await login(world)
    world.clock.advance(totp.STEP_SECONDS)
    await login(world, app.code())


async def test_a_code_works_once(world: World) -> None:
    _, app, _ = await enrolled(world)
    code = app.code()
    await login(world, code)
    with pytest.raises(CredentialsInvalid):
        await login(world, code)
    world.clock.advance(totp.STEP_SECONDS)
    await login(world, app.code())


async def test_codes_of_other_times_are_refused(world: World) -> None:
    _, app, _ = await enrolled(world)
    code = app.code()
    world.clock.advance(2 * totp.STEP_SECONDS)
    with pytest.raises(CredentialsInvalid):
        await login(world, code)


async def test_a_wrong_password_tells_nothing_of_it(world: World) -> None:
    _, app, _ = await enrolled(world)
    for code in ("", app.code()):
        with pytest.raises(CredentialsInvalid, match="the user or the password is wrong"):
            await world.logins.login("anne", "wrong", code=code, address=HERE)
    await login(world, app.code())


async def test_guessing_codes_is_locked_out_also_with_the_password(world: World) -> None:
    _, app, _ = await enrolled(world)
    for _ in range(5):
        # The right password in between forgives nothing.
        with pytest.raises(SecondFactorRequired):
            await login(world)
        with pytest.raises(CredentialsInvalid):
            await login(world, "000000")
    with pytest.raises(TooManyAttempts):
        await login(world, app.code())


async def test_recovery_codes_work_once_each(world: World) -> None:
    caller, app, codes = await enrolled(world)
    await login(world, codes[0].upper().replace("-", " "))
    with pytest.raises(CredentialsInvalid):
        await login(world, codes[0])
    await login(world, codes[1])
    fresh = await world.second_factors.new_recovery_codes(caller, app.code(), address=HERE)
    with pytest.raises(CredentialsInvalid):
        await login(world, codes[2])
    await login(world, fresh[0])


async def test_it_goes_with_a_code_or_by_an_administrator(world: World) -> None:
    caller, _, codes = await enrolled(world)
    with pytest.raises(AlreadyExists):
        await world.second_factors.enroll(caller, PASSWORD, address=HERE)
    with pytest.raises(CredentialsInvalid):
        await world.second_factors.disable(caller, "000000", address=HERE)
    await world.second_factors.disable(caller, codes[0], address=HERE)
    await login(world)
    with pytest.raises(NotFound):
        await world.second_factors.disable(caller, codes[1], address=HERE)


async def test_a_reset_ends_the_sessions(world: World) -> None:
    caller, _, _ = await enrolled(world)
    await world.second_factors.reset("users/anne")
    with pytest.raises(CredentialsInvalid):
        await world.access.again(caller)
    await login(world)


async def test_a_session_alone_does_not_change_it(world: World) -> None:
    caller = await anne(world)
    with pytest.raises(CredentialsInvalid):
        await world.second_factors.enroll(caller, "wrong", address=HERE)
    await world.users.create_user("bob")
    nobody = Principal("users/bob", "bob")
    with pytest.raises(PermissionDenied):
        await world.second_factors.enroll(nobody, "", address=HERE)
    limited = Principal("users/anne", "anne", restricted=True)
    with pytest.raises(PermissionDenied):
        await world.second_factors.enroll(limited, PASSWORD, address=HERE)


async def test_the_link_of_the_machine_lets_an_owner_in_who_lost_the_app(world: World) -> None:
    await enrolled(world)
    await world.setup.complete(await world.setup.new_code(), PASSWORD, user_id="anne")
    await login(world)


async def test_nothing_readable_is_kept_and_keys_can_be_changed(world: World) -> None:
    caller = await anne(world)
    made = await world.second_factors.enroll(caller, PASSWORD, address=HERE)
    app = App(world, made.key)
    codes = await world.second_factors.confirm(caller, app.code(), address=HERE)
    stored = world.path.read_bytes()
    assert base64.b32decode(made.key) not in stored
    assert not any(code.encode() in stored for code in codes)
    old = world.keyring.primary
    world.keyring.rotate(world.clock.now())
    reencryption = Reencryption(store=world.store, cipher=world.keyring)
    assert (await reencryption.usage())[old].second_factors == 1
    assert (await reencryption.reencrypt()).broken == ()
    await reencryption.retire(old)
    world.clock.advance(totp.STEP_SECONDS)
    await login(world, app.code())
