"""Compose projects as they may and may not be sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.domain.apps import Bundle, SourceFile
from controlplane.domain.bundles import check_bundle, path_problem
from controlplane.domain.errors import InvalidField, RequestTooLarge

COMPOSE = SourceFile("compose.yaml", b"services: {}")


def bundle(*files: SourceFile, compose: tuple[str, ...] = ("compose.yaml",)) -> Bundle:
    return Bundle(compose, (COMPOSE, *files), {})


def fields(bad: Bundle) -> list[str]:
    with pytest.raises(InvalidField) as caught:
        check_bundle(bad)
    return [violation.field for violation in caught.value.violations]


def test_a_usual_bundle_is_fine() -> None:
    files = (SourceFile("web/.env", b"A=1"), SourceFile("data/x.bin", b"\0\xff"))
    check_bundle(Bundle(("compose.yaml",), (COMPOSE, *files), {"A_1": "x" * 100}))


def test_nothing_is_not_a_project() -> None:
    assert fields(Bundle((), (), {})) == ["bundle.files", "bundle.compose_files"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "./a",
        "a/",
        "a\\b",
        "a\nb",
        "a\0b",
        "x" * 256,
    ],
)
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    assert fields(bundle(SourceFile(path, b""))) == ["bundle.files[1].path"]


def test_deep_folders_are_refused() -> None:
    assert fields(bundle(SourceFile("a/" * 20 + "b", b""))) == ["bundle.files[1].path"]


@given(st.text(max_size=40))
def test_a_path_that_is_fine_stays_in_its_folder(path: str) -> None:
    if path_problem(path) is None:
        assert path
        assert not path.startswith("/")
        assert ".." not in path.split("/")


def test_two_files_of_one_path_are_refused() -> None:
    assert fields(bundle(SourceFile("a", b"1"), SourceFile("a", b"2"))) == ["bundle.files[2].path"]


def test_a_file_cannot_be_a_folder_too() -> None:
    assert fields(bundle(SourceFile("a", b""), SourceFile("a/b", b""))) == ["bundle.files[1].path"]


def test_compose_files_are_among_the_files_once() -> None:
    assert fields(bundle(compose=("other.yaml",))) == ["bundle.compose_files[0]"]
    assert fields(bundle(compose=("compose.yaml",) * 2)) == ["bundle.compose_files[1]"]


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A" * 129])
def test_variables_have_names_of_variables(name: str) -> None:
    [field] = fields(Bundle(("compose.yaml",), (COMPOSE,), {name: "x"}))
    assert field.startswith("bundle.variables")


def test_a_secret_value_is_not_in_the_error() -> None:
    with pytest.raises(InvalidField) as caught:
        check_bundle(Bundle(("compose.yaml",), (COMPOSE,), {"A": "hunter2\0"}))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "big",
    [
        bundle(SourceFile("big", b"x" * 1024 * 1024)),
        bundle(*(SourceFile(f"f{n}", b"") for n in range(200))),
        Bundle(("compose.yaml",), (COMPOSE,), {f"V{n}": "" for n in range(501)}),
        Bundle(("compose.yaml",), (COMPOSE,), {f"V{n}": "x" * 30_000 for n in range(10)}),
    ],
    ids=["bytes", "files", "variables", "values"],
)
def test_too_much_is_refused_with_the_limit(big: Bundle) -> None:
    with pytest.raises(RequestTooLarge, match="at most"):
        check_bundle(big)


def test_only_so_many_violations_are_listed() -> None:
    assert len(fields(bundle(*(SourceFile(f"../{n}", b"") for n in range(100))))) == 20
