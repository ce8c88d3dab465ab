"""Every real file is refused with exactly the codes it deserves, or accepted."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agent.compose import Severity
from tests.unit.compose import oracle
from tests.unit.compose.corpus import host_access
from tests.unit.compose.corpus.files import FILES, convert, needs_corpus, variables

pytestmark = needs_corpus

_TABLE = tomllib.loads((Path(__file__).parent / "refusals.toml").read_text())
EXPECTED = {
    f"{folder}/{name}": codes for folder, of in _TABLE.items() for name, codes in of.items()
}
# Without services there is nothing to judge; the table has these files.
_NO_PROJECT = {"CMP005", "CMP022"}


def refusal(name: str) -> list[str]:
    return sorted({d.code for d in convert(name).diagnostics if d.severity is Severity.ERROR})


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused_for_what_is_wrong_with_it_and_nothing_else(name: str) -> None:
    assert refusal(name) == EXPECTED.get(name, [])


def test_the_table_has_no_file_that_is_gone() -> None:
    assert EXPECTED.keys() - FILES.keys() == set()


@pytest.mark.parametrize("name", FILES)
def test_whoever_reaches_for_the_host_is_refused(name: str) -> None:
    """The table cannot have learnt a hole of the converter: the text is judged by other means."""
    if _NO_PROJECT & set(EXPECTED.get(name, ())):
        return
    tree = oracle.read(FILES[name].read_bytes(), variables(name))
    assert set(refusal(name)) & host_access.CODES == host_access.wanted(tree)
