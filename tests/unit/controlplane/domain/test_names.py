"""Names are read back as they are written, and what is no name says what one looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.domain.errors import InvalidField
from controlplane.domain.ids import UlidSource, check_id, is_ulid
from controlplane.domain.names import (
    AppName,
    ClusterName,
    DeploymentName,
    EnvironmentName,
    OperationName,
    ProjectName,
    RevisionName,
    TerminalName,
)
from tests.fakes.clock import FakeClock

IDS = st.from_regex(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?", fullmatch=True)
ULID = "01kdvdna000000000000000000"
APPS = st.builds(AppName, IDS, IDS, IDS, IDS)


@given(
    st.one_of(
        st.builds(ProjectName, IDS, IDS),
        st.builds(EnvironmentName, IDS, IDS, IDS),
        APPS,
        st.builds(RevisionName, APPS, st.integers(1, 10**9)),
        st.builds(DeploymentName, APPS, st.just(ULID)),
        st.builds(ClusterName, IDS),
        st.builds(OperationName, st.just(ULID)),
        st.builds(TerminalName, st.just(ULID)),
    )
)
def test_names_are_read_back(name: ProjectName | AppName) -> None:
    assert type(name).parse(str(name)) == name


@given(st.text(max_size=60) | IDS.map("clusters/{}".format).map(lambda text: text + "/"))
def test_whatever_comes_is_a_name_or_an_error_that_names_the_field(text: str) -> None:
    try:
        assert str(ClusterName.parse(text, "parent")) == text
    except InvalidField as error:
        [violation] = error.violations
        assert violation.field == "parent"
        assert "clusters/{cluster}" in violation.description


@pytest.mark.parametrize(
    "text",
    [
        "organizations/default/projects/shop/environments/prod/apps/",
        "organizations/default/projects/shop/environments/prod/apps/Web",
        "organizations/default/projects/shop/environments/prod/apps/-",
        "organizations/default/projects/shop/environment/prod/apps/web",
        "organizations/default/projects/../environments/prod/apps/web",
        "/organizations/default/projects/shop/environments/prod/apps/web",
        "organizations/" + "x" * 600,
    ],
)
def test_what_is_no_app_is_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        AppName.parse(text)


@pytest.mark.parametrize("number", ["0", "-1", "01", "x", "1" * 20, "\N{FULLWIDTH DIGIT ONE}"])
def test_revisions_are_numbers_from_one(number: str) -> None:
    app = AppName("default", "shop", "prod", "web")
    with pytest.raises(InvalidField):
        RevisionName.parse(f"{app}/revisions/{number}")


def test_a_wildcard_is_for_parents_of_lists_only() -> None:
    text = "organizations/default/projects/-/environments/-"
    assert EnvironmentName.parse(text, wildcard=True).project == "-"
    with pytest.raises(InvalidField):
        EnvironmentName.parse(text)


@pytest.mark.parametrize("bad", ["", "A", "1a", "a-", "-a", "a_b", "a b", "ä", "a" * 31])
def test_ids_that_are_none(bad: str) -> None:
    with pytest.raises(InvalidField, match="project_id"):
        check_id("project_id", bad, 30)


def test_ulids_sort_as_they_were_made() -> None:
    clock = FakeClock()
    source = UlidSource(clock)
    made = []
    for step in (0, 0, 0, 0.001, 0, 5, 0):
        clock.advance(step)
        made.append(source.new())
    assert made == sorted(set(made))
    assert all(is_ulid(ulid) for ulid in made)


def test_ulids_go_on_when_the_clock_is_set_back() -> None:
    clock = FakeClock()
    source = UlidSource(clock)
    first = source.new()
    clock.advance(-3600)
    assert source.new() > first
