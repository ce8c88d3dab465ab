"""What is sent with a deploy, and what can never be."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skerry.cli.bundle.collect import MAX_BYTES, Collected, Inputs, app_id, collect
from skerry.cli.bundle.mentions import mentions
from skerry.cli.bundle.variables import fill, parse_env_file
from skerry.cli.exit_codes import UsageError

SECRET = b"OUTSIDE-THE-FOLDER"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project folder beside files that are none of its business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_bytes(SECRET)
    (tmp_path / "secret.env").write_bytes(SECRET)
    inside = tmp_path / "project"
    inside.mkdir()
    return inside


def write(folder: Path, files: Mapping[str, str]) -> None:
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)


def gather(
    folder: Path,
    *compose_files: str,
    env_files: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Collected:
    return collect(
        Inputs(compose_files, env_files, folder, environ or {}, lambda most: stdin[:most])
    )


def paths(collected: Collected) -> list[str]:
    return sorted(file.path for file in collected.bundle.files)


def test_every_kind_of_file_that_compose_names(folder: Path) -> None:
    write(
        folder,
        {
            "compose.yaml": """
                name: shop
                include: [inc/more.yaml, {path: [inc/third.yaml], env_file: inc/third.env}]
                services:
                  web:
                    env_file: [web.env, {path: ./other.env, required: false}]
                    extends: {file: base.yaml, service: base}
                    volumes:
                      - ./conf:/etc/conf:ro
                      - {type: bind, source: one.conf, target: /one}
                      - data:/data
                      - /anonymous
                configs: {c: {file: c.txt}}
                secrets: {s: {file: s.txt}, e: {environment: TOKEN}}
                volumes: {data: {}}
                """,
            "inc/more.yaml": "services: {x: {env_file: near.env}}",
            "inc/near.env": "",
            "inc/third.yaml": "",
            "inc/third.env": "",
            "base.yaml": "services: {base: {label_file: labels.txt}}",
            "labels.txt": "",
            "web.env": "",
            "other.env": "",
            "conf/a": "",
            "conf/b/c": "",
            "one.conf": "",
            "c.txt": "",
            "s.txt": "",
            "unmentioned": "",
            ".env": "",
        },
    )
    collected = gather(folder)
    everything = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }
    assert set(paths(collected)) == everything - {"unmentioned"}
    assert list(collected.bundle.compose_files) == ["compose.yaml"]
    assert collected.left_out == []


def test_the_usual_names_are_found_with_their_override(folder: Path) -> None:
    write(folder, {"docker-compose.yml": "", "docker-compose.override.yml": "", "x.yml": ""})
    collected = gather(folder)
    assert list(collected.bundle.compose_files) == [
        "docker-compose.yml",
        "docker-compose.override.yml",
    ]


def test_no_compose_file(folder: Path) -> None:
    with pytest.raises(UsageError, match="name a file with -f"):
        gather(folder)


def test_a_compose_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read x\.yml: there is no such file"):
        gather(folder, "x.yml")


def test_a_folder_is_no_compose_file(folder: Path) -> None:
    write(folder, {"sub/compose.yaml": ""})
    with pytest.raises(UsageError, match="cannot read sub: it is a folder"):
        gather(folder, "sub")


def test_an_included_file_may_name_what_lies_above_it(folder: Path) -> None:
    write(
        folder,
        {
            "compose.yaml": "include: inc/more.yaml",
            "inc/more.yaml": "services: {web: {env_file: ../web.env}}",
            "web.env": "",
        },
    )
    collected = gather(folder)
    assert paths(collected) == ["compose.yaml", "inc/more.yaml", "web.env"]
    assert collected.left_out == []


def test_files_of_another_folder_keep_their_order(folder: Path) -> None:
    write(folder, {"deploy/a.yml": "", "deploy/b.yml": ""})
    collected = gather(folder, "deploy/b.yml", str(folder / "deploy" / "a.yml"))
    assert list(collected.bundle.compose_files) == ["b.yml", "a.yml"]


def test_a_compose_file_from_standard_input(folder: Path) -> None:
    write(folder, {"web.env": "A=1"})
    collected = gather(folder, "-", stdin=b"name: piped\nservices: {web: {env_file: web.env}}")
    assert paths(collected) == ["stdin.yaml", "web.env"]
    assert collected.app_id == "piped"


def test_a_second_compose_file_outside_the_folder(folder: Path) -> None:
    write(folder, {"a.yml": ""})
    with pytest.raises(UsageError, match="is outside"):
        gather(folder, "a.yml", "../secret.env")


def test_a_compose_file_that_is_a_link_to_somewhere_else(folder: Path) -> None:
    (folder / "compose.yaml").symlink_to("../secret.env")
    with pytest.raises(UsageError, match="symbolic link"):
        gather(folder)


@pytest.mark.parametrize(
    "source",
    [
        "../secret.env", "./../outside", "/etc/passwd", "~/.ssh", "link", "linked/key", "a/../../outside",
        "${UP}/secret.env",
    ],
)  # fmt: skip
def test_what_leads_outside_is_left_out_and_said(folder: Path, source: str) -> None:
    (folder / "link").symlink_to("../secret.env")
    (folder / "linked").symlink_to("../outside")
    (folder / "a").mkdir()
    write(folder, {"compose.yaml": f"services: {{web: {{env_file: '{source}'}}}}"})
    collected = gather(folder, environ={"UP": ".."})
    assert paths(collected) == ["compose.yaml"]
    assert len(collected.left_out) == 1
    assert "project folder" in collected.left_out[0]


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    write(folder, {"compose.yaml": "services: {web: {env_file: link}}", "real.env": "A=1"})
    (folder / "link").symlink_to("real.env")
    (file,) = (f for f in gather(folder).bundle.files if f.path == "link")
    assert file.content == b"A=1"


def test_links_in_a_mounted_folder_do_not_lead_out(folder: Path) -> None:
    write(folder, {"compose.yaml": "services: {web: {volumes: ['./conf:/c']}}", "conf/a": ""})
    (folder / "conf" / "evil").symlink_to("../../outside/key")
    collected = gather(folder)
    assert SECRET not in b"".join(file.content for file in collected.bundle.files)
    assert any("conf" in note for note in collected.left_out)


def test_a_loop_of_links_ends(folder: Path) -> None:
    write(folder, {"compose.yaml": "services: {web: {env_file: loop}}"})
    (folder / "loop").symlink_to("loop")
    assert paths(gather(folder)) == ["compose.yaml"]


def test_a_compose_file_that_includes_itself(folder: Path) -> None:
    write(
        folder,
        {"compose.yaml": "include: [compose.yaml, b.yaml]", "b.yaml": "include: compose.yaml"},
    )
    assert paths(gather(folder)) == ["b.yaml", "compose.yaml"]


def test_a_fifo_is_not_read(folder: Path) -> None:
    write(folder, {"compose.yaml": "services: {web: {env_file: pipe}}"})
    os.mkfifo(folder / "pipe")
    assert gather(folder).left_out == ["pipe: is no regular file"]


def test_too_large_a_folder_is_left_out_whole(folder: Path) -> None:
    write(folder, {"compose.yaml": "services: {web: {volumes: ['./data:/data']}}", "data/a": "x"})
    (folder / "data" / "big").write_bytes(b"x" * MAX_BYTES)
    collected = gather(folder)
    assert paths(collected) == ["compose.yaml"]
    assert "too large" in collected.left_out[0]


def test_too_large_a_compose_file_is_refused(folder: Path) -> None:
    (folder / "compose.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(UsageError, match=r"at most 1\.0 MiB"):
        gather(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"\xff\xfe\x00",
        b"a: &a [*a]",
        b"- 1",
        b"[" * 50_000,
        b"services: {web: 3}",
        b"!x y",
    ],
    ids=["empty", "broken", "binary", "cycle", "list", "deep", "wrong", "tag"],
)
def test_compose_files_that_cannot_be_read_are_sent_as_they_are(
    folder: Path, content: bytes
) -> None:
    (folder / "compose.yaml").write_bytes(content)
    assert gather(folder).bundle.files[0].content == content


def test_an_alias_bomb_is_walked_in_no_time() -> None:
    lines = ["a0: &a0 {x: '${V0}'}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 60)]
    lines.append("services: *a59")
    assert mentions("\n".join(lines).encode()).variables == {"V0"}


def test_variables_of_the_shell_are_sent_only_when_mentioned(folder: Path) -> None:
    write(
        folder,
        {
            "compose.yaml": """
                services:
                  web:
                    image: app:${TAG:-latest}
                    command: echo $$HOME $PLAIN
                    environment: [BARE, SET=1]
                  api: {environment: {EMPTY: , FULL: x, QUOTED: ''}}
                """,
        },
    )
    everything = dict.fromkeys(
        [
            "TAG",
            "HOME",
            "PLAIN",
            "BARE",
            "SET",
            "EMPTY",
            "FULL",
            "QUOTED",
            "PATH",
            "COMPOSE_PROFILES",
        ],
        "v",
    )
    sent = gather(folder, environ=everything).bundle.default_variables
    assert set(sent) == {"TAG", "PLAIN", "BARE", "EMPTY", "COMPOSE_PROFILES"}


def test_env_files_replace_dot_env_and_the_shell_wins(folder: Path) -> None:
    write(
        folder,
        {
            "compose.yaml": "services: {web: {image: '$A$B$C'}}",
            ".env": "A=dot",
            "one.env": "A=one\nB=one\nC=one",
            "two.env": "B=two",
        },
    )
    collected = gather(folder, env_files=["one.env", "two.env"], environ={"C": "shell"})
    assert dict(collected.bundle.variables) == {"A": "one", "B": "two", "C": "shell"}
    assert not collected.bundle.default_variables
    assert paths(collected) == ["compose.yaml"]
    assert paths(gather(folder)) == [".env", "compose.yaml"]


def test_an_env_file_that_is_not_there(folder: Path) -> None:
    write(folder, {"compose.yaml": ""})
    with pytest.raises(UsageError, match=r"cannot read --env-file x\.env"):
        gather(folder, env_files=["x.env"])


def test_paths_are_filled_with_variables(folder: Path) -> None:
    write(
        folder,
        {
            "compose.yaml": """
                services:
                  web: {env_file: "${WHERE}/a.env", volumes: ["${CONF:-./conf}:/c"]}
                  api: {env_file: "${UNSET}/x.env"}
                """,
            ".env": "WHERE=envs",
            "envs/a.env": "",
            "conf/x": "",
        },
    )
    collected = gather(folder)
    assert paths(collected) == [".env", "compose.yaml", "conf/x", "envs/a.env"]
    assert collected.left_out == ["${UNSET}/x.env: holds a variable that is not set"]


@pytest.mark.parametrize(
    ("content", "folder_name", "expected"),
    [
        ("name: My_Shop", "x", "my-shop"),
        ("name: ${NAME:-fallback}", "x", "fallback"),
        ("", "Web Shop 2", "web-shop-2"),
        ("", "2048", ""),
        ("name: " + "long" * 20, "x", "longlonglonglonglonglonglonglo"),
    ],
)
def test_the_app_is_named_after_the_project_or_the_folder(
    tmp_path: Path, content: str, folder_name: str, expected: str
) -> None:
    folder = tmp_path / folder_name
    folder.mkdir()
    write(folder, {"compose.yaml": content})
    assert gather(folder).app_id == expected


@settings(deadline=None)
@given(st.text(max_size=60))
def test_an_app_id_is_one_or_nothing(text: str) -> None:
    found = app_id(text)
    assert not found or (found[0].isalpha() and found[-1] != "-" and len(found) <= 30)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$A/${A}/x", "a/a/x"), ("$$A", "$A"), ("${E}", ""), ("${E:-d}", "d"), ("${E-d}", ""),
        ("${N-d}", "d"), ("${N:?why}", None), ("${A:+yes}${N+no}", "yes"), ("$N", None),
    ],
)  # fmt: skip
def test_filling_in(text: str, filled: str | None) -> None:
    assert fill(text, {"A": "a", "E": ""}) == filled


def test_env_file_grammar() -> None:
    content = "\ufeffA=1\nexport B='two words' # note\n\nC=\"x\\ny\"\nD\nE\n".encode()
    assert parse_env_file(content, {"D": "shell"}) == {
        "A": "1",
        "B": "two words",
        "C": "x\ny",
        "D": "shell",
    }


SEGMENT = st.sampled_from(
    [
        "..",
        ".",
        "a",
        "b",
        "link",
        "linked",
        "key",
        "secret.env",
        "outside",
        "~",
        "",
        "${UP}",
        "\x00",
    ]
)
PATH = st.builds(
    lambda lead, parts: lead + "/".join(parts),
    st.sampled_from(["", "./", "/", "../", "//"]),
    st.lists(SEGMENT, max_size=6),
)
KEYS = st.sampled_from(
    [
        "services: {{w: {{env_file: [{p}]}}}}",
        "services: {{w: {{volumes: [{{type: bind, source: {p}}}]}}}}",
        "services: {{w: {{extends: {{file: {p}}}}}}}",
        "include: [{p}]",
        "configs: {{c: {{file: {p}}}}}",
        "secrets: {{c: {{file: {p}}}}}",
    ]
)


@settings(max_examples=200, deadline=None)
@given(KEYS, PATH)
@example("include: [{p}]", "linked/../../secret.env")
def test_no_path_leads_outside(
    tmp_path_factory: pytest.TempPathFactory, template: str, path: str
) -> None:
    top = tmp_path_factory.mktemp("bundle")
    (top / "outside").mkdir()
    (top / "outside" / "key").write_bytes(SECRET)
    (top / "secret.env").write_bytes(SECRET)
    folder = top / "project"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "link").symlink_to("../secret.env")
    (folder / "linked").symlink_to("../outside")
    (folder / "a" / "link").symlink_to(top / "outside" / "key")
    quoted = '"' + path.replace("\x00", "\\0") + '"'
    (folder / "compose.yaml").write_text(template.format(p=quoted))
    bundle = gather(folder, environ={"UP": ".."}).bundle
    assert SECRET not in b"".join(file.content for file in bundle.files)
    assert all(not file.path.startswith(("/", "..")) for file in bundle.files)
