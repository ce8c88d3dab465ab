"""The nearest variable wins, whatever else is set where."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.domain.errors import InvalidField, RequestTooLarge
from controlplane.domain.names import AppName, EnvironmentName, OrganizationName, ProjectName
from controlplane.domain.sealing import SealedValue
from controlplane.domain.variables import (
    SCOPE_BYTES_MAX,
    SCOPE_COUNT_MAX,
    StoredVariable,
    Variable,
    VariableValue,
    check_keys,
    check_scope,
    check_values,
    effective,
    parse_scope,
    scopes_of,
)

APP = "organizations/acme/projects/shop/environments/prod/apps/web"
SCOPES = scopes_of(APP)
STRANGERS = (
    "organizations/other",
    "organizations/acme/projects/shop2",
    "organizations/acme/projects/shop/environments/test",
    f"{APP}2",
)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def stored(scope: str, key: str, size: int = 1, *, secret: bool = False) -> StoredVariable:
    variable = Variable("u" * 26, scope, key, secret, 1, "k1", size, "users/anne", NOW, NOW)
    return StoredVariable(variable, SealedValue("k1", scope.encode()))


def test_scopes_are_the_place_and_all_around_it() -> None:
    assert SCOPES == (
        "organizations/acme",
        "organizations/acme/projects/shop",
        "organizations/acme/projects/shop/environments/prod",
        APP,
    )


@given(
    st.sets(st.tuples(st.sampled_from([*SCOPES, *STRANGERS]), st.sampled_from("ABC"))),
    st.randoms(use_true_random=False),
    st.sampled_from(SCOPES),
)
def test_the_nearest_wins_and_says_what_it_hides(
    places: set[tuple[str, str]], random: object, place: str
) -> None:
    found = [stored(scope, key) for scope, key in sorted(places)]
    random.shuffle(found)  # type: ignore[attr-defined]
    holds = effective(found, place)
    assert [item.variable.variable.key for item in holds] == sorted(
        {key for scope, key in places if scope in scopes_of(place)}
    )
    for item in holds:
        key = item.variable.variable.key
        chain = [s for s in reversed(scopes_of(place)) if (s, key) in places]
        assert item.variable.variable.scope == chain[0]
        assert [hidden.variable.scope for hidden in item.shadowed] == chain[1:]


def test_a_value_is_bound_to_its_row_place_name_and_kind() -> None:
    bound = {
        stored("organizations/acme", "A").bound_to,
        stored("organizations/acme", "A", secret=True).bound_to,
        stored("organizations/acme", "B").bound_to,
        stored("organizations/other", "A").bound_to,
    }
    assert len(bound) == 4


@pytest.mark.parametrize(
    ("text", "kind"),
    list(zip(SCOPES, (OrganizationName, ProjectName, EnvironmentName, AppName), strict=True)),
)
def test_a_scope_is_one_of_four_kinds(text: str, kind: type) -> None:
    assert isinstance(parse_scope(text), kind)
    assert str(parse_scope(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "organizations",
        "clusters/home",
        "users/anne",
        "organizations/A",
        f"{APP}/x/y",
        f"{SCOPES[2]}/apps/{'a' * 31}",
    ],
)
def test_what_holds_no_variables_is_refused(text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_scope(text)
    assert refused.value.violations[0].field == "parent"


@pytest.mark.parametrize("key", ["", "1A", "A-B", "A B", "Ä", "A\n", "A" * 129, "A="])
def test_names_are_those_of_an_environment(key: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_values([VariableValue("GOOD", "x"), VariableValue(key, "hunter2")], "secrets")
    assert refused.value.violations[0].field == "secrets[1].key"
    assert "hunter2" not in str(refused.value)
    with pytest.raises(InvalidField):
        check_keys([key])


@pytest.mark.parametrize("value", ["hunter2\0", "hunter2" * 5000])
def test_values_are_bounded_and_never_quoted(value: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_values([VariableValue("A", value)], "secrets")
    assert refused.value.violations[0].field == "secrets[0].value"
    assert "hunter2" not in str(refused.value)


def test_a_key_twice_or_none_at_all_is_refused() -> None:
    for values in ([], [VariableValue("A", "1"), VariableValue("A", "2")]):
        with pytest.raises(InvalidField):
            check_values(values, "variables")
    with pytest.raises(RequestTooLarge):
        check_values([VariableValue(f"A{n}", "") for n in range(SCOPE_COUNT_MAX + 1)], "variables")


def test_a_scope_holds_only_so_much() -> None:
    many = [stored("organizations/acme", f"A{n}").variable for n in range(SCOPE_COUNT_MAX)]
    check_scope("organizations/acme", many)
    with pytest.raises(RequestTooLarge, match="organizations/acme"):
        check_scope("organizations/acme", [*many, stored("organizations/acme", "B").variable])
    with pytest.raises(RequestTooLarge):
        check_scope("x", [stored("x", "A", SCOPE_BYTES_MAX).variable])
