"""No key of a real file is dropped without a word, whatever the converter's own table says.

The raw YAML is walked; each key a service has must show in the manifests (`traces`) or be named by
a diagnostic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from agent.compose import Plan
from tests.unit.compose import oracle
from tests.unit.compose.corpus import traces
from tests.unit.compose.corpus.files import FILES, convert, needs_corpus, variables
from tests.unit.compose.corpus.traces import Converted

pytestmark = needs_corpus


def is_named(plan: Plan, path: str) -> bool:
    """Whether a diagnostic is about the place or something below it."""
    return any(
        d.path == path or d.path.startswith((f"{path}.", f"{path}[")) for d in plan.diagnostics
    )


def shows(look: Callable[[], bool]) -> bool:
    """Whether the trace is there; a part of the manifest that is missing is no trace."""
    try:
        return bool(look())
    except (KeyError, TypeError):
        return False


def dropped(name: str) -> Iterator[str]:
    plan = convert(name)
    known = variables(name)
    tree = oracle.read(FILES[name].read_bytes(), known)
    yield from dropped_at_top(tree, plan)
    kept = {facts.original_name for facts in plan.services}
    for service, keys in tree["services"].items():
        path = f"services.{service}"
        if service not in kept:
            if not (keys or {}).get("profiles"):
                yield path
            continue
        files = {
            p.relative_to(FILES[name].parent).as_posix(): p.read_bytes()
            for p in FILES[name].parent.rglob("*env*")
            if p.is_file()
        }
        expected = oracle.environment(keys or {}, files, known)
        yield from dropped_of(Converted(service, tree, plan, expected), path)


def dropped_at_top(tree: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    claims = {v.original_name for v in plan.volumes}
    mounted = str(tree["services"])
    for key, below in tree.items():
        if key.startswith("x-") or key in ("services", "name"):
            continue
        if key == "volumes":
            unused = (v for v in below or {} if v not in claims and v in mounted)
            yield from (f"volumes.{v}" for v in unused if not is_named(plan, f"volumes.{v}"))
        elif key in ("configs", "secrets"):
            continue  # seen where a service mounts them
        elif key == "networks":
            for network, options in (below or {}).items():
                for option, value in (options or {}).items():
                    harmless = option == "driver" and value in ("bridge", "overlay")
                    place = f"networks.{network}.{option}"
                    if not harmless and value != "false" and not is_named(plan, place):
                        yield place
        elif not is_named(plan, key):
            yield key


def dropped_of(c: Converted, path: str) -> Iterator[str]:
    for key, value in c.service.items():
        place = f"{path}.{key}"
        if key.startswith("x-") or value in (None, "", [], {}):
            continue
        if key == "volumes":
            for index, item in enumerate(value):
                at = f"{place}[{index}]"
                if not shows(lambda item=item: traces.volumes(c, item)) and not is_named(
                    c.plan, at
                ):
                    yield at
        elif key == "deploy":
            yield from dropped_of_deploy(c, value, place, "")
        elif key in traces.KEYS and shows(lambda key=key: traces.KEYS[key](c)):
            continue
        elif not is_named(c.plan, place):
            yield place


def dropped_of_deploy(
    c: Converted, tree: Mapping[str, Any], path: str, inner: str
) -> Iterator[str]:
    for key, value in tree.items():
        at, below = f"{path}.{key}", f"{inner}.{key}".lstrip(".")
        look = traces.DEPLOY.get(below)
        if look is not None and shows(lambda look=look, value=value: look(c, value)):
            continue
        if is_named(c.plan, at):
            continue
        if isinstance(value, Mapping):
            yield from dropped_of_deploy(c, value, at, below)
        else:
            yield at


@pytest.mark.parametrize("name", [name for name in FILES if not convert(name).rejected])
def test_every_key_leaves_a_trace(name: str) -> None:
    assert list(dropped(name)) == []
