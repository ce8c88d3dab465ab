"""Several files, extends, include, !reset and !override, with the origin of every value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.compose import SourceFile, plan
from tests.unit.compose.helpers import (
    CONTEXT,
    accepted,
    codes,
    container,
    convert,
    environment,
    errors,
    pod,
)


def test_a_later_file_wins_and_adds() -> None:
    result = convert(
        "services: {web: {image: a, environment: [A=1, B=1], command: [x, y], ports: ['80']}}",
        "services: {web: {environment: {B: 2}, command: [z], ports: ['81', '80']}}",
    )
    assert environment(result) == {"A": "1", "B": "2"}
    assert container(result)["args"] == ["z"]
    assert [p["containerPort"] for p in container(result)["ports"]] == [80, 81]


def test_mounts_merge_by_target() -> None:
    result = convert(
        "services: {web: {image: a, volumes: ['one:/data', 'one:/other']}}\nvolumes: {one: , two: }",
        "services: {web: {volumes: ['two:/data/']}}",
    )
    mounts = [(m["name"], m["mountPath"]) for m in container(result)["volumeMounts"]]
    assert mounts == [("claim-shop-two", "/data"), ("claim-shop-one", "/other")]


def test_reset_removes_and_override_replaces() -> None:
    result = convert(
        "services: {web: {image: a, user: '5', ports: ['80', '81'], environment: {A: 1, B: 2}}}",
        """
        services:
          web:
            user: !reset null
            ports: !override ["82"]
            environment: {A: !reset null}
        """,
    )
    assert "runAsUser" not in pod(result)["securityContext"]
    assert [p["containerPort"] for p in container(result)["ports"]] == [82]
    assert environment(result) == {"B": "2"}


def test_reset_of_a_refused_key_makes_the_app_acceptable() -> None:
    result = convert(
        "services: {web: {image: a, privileged: true}}",
        "services: {web: {privileged: !reset null}}",
    )
    assert not result.rejected


def test_documents_of_one_file_are_merged() -> None:
    result = convert("services: {web: {image: a}}\n---\nservices: {web: {image: b}}")
    assert container(result)["image"] == "b"


def test_extends_in_the_same_file() -> None:
    result = convert(
        """
        services:
          base: {image: a, environment: {A: 1, B: 1}, profiles: [never]}
          web: {extends: base, environment: {B: 2}, profiles: !reset []}
        """
    )
    assert environment(result) == {"A": "1", "B": "2"}
    assert container(result)["image"] == "a"


def test_extends_of_another_file_moves_its_paths() -> None:
    files = {
        "common/base.yml": b"services: {app: {image: a, env_file: vars.env, volumes: ['./c:/c:ro']}}",
        "common/vars.env": b"A=1",
        "common/c": b"content",
    }
    result = convert(
        "services: {web: {extends: {file: common/base.yml, service: app}}}", files=files
    )
    assert environment(result) == {"A": "1"}
    assert container(result)["volumeMounts"][0]["mountPath"] == "/c"


def test_extends_over_several_files_names_the_way() -> None:
    files = {
        "a/one.yml": b"services: {one: {extends: {file: ../b/two.yml, service: two}}}",
        "b/two.yml": b"services:\n  two:\n    image: a\n    network_mode: host",
    }
    result = convert("services:\n  web:\n    extends: {file: a/one.yml, service: one}", files=files)
    (found,) = result.diagnostics
    assert found.code == "CMP301"
    assert str(found).startswith(
        "b/two.yml:4:19 (via extends at a/one.yml:1:57, extends at compose.yml:3:41): error CMP301"
    )


@pytest.mark.parametrize(
    ("extends", "code"),
    [
        ("{file: ../x.yml, service: a}", "CMP111"),
        ("{file: none.yml, service: a}", "CMP111"),
        ("{file: 'https://x/y.yml', service: a}", "CMP111"),
        ("{file: ok.yml, service: none}", "CMP113"),
        ("nobody", "CMP113"),
        ("web", "CMP112"),
        ("{file: loop.yml, service: a}", "CMP112"),
    ],
)
def test_extends_that_cannot_be_followed(extends: str, code: str) -> None:
    files = {
        "ok.yml": b"services: {a: {image: a}}",
        "loop.yml": b"services: {a: {extends: {file: loop.yml, service: a}}}",
    }
    result = convert(f"services: {{web: {{image: a, extends: {extends}}}}}", files=files)
    assert errors(result) == [code]


def test_include_brings_services_with_their_own_paths_and_variables() -> None:
    files = {
        "db/compose.yml": b"services: {db: {image: 'postgres:${V}', env_file: [db.env]}}",
        "db/.env": b"V=17",
        "db/db.env": b"P=x",
    }
    result = convert("include: [db/compose.yml]\nservices: {web: {image: a}}", files=files)
    assert container(result, "db")["image"] == "postgres:17"
    assert environment(result, "shop-db-env") == {"P": "x"}


def test_the_including_file_wins() -> None:
    files = {"x.yml": b"services: {web: {image: old, user: '7'}}"}
    result = convert("include: [{path: x.yml}]\nservices: {web: {image: new}}", files=files)
    assert container(result)["image"] == "new"
    assert pod(result)["securityContext"]["runAsUser"] == 7


def test_project_variables_win_over_those_of_an_include() -> None:
    files = {"x/c.yml": b"services: {web: {image: '${I}'}}", "x/.env": b"I=env"}
    result = convert("include: [x/c.yml]", files=files, variables={"I": "project"})
    assert container(result)["image"] == "project"


@pytest.mark.parametrize(
    ("include", "code"),
    [
        ("['../other/compose.yml']", "CMP110"),
        ("[/etc/passwd]", "CMP110"),
        ("[missing.yml]", "CMP110"),
        ("['git@github.com:a/b.git']", "CMP110"),
        ("[loop.yml]", "CMP112"),
        ("[bad.yml]", "CMP015"),
    ],
)
def test_include_that_cannot_be_followed(include: str, code: str) -> None:
    files = {"loop.yml": b"include: [loop.yml]\nservices: {x: {image: a}}", "bad.yml": b"a: b: c"}
    result = convert(f"include: {include}\nservices: {{web: {{image: a}}}}", files=files)
    assert errors(result) == [code]


def test_copies_by_extends_are_bounded() -> None:
    chain = "".join(
        f"  s{i}: {{extends: s{i - 1}, labels: {{k{i}: v}}}}\n" if i else
        "  s0: {image: a, environment: {" + ", ".join(f"V{n}: 1" for n in range(2_000)) + "}}\n"
        for i in range(100)
    )  # fmt: skip
    assert "CMP014" in codes(convert(f"services:\n{chain}"))


def test_relative_paths_start_at_the_first_file() -> None:
    files = {"deploy/compose.yml": b"", "deploy/app.conf": b"x", "shared/y.conf": b"y"}
    text = "services: {web: {image: a, volumes: ['./app.conf:/a:ro', '../shared/y.conf:/b:ro']}}"
    result = plan([SourceFile("deploy/compose.yml", text.encode())], replace(CONTEXT, files=files))
    assert len(container(accepted(result))["volumeMounts"]) == 2
