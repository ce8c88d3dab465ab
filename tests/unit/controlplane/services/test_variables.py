"""Variables and secrets on a real database: kept encrypted, shown or not, and in force where they should be."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.domain.commands import DeployApp
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import (
    EtagMismatch,
    InvalidField,
    NotFound,
    RequestTooLarge,
    ResourceInUse,
    SecretUnavailable,
)
from controlplane.domain.names import AppName, RevisionName
from controlplane.domain.requests import PageRequest
from controlplane.domain.variables import ScopeName, VariableSource, VariableValue
from controlplane.keyring.keyring import Keyring
from controlplane.services.reencryption import Reencryption
from tests.unit.controlplane.services.world import (
    ORGANIZATION,
    PROD,
    PROJECT,
    WEB,
    Agent,
    World,
    bundle,
    key,
)

CANARY = "c4n4ry-hunter2-4711"
BY = "users/anne"


async def put(world: World, scope: ScopeName, *, secret: bool = False, **values: str) -> None:
    given = [VariableValue(name, value) for name, value in values.items()]
    await world.variables.set_variables(scope, given, secret=secret, by=BY)


async def sent(agent: Agent) -> DeployApp:
    *_, command = await agent.take()
    assert isinstance(command.body, DeployApp)
    return command.body


def values_of(body: DeployApp) -> Mapping[str, str]:
    return dict(body.variables)


async def test_a_secret_is_set_and_its_value_comes_back_nowhere(world: World) -> None:
    await world.environment_on_home()
    done = await world.variables.set_variables(
        PROD, [VariableValue("TOKEN", CANARY)], secret=True, by=BY, key=key()
    )
    listed = await world.variables.list_variables(PROD, PageRequest())
    shown = await world.variables.effective_variables(WEB)
    (variable,) = listed.items
    assert (variable.key, variable.secret, variable.version) == ("TOKEN", True, 1)
    assert (variable.updated_by, variable.update_time) == (BY, world.clock.now())
    assert variable.key_id == world.keyring.primary
    assert variable.value == variable.problem == ""
    assert CANARY not in f"{done!r}{listed!r}{shown!r}"


async def test_plain_ones_show_their_value_and_where_they_come_from(world: World) -> None:
    await world.environment_on_home()
    await put(world, ORGANIZATION, A="org", B="org")
    await put(world, PROJECT, A="project", secret=True)
    await put(world, WEB, A="app")
    found = {item.variable.key: item for item in await world.variables.effective_variables(WEB)}
    assert (found["A"].variable.value, found["A"].variable.scope) == ("app", str(WEB))
    assert [hidden.scope for hidden in found["A"].shadowed] == [str(PROJECT), str(ORGANIZATION)]
    assert (found["B"].variable.value, found["B"].variable.scope) == ("org", str(ORGANIZATION))
    at_project = await world.variables.effective_variables(PROJECT)
    assert [(item.variable.key, item.variable.value) for item in at_project] == [
        ("A", ""),
        ("B", "org"),
    ]


async def test_all_are_set_or_none(world: World) -> None:
    await world.environment_on_home()
    await put(world, PROD, A="1")
    with pytest.raises(EtagMismatch):
        await world.variables.set_variables(
            PROD, [VariableValue("B", "2"), VariableValue("A", "2", "old")], secret=False, by=BY
        )
    with pytest.raises(NotFound):
        await world.variables.set_variables(
            PROD, [VariableValue("B", "2"), VariableValue("C", "2", "old")], secret=False, by=BY
        )
    listed = await world.variables.list_variables(PROD, PageRequest())
    assert [(item.key, item.value) for item in listed.items] == [("A", "1")]
    (first,) = listed.items
    (again,) = (
        await world.variables.set_variables(
            PROD, [VariableValue("A", "2", first.etag)], secret=False, by=BY
        )
    ).variables
    assert (again.version, again.uid) == (2, first.uid)
    assert again.etag != first.etag


async def test_too_much_at_one_place_is_refused(world: World) -> None:
    await world.environment_on_home()
    for name in "ABC":
        await put(world, PROD, **{name: "x" * 32 * 1024})
    with pytest.raises(RequestTooLarge):
        await put(world, PROD, D="x" * 32 * 1024)


async def test_a_secret_does_not_become_plain_by_mistake(world: World) -> None:
    await world.environment_on_home()
    await put(world, PROD, A="plain")
    await put(world, PROD, A=CANARY, secret=True)
    with pytest.raises(InvalidField, match="is a secret"):
        await put(world, PROD, A="plain")
    with pytest.raises(InvalidField, match="skerry secret delete"):
        await world.variables.delete_variables(PROD, ["A"], secret=False)
    await world.variables.delete_variables(PROD, ["A"], secret=True)
    with pytest.raises(NotFound, match="A is not set"):
        await world.variables.delete_variables(PROD, ["A"], secret=True)


async def test_deleting_is_all_or_nothing_and_heeds_the_etag(world: World) -> None:
    await world.environment_on_home()
    await put(world, PROD, A="1", B="2")
    for keys, etag, error in (
        (["A", "C"], "", NotFound),
        (["A"], "old", EtagMismatch),
        (["A", "B"], "x", InvalidField),
        ([], "", InvalidField),
    ):
        with pytest.raises(error):
            await world.variables.delete_variables(PROD, keys, secret=False, etag=etag)
    listed = await world.variables.list_variables(PROD, PageRequest())
    assert [item.key for item in listed.items] == ["A", "B"]


async def test_places_that_do_not_exist_are_not_found_but_an_app_may_come_later(
    world: World,
) -> None:
    await world.environment_on_home()
    await put(world, AppName("default", "shop", "prod", "later"), A="1")
    for scope in (
        replace(ORGANIZATION, organization="other"),
        replace(PROJECT, project="other"),
        replace(PROD, environment="other"),
        AppName("default", "shop", "other", "web"),
    ):
        with pytest.raises(NotFound):
            await put(world, scope, A="1")
        with pytest.raises(NotFound):
            await world.variables.list_variables(scope, PageRequest())
        with pytest.raises(NotFound):
            await world.variables.effective_variables(scope)


async def test_a_repeat_with_the_same_request_id_sets_once(world: World) -> None:
    await world.environment_on_home()
    for _ in range(2):
        done = await world.variables.set_variables(
            PROD, [VariableValue("A", CANARY)], secret=True, by=BY, key=key()
        )
        assert done.variables[0].version == 1


async def test_a_deploy_gets_what_holds_and_what_it_brings(world: World) -> None:
    agent, _ = await world.deployed()
    await put(world, ORGANIZATION, ORG="org", BOTH="org", SHELL="org")
    await put(world, PROD, BOTH=CANARY, GIVEN=CANARY, secret=True)
    given = replace(
        bundle(GIVEN="given", SENT="sent"), default_variables={"SHELL": "shell", "OWN": "own"}
    )
    await world.apps.deploy_app(PROD, "web", given)
    body = await sent(agent)
    assert values_of(body) == {
        "ORG": "org",
        "BOTH": CANARY,
        "SHELL": "org",
        "GIVEN": "given",
        "SENT": "sent",
        "OWN": "own",
    }
    assert body.secret_variables == ("BOTH", "GIVEN")
    assert body.sealed is None
    revision = await world.deployments.get_revision(RevisionName(WEB, 2))
    assert revision.variables == (
        VariableSource("BOTH", secret=True, scope=str(PROD), version=1),
        VariableSource("GIVEN", secret=True),
        VariableSource("ORG", secret=False, scope=str(ORGANIZATION), version=1),
        VariableSource("OWN", secret=False),
        VariableSource("SENT", secret=False),
        VariableSource("SHELL", secret=False, scope=str(ORGANIZATION), version=1),
    )


async def test_going_back_brings_the_values_of_then(world: World) -> None:
    agent, _ = await world.deployed()
    await put(world, WEB, A="first", secret=True)
    await world.apps.deploy_app(PROD, "web", bundle())
    for command in await agent.take():
        if isinstance(command.body, DeployApp) and command.body.revision == 2:
            await agent.finish(command)
    await put(world, WEB, A="second", secret=True)
    await world.apps.deploy_app(PROD, "web", bundle())
    assert values_of(await sent(agent)) == {"A": "second"}
    await world.apps.rollback_app(WEB)
    body = await sent(agent)
    assert (body.revision, values_of(body)) == (2, {"A": "first"})


async def test_a_plan_gets_the_same(world: World) -> None:
    await world.deployed()
    await put(world, WEB, A=CANARY, secret=True)
    await world.apps.plan_app(PROD, "web", bundle(B="b"))
    asked = world.agents.planned[-1]
    assert values_of(asked) == {"A": CANARY, "B": "b"}
    assert asked.secret_variables == ("A",)


async def test_nothing_of_it_is_in_clear_on_disk(world: World) -> None:
    agent, _ = await world.deployed()
    await put(world, PROJECT, PLAIN=CANARY + "-plain")
    await put(world, WEB, TOKEN=CANARY, secret=True)
    await world.apps.deploy_app(PROD, "web", bundle(SENT=CANARY + "-sent"))
    await agent.take()
    files = list(world.path.parent.glob("skerry.db*"))
    assert len(files) >= 2
    for file in files:
        assert CANARY.encode() not in file.read_bytes(), file


async def test_one_row_passed_off_as_another_fails_the_deploy_by_name(world: World) -> None:
    await world.deployed()
    await put(world, PROD, GOOD="good", secret=True)
    await put(world, WEB, BAD="bad", secret=True)
    statement = "UPDATE variables SET box = (SELECT box FROM variables WHERE key = 'GOOD')"
    _run_sql(world.path, statement + " WHERE key = 'BAD'")
    for attempt in (
        world.apps.deploy_app(PROD, "web", bundle()),
        world.apps.plan_app(PROD, "web", bundle()),
    ):
        with pytest.raises(SecretUnavailable, match=r"secret BAD of .*/apps/web") as refused:
            await attempt
        assert refused.value.metadata["variable"] == "BAD"
        assert "skerry secret set BAD" in refused.value.message
    # The list still works, and says what is wrong.
    (listed,) = (await world.variables.list_variables(WEB, PageRequest())).items
    assert "damaged or moved" in listed.problem
    await put(world, WEB, BAD="anew", secret=True)
    await world.apps.deploy_app(PROD, "web", bundle())


async def test_a_secret_called_plain_in_the_database_is_not_read_out(world: World) -> None:
    await world.environment_on_home()
    await put(world, PROD, TOKEN=CANARY, secret=True)
    _run_sql(world.path, "UPDATE variables SET secret = 0")
    listed = await world.variables.list_variables(PROD, PageRequest())
    assert listed.items[0].problem
    assert CANARY not in repr(listed.items[0]) + listed.items[0].value


async def test_a_revision_whose_key_is_gone_is_not_sent_and_others_are(world: World) -> None:
    agent, _ = await world.deployed()
    await put(world, WEB, TOKEN=CANARY, secret=True)
    started = await world.apps.deploy_app(PROD, "web", bundle())
    _run_sql(world.path, "UPDATE revisions SET variables_key_id = 'k0' WHERE revision = 2")
    await world.apps.deploy_app(PROD, "blog", bundle())
    commands = await agent.take()
    assert [c.body.app for c in commands if isinstance(c.body, DeployApp)] == ["blog"]
    deployment = await world.deployments.get_deployment(started.deployment)
    assert (deployment.phase, deployment.reason) == (
        DeploymentPhase.FAILED,
        "SECRET_UNAVAILABLE",
    )
    assert "TOKEN" in deployment.message
    assert "k0" in deployment.message
    operation = await world.operations.get_operation(started.operation.name)
    assert operation.error is not None
    assert operation.error.reason == "SECRET_UNAVAILABLE"
    with pytest.raises(SecretUnavailable, match="revisions/2"):
        await world.apps.rollback_app(WEB, 2)


async def test_variables_go_with_what_they_are_set_at(world: World) -> None:
    agent, _ = await world.deployed()
    await put(world, WEB, A="1")
    (deploy,) = await agent.take()
    await agent.finish(deploy)
    await world.apps.delete_app(WEB)
    (command,) = await agent.take()
    await agent.finish(command)
    await put(world, PROD, B="1")
    assert [i.variable.key for i in await world.variables.effective_variables(WEB)] == ["B"]
    await world.environments.delete_environment(PROD)
    (command,) = await agent.take()
    await agent.finish(command)
    await world.environments.create_environment(PROJECT, "prod")
    assert await world.variables.effective_variables(WEB) == []


async def test_keys_change_beside_a_serving_control_plane(world: World) -> None:
    agent, _ = await world.deployed()
    await put(world, WEB, A="1", secret=True)
    await world.apps.deploy_app(PROD, "web", bundle())
    other = Keyring(world.keyring.path)  # as the command has it, in a process of its own
    keys = Reencryption(store=world.store, cipher=other)
    old = world.keyring.primary
    new = other.rotate(world.clock.now()).id
    await put(world, PROD, B="2", secret=True)
    usage = await keys.usage()
    assert (usage[old].variables, usage[old].revisions, usage[new].total) == (1, 1, 1)
    with pytest.raises(ResourceInUse, match="1 variables, 1 revisions"):
        await keys.retire(old)
    done = await keys.reencrypt()
    assert (done.values, done.broken) == (2, ())
    await keys.retire(old)
    assert set(await keys.usage()) == {new}
    assert values_of(await sent(agent)) == {"A": "1"}
    await world.apps.deploy_app(PROD, "web", bundle())
    assert values_of(await sent(agent)) == {"A": "1", "B": "2"}


async def test_what_cannot_be_opened_keeps_its_key_and_is_named(world: World) -> None:
    await world.environment_on_home()
    await put(world, PROD, GOOD="1", BAD="2", secret=True)
    _run_sql(world.path, "UPDATE variables SET box = zeroblob(120) WHERE key = 'BAD'")
    keys = Reencryption(store=world.store, cipher=world.keyring)
    old = world.keyring.primary
    world.keyring.rotate(world.clock.now())
    done = await keys.reencrypt()
    assert done.values == 1
    assert len(done.broken) == 1
    assert done.broken[0].startswith(f"{PROD}/variables/BAD: ")
    with pytest.raises(ResourceInUse):
        await keys.retire(old)


async def test_more_than_a_batch_is_encrypted_anew(world: World) -> None:
    await world.environment_on_home()
    await put(world, PROD, **{f"A{n}": str(n) for n in range(230)})
    world.keyring.rotate(world.clock.now())
    keys = Reencryption(store=world.store, cipher=world.keyring)
    assert (await keys.reencrypt()).values == 230
    assert (await keys.reencrypt()).values == 0
    found = await world.variables.effective_variables(PROD)
    assert {i.variable.key: i.variable.value for i in found} == {
        f"A{n}": str(n) for n in range(230)
    }


def _run_sql(path: Path, statement: str) -> None:
    with sqlite3.connect(path, timeout=30) as connection:
        connection.execute(statement)
    connection.close()
