"""The documentation says what the table says."""

from __future__ import annotations

import pytest
from composepage import kompose
from composepage.page import PAGE, updated

from agent.compose import keys
from agent.compose.reference import explain


def test_the_page_has_the_tables_of_the_converter() -> None:
    page = PAGE.read_text()
    assert page == updated(page), "run PYTHONPATH=scripts/lib python -m composepage"


def test_every_key_has_a_line_with_what_kompose_does() -> None:
    page = PAGE.read_text()
    for key in keys.table():
        assert f"\n| `{key.path}` | " in page, key.path
        assert kompose.fact(key.path), key.path


@pytest.mark.parametrize("path", kompose.FACTS)
def test_facts_are_about_keys_of_the_table(path: str) -> None:
    assert path in {key.path for key in keys.table()}


def test_a_page_without_a_place_for_a_part_is_an_error() -> None:
    with pytest.raises(ValueError, match="one place for flags"):
        updated("# Nothing")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("ports", "services.*.ports.[].target"),
        ("services.web.ports[0].target", "services.*.ports.[].target (text): converted."),
        ("privileged", "refused CMP311"),
        ("deploy.replicas", "services.*.deploy.replicas"),
        ("volumes.data.driver", "volumes.*.driver"),
        ("cmp402", "services.*.pids_limit"),
    ],
)
def test_explain(wanted: str, said: str) -> None:
    assert said in explain(wanted)


def test_explain_nothing() -> None:
    assert explain("nonsense") == ""


def test_every_key_can_be_explained() -> None:
    for key in keys.table():
        assert key.path in explain(key.path), key.path
