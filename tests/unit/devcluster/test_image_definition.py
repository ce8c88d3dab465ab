"""Reading `image.toml`: every key, and a message that names the place for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from devcluster.errors import ImageError
from devcluster.image.definition import Account, Copy, Definitions, Directory, read

ROOT = Path(__file__).resolve().parents[3]


def written(folder: Path, text: str) -> Path:
    path = folder / "image.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    (tmp_path / "requirements.txt").write_text("# what the app needs\nflask==3\n\n")
    definition = read(
        written(
            tmp_path,
            """
            refs = ["docker.io/library/web:1.0"]
            base = "python"
            debian = ["curl"]
            without = ["perl"]
            python = ["idna"]
            requirements = "requirements.txt"
            run = ["true"]
            user = "999:998"
            entrypoint = ["/app.py"]
            cmd = ["serve"]
            workdir = "/srv"
            expose = ["80/tcp"]
            volumes = ["/data"]
            stop_signal = "SIGINT"
            [env]
            A = "b"
            [labels]
            "x.y/z" = "1"
            [programs]
            coredns = "/coredns"
            [[copy]]
            from = "app.py"
            to = "/app.py"
            mode = "0700"
            owner = "5"
            [[directory]]
            path = "/data"
            mode = "1777"
            [[symlink]]
            path = "/bin/sh"
            to = "busybox"
            [[account]]
            name = "web"
            id = 999
            """,
        ),
        tmp_path,
    )
    assert definition.python == ("idna", "flask==3")
    assert definition.copies == (Copy(tmp_path / "app.py", "/app.py", 0o700, (5, 5)),)
    assert definition.directories == (Directory("/data", 0o1777, (0, 0)),)
    assert definition.symlinks == {"/bin/sh": "busybox"}
    assert definition.accounts == (Account("web", 999, "/nonexistent", "/usr/sbin/nologin"),)
    assert (definition.user, definition.stop_signal) == ("999:998", "SIGINT")
    assert definition.env == {"A": "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("refs = [", "not TOML"),
        ("", "refs: is required"),
        ('refs = ["web"]', "refs: 'web' is not a full name with a tag"),
        ('refs = ["docker.io/library/Web:1"]', "is not a full name"),
        ('refs = ["a/b:1"]\nuser = "root"', "user: 'root' must be numeric"),
        ('refs = ["a/b:1"]\ndebain = ["curl"]', "debain: is not a key"),
        ('refs = ["a/b:1"]\ncmd = "sh"', "cmd: must be a list of texts"),
        ('refs = ["a/b:1"]\nenv = {A = 1}', "env: must be a table of texts"),
        (
            'refs = ["a/b:1"]\n[[copy]]\nfrom = "../.."\nto = "/x"',
            "leads out of",
        ),
        ('refs = ["a/b:1"]\n[[copy]]\nto = "/x"', "copy: needs `from` and `to`"),
        ('refs = ["a/b:1"]\n[[directory]]\npath = "/x"\nmode = "9"', "mode: '9' must be octal"),
        ('refs = ["a/b:1"]\n[[symlink]]\npath = "/x"', "symlink: needs `to`"),
        ('refs = ["a/b:1"]\n[programs]\nx = "y"', "'y' must be an absolute path"),
        ('refs = ["a/b:1"]\nrequirements = "no.txt"', "requirements: 'no.txt'"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        read(written(tmp_path, text), tmp_path)
    assert str(tmp_path / "image.toml") in str(caught.value)
    assert message in str(caught.value)


def test_definitions_are_found_by_folder_and_by_ref(tmp_path: Path) -> None:
    written(tmp_path / "deploy/images/agent", 'refs = ["a.b/agent:1", "a.b/agent:2"]')
    written(tmp_path / "examples/shop/images/web", 'refs = ["a.b/web:1"]')
    found = Definitions(tmp_path)
    assert [one.name for one in found] == ["agent", "web"]
    assert found.find("agent") is found.find("a.b/agent:2")
    with pytest.raises(ImageError, match="there are: agent, "):
        found.find("shop")


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "deploy/images/web", 'refs = ["a.b/web:1"]')
    written(tmp_path / "examples/shop/images/web", 'refs = ["a.b/other:1"]')
    with pytest.raises(ImageError, match="the name 'web' is taken"):
        Definitions(tmp_path)


def test_a_copy_may_come_from_the_repositorys_root_and_leave_things_out(tmp_path: Path) -> None:
    for name in ("lib/a.py", "lib/cli/b.py", "lib/__pycache__/c.pyc", "lib/note.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    text = 'refs = ["a/b:1"]\n[[copy]]\nfrom = "//lib"\nto = "/x"\nexclude = ["cli", "*.md"]'
    definition = read(written(tmp_path / "deploy/images/x", text), tmp_path)
    assert definition.copies[0].files() == [tmp_path / "lib/a.py"]


def test_what_is_copied_must_exist_when_the_image_is_built(tmp_path: Path) -> None:
    text = 'refs = ["a/b:1"]\n[[copy]]\nfrom = "build"\nto = "/x"'
    definition = read(written(tmp_path, text), tmp_path)
    with pytest.raises(ImageError, match="build does not exist"):
        definition.copies[0].files()


def test_a_mistake_in_one_definition_leaves_the_others_usable(tmp_path: Path) -> None:
    written(tmp_path / "deploy/images/bad", "refs = 1")
    written(tmp_path / "deploy/images/good", 'refs = ["a.b/good:1"]')
    found = Definitions(tmp_path)
    assert found.find("good").refs == ("a.b/good:1",)
    with pytest.raises(ImageError, match="refs: must be a list"):
        found.find("bad")


def test_the_definitions_of_this_repository_are_right() -> None:
    names = {definition.name for definition in Definitions(ROOT)}
    assert {"pause", "coredns", "python", "postgres", "garage", "helm-job"} <= names
