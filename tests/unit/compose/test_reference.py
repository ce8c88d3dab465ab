"""The documentation says what the table says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from agent.compose import keys
from agent.compose.reference import code_table, explain, key_table

PAGE = Path(__file__).parents[3] / "docs/compose.md"


def test_the_page_has_the_tables_of_the_converter() -> None:
    """After a wanted change: `SKERRY_UPDATE_GOLDEN=1 pytest
    tests/unit/compose/test_reference.py`."""
    page = PAGE.read_text()
    for name, table in (("keys", key_table()), ("codes", code_table())):
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
        assert pattern.search(page), name
        page = pattern.sub(lambda _, s=start, t=table, e=end: f"{s}\n{t}\n{e}", page)
    if os.environ.get("SKERRY_UPDATE_GOLDEN"):
        PAGE.write_text(page)
    assert page == PAGE.read_text()


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
