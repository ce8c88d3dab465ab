"""The grammar of `${…}`, against compose-go's rules."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.compose.interpolate import TemplateError, substitute
from tests.unit.compose.helpers import codes, container, convert, environment, service

VARIABLES = {"FOO": "first", "EMPTY": "", "_x1": "low", "N": "3"}


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("$FOO", "first"),
        ("${FOO}", "first"),
        ("a${FOO}b$FOO.c", "afirstbfirst.c"),
        ("$FOO_BAR|", "|"),
        ("${FOO}_BAR", "first_BAR"),
        ("$_x1", "low"),
        ("$$FOO", "$FOO"),
        ("$$$FOO", "$first"),
        ("$$$$", "$$"),
        ("$(pwd) $1 $ ${N}", "$(pwd) $1 $ 3"),
        ("100%$", "100%$"),
        ("${NO:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NO-d}", "d"),
        ("${NO:-}", ""),
        ("${FOO:+yes}", "yes"),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${NO+yes}", ""),
        ("${FOO:?must}", "first"),
        ("${NO:-a:-b}", "a:-b"),
        ("${NO:-a-b?c+d}", "a-b?c+d"),
        ("${NO:-${FOO}}", "first"),
        ("${NO:-x${NO2:-y${N}}z}", "xy3z"),
        ("${NO:-$$}", "$"),
        ('${NO:-{"a":{"b":1}}}!', '{"a":{"b":1}}!'),
        ("${NO:-http://x:80/?a=b}", "http://x:80/?a=b"),
        ("${FOO:-${NO:?unused}}", "first"),
    ],
)
def test_substitution(template: str, result: str) -> None:
    found = substitute(template, VARIABLES.get)
    assert found.text == result
    assert found.missing == ()


@pytest.mark.parametrize(
    "template", ["${FOO", "${", "${}", "${1A}", "${FOO!x}", "${a b}", "${NO:-${}"]
)
def test_malformed_templates(template: str) -> None:
    with pytest.raises(TemplateError):
        substitute(template, VARIABLES.get)


@pytest.mark.parametrize(
    ("template", "missing"),
    [
        ("${NO?}", ("NO", "")),
        ("${NO:?set it}", ("NO", "set it")),
        ("${EMPTY:?set ${FOO}}", ("EMPTY", "set first")),
    ],
)
def test_required_variables(template: str, missing: tuple[str, str]) -> None:
    assert substitute(template, VARIABLES.get).missing == (missing,)


@given(st.text(alphabet=st.characters(exclude_characters="$")), st.text())
def test_text_without_dollars_stays_and_values_are_final(plain: str, value: str) -> None:
    assert substitute(plain, {}.get).text == plain
    assert substitute("${A}", {"A": value}.get).text == value


@given(st.text())
def test_doubling_every_dollar_gives_the_text_back(text: str) -> None:
    assert substitute(text.replace("$", "$$"), {}.get).text == text


@given(st.lists(st.sampled_from(["$", "{", "}", "A", ":-", ":?", "+", "x", "$$", "${A}"])))
def test_any_mix_of_pieces_is_text_or_a_template_error(pieces: list[str]) -> None:
    with contextlib.suppress(TemplateError):
        substitute("".join(pieces), {"A": "v"}.get)


def test_keys_are_not_interpolated() -> None:
    result = convert("services: {'$A': {image: a}}", variables={"A": "web"})
    assert codes(result) == ["CMP007"]


def test_every_missing_variable_is_reported_with_its_place() -> None:
    result = convert(
        """
        services:
          web:
            image: a
            environment:
              A: ${ONE:?first}
              B: ${TWO?}
        """
    )
    assert [(d.code, d.line, d.column) for d in result.diagnostics] == [
        ("CMP120", 6, 10),
        ("CMP120", 7, 10),
    ]
    assert "required variable ONE is missing a value: first" in str(result.diagnostics[0])


def test_the_project_wins_over_the_env_file() -> None:
    result = service(
        "environment: ['A=$A', 'B=$B']",
        files={".env": b"A=file\nB=file"},
        variables={"A": "project"},
    )
    assert environment(result) == {"A": "project", "B": "file"}


def test_a_value_says_which_variable_made_it_wrong() -> None:
    result = service("privileged: ${P:-true}\nnetwork_mode: $MODE", variables={"MODE": "host"})
    texts = [str(d) for d in result.diagnostics]
    assert any("CMP301" in text and "(from ${MODE})" in text for text in texts)
    assert any("CMP311" in text and "(from ${P})" in text for text in texts)


def test_unset_variables_become_empty_with_a_warning() -> None:
    result = service("environment: {A: 'x${NOBODY}y'}")
    assert environment(result) == {"A": "xy"}
    assert codes(result) == ["CMP121"]


def test_dollars_of_the_final_command_are_kept_from_kubernetes() -> None:
    result = service("command: [echo, '$$HOME', '$$$$', '$$(PATH)', '$A']", variables={"A": "$(B)"})
    assert container(result)["args"] == ["echo", "$$HOME", "$$$$", "$$(PATH)", "$$(B)"]


def test_dollars_in_the_environment_need_no_escape() -> None:
    assert environment(service("environment: {A: 'x$$(B)$$$$'}")) == {"A": "x$(B)$$"}


@pytest.mark.parametrize(
    ("name", "variables", "wanted"),
    [
        ("", {}, "shop"),
        ("name: other", {}, "other"),
        ("name: ${N:-deflt}-x", {"N": "n"}, "n-x"),
        ("name: other", {"COMPOSE_PROJECT_NAME": "given"}, "given"),
    ],
)
def test_the_name_of_the_project(name: str, variables: dict[str, str], wanted: str) -> None:
    text = f"{name}\nservices: {{web: {{image: a, environment: [P=$COMPOSE_PROJECT_NAME]}}}}"
    assert environment(convert(text, variables=variables)) == {"P": wanted}


@pytest.mark.parametrize("name", ["Upper", "a b", "-x", "''"])
def test_a_name_that_is_no_project_name(name: str) -> None:
    assert codes(convert(f"name: {name}\nservices: {{web: {{image: a}}}}")) == ["CMP006"]
