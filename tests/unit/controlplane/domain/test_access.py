"""Grants hold at their scope and below, and nowhere else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.domain.access import (
    BUILT_IN_ROLES,
    PLATFORM,
    Grant,
    Grants,
    Permission,
    covers,
    environment_of,
    fixed_part,
)

ACME = "organizations/acme"
SHOP = f"{ACME}/projects/shop"
PROD = f"{SHOP}/environments/prod"
WEB = f"{PROD}/apps/web"
READ, DEPLOY = Permission.RESOURCES_READ, Permission.APPS_DEPLOY

ids = st.sampled_from(["a", "ab", "b"])
scopes = st.one_of(
    st.just(PLATFORM),
    st.builds("organizations/{}".format, ids),
    st.builds("organizations/{}/projects/{}".format, ids, ids),
    st.builds("organizations/{}/projects/{}/environments/{}".format, ids, ids, ids),
    st.builds("clusters/{}".format, ids),
)
permissions = st.frozensets(st.sampled_from(Permission), max_size=3)
grants = st.lists(st.builds(Grant, scopes, permissions), max_size=4).map(Grants.of)


@pytest.mark.parametrize("resource", [ACME, SHOP, PROD, WEB])
def test_roles_are_inherited_downward(resource: str) -> None:
    anne = Grants.of([Grant(SHOP, BUILT_IN_ROLES["developer"])])
    assert anne.allows(DEPLOY, resource) == resource.startswith(SHOP)
    assert not anne.allows(Permission.APPS_DEPLOY_PROTECTED, resource)


def test_a_name_that_begins_alike_is_another() -> None:
    assert not covers("organizations/acme", "organizations/acme-two")


def test_what_holds_something_visible_is_known_but_not_read() -> None:
    visible = Grants.of([Grant(PROD, BUILT_IN_ROLES["viewer"])]).visible()
    assert visible.shows(ACME)
    assert not visible.contains(ACME)
    assert visible.contains(WEB)
    assert not visible.shows(f"{ACME}/projects/other")


def test_each_built_in_role_holds_all_of_the_one_before() -> None:
    held = list(BUILT_IN_ROLES.values())
    assert all(less < more for less, more in itertools.pairwise(held))


@given(grants, scopes, st.one_of(st.none(), permissions), scopes, st.sampled_from(Permission))
def test_a_restricted_token_is_good_for_what_both_allow(
    held: Grants,
    scope: str,
    few: frozenset[Permission] | None,
    resource: str,
    permission: Permission,
) -> None:
    allowed = held.restricted(scope, few).allows(permission, resource)
    inside = covers(scope, resource) and (few is None or permission in few)
    assert allowed == (inside and held.allows(permission, resource))


def test_names_are_cut_where_any_begins() -> None:
    assert fixed_part(f"{ACME}/projects/-/environments/-") == ACME
    assert fixed_part(PROD) == PROD


def test_the_environment_of_a_resource() -> None:
    assert environment_of(f"{WEB}/deployments/x") == PROD
    assert environment_of(PROD) == PROD
    assert environment_of(SHOP) is None
    assert environment_of("clusters/home/addOns/garage") is None
