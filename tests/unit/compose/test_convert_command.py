"""`skerry-agent convert` on files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from agent.__main__ import app
from agent.bundle import FolderBundle, UnreadableError
from agent.compose.schema import json_schema
from agent.convert import app_name

GOOD = (
    "services: {web: {image: 'nginx:${TAG:-1}', environment: [A=1], volumes: ['./c.conf:/c:ro']}}"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "My Shop"
    project.mkdir()
    monkeypatch.chdir(project)
    (project / "compose.yaml").write_text(GOOD)
    (project / "c.conf").write_text("c")
    return project


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["convert", *arguments], input=stdin)


def kinds(output: str) -> list[str]:
    return [manifest["kind"] for manifest in yaml.safe_load_all(output)]


@pytest.mark.usefixtures("folder")
def test_manifests_go_to_stdout_and_nothing_else() -> None:
    result = run("-f", "compose.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert kinds(result.stdout) == ["Secret", "ConfigMap", "Service", "Deployment"]


@pytest.mark.usefixtures("folder")
def test_without_a_file_the_one_in_the_folder_is_taken() -> None:
    names = {m["metadata"]["labels"]["skerry.dev/app"] for m in yaml.safe_load_all(run().stdout)}
    assert names == {"my-shop"}


def test_an_override_file_is_found_as_docker_compose_does(folder: Path) -> None:
    (folder / "compose.override.yaml").write_text("services: {more: {image: b}}")
    assert kinds(run().stdout).count("Deployment") == 2


@pytest.mark.usefixtures("folder")
def test_json_is_one_list() -> None:
    document = json.loads(run("-o", "json").stdout)
    assert (document["kind"], len(document["items"])) == ("List", 4)


@pytest.mark.usefixtures("folder")
def test_stdin_with_files_of_the_current_folder() -> None:
    result = run("-f", "-", stdin=GOOD.encode())
    assert result.exit_code == 0
    assert "ConfigMap" in kinds(result.stdout)


def test_an_env_file_replaces_dot_env(folder: Path) -> None:
    (folder / ".env").write_text("TAG=dot")
    (folder / "other").write_text("TAG=other")
    assert "nginx:dot" in run().stdout
    assert "nginx:other" in run("--env-file", "other").stdout


def test_the_shell_wins_over_dot_env(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("TAG=dot")
    monkeypatch.setenv("TAG", "shell")
    assert "nginx:shell" in run().stdout


def test_a_rejected_file_gives_findings_and_no_manifests(folder: Path) -> None:
    (folder / "bad.yml").write_text("services: {web: {image: a, privileged: true}}")
    result = run("-f", "bad.yml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("bad.yml:1:40: error CMP311 services.web.privileged: ")


def test_findings_as_json(folder: Path) -> None:
    (folder / "bad.yml").write_text("services: {web: {image: a, foo: true}}")
    (found,) = json.loads(run("-f", "bad.yml", "--diagnostics", "json").stderr)
    assert (found["code"], found["line"], found["severity"]) == ("CMP002", 1, "error")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "arguments", [["-f", "none.yml"], ["--env-file", "none"], ["-o", "xml"], ["-f", "/"], ["--foo"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_no_compose_file_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run()
    assert result.exit_code == 2
    assert "name a file with -f" in result.stderr


def test_app_and_namespace(folder: Path) -> None:
    for manifest in yaml.safe_load_all(run("--app", "x", "-n", "y").stdout):
        assert manifest["metadata"]["namespace"] == "y"
        assert manifest["metadata"]["labels"]["skerry.dev/app"] == "x"
    assert run("--app", "Not A Name").exit_code == 1


def test_nothing_outside_the_folder_is_read(folder: Path) -> None:
    (folder.parent / "secret").write_text("top secret")
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "up").symlink_to(folder.parent)
    (folder / "c.yml").write_text(
        "services: {web: {image: a, volumes: ['./link:/a:ro', './up/secret:/b:ro']}}"
    )
    result = run("-f", "c.yml")
    assert "top secret" not in result.stdout
    assert "ConfigMap" not in kinds(result.stdout)


def test_the_bundle_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"1")
    bundle = FolderBundle(tmp_path, {"given": b"2"})
    assert list(bundle) == ["a/b"]
    assert (bundle["a/b"], bundle["given"]) == (b"1", b"2")
    assert ("a" in bundle, "../x" in bundle, "x\x00" in bundle) == (False, False, False)
    assert str(tmp_path / "a" / "b") not in bundle
    with pytest.raises(KeyError):
        bundle["none"]


def test_a_folder_with_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.bundle.MAX_FILES", 2)
    for name in "abc":
        (tmp_path / name).touch()
    with pytest.raises(UnreadableError, match="more than 2 files"):
        list(FolderBundle(tmp_path))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("My Shop", "my-shop"), ("_x_", "x"), ("", "app"), ("é", "app"), ("a" * 50, "a" * 40)],
)
def test_the_name_of_an_app_from_a_folder(name: str, wanted: str) -> None:
    assert app_name(name) == wanted


def test_scripts_are_readable_blocks(folder: Path) -> None:
    (folder / "c.yml").write_text("services: {a: {image: a, depends_on: [b]}, b: {image: b}}")
    assert "- |\n" in run("-f", "c.yml").stdout


def test_a_folder_in_and_a_folder_out(folder: Path) -> None:
    result = run("-f", str(folder), "--output-dir", "out/deep")
    assert (result.exit_code, result.stdout) == (0, "")
    written = sorted((folder / "out" / "deep").iterdir())
    assert [path.name for path in written] == [
        "001-secret-my-shop-web-env.yaml",
        "002-configmap-my-shop-file-c-conf-ac5e01.yaml",
        "003-service-web.yaml",
        "004-deployment-web.yaml",
    ]
    assert [yaml.safe_load(path.read_text())["kind"] for path in written][-1] == "Deployment"


@pytest.mark.usefixtures("folder")
def test_a_folder_that_cannot_be_written() -> None:
    result = run("--output-dir", "c.conf/x")
    assert result.exit_code == 2
    assert "cannot write" in result.stderr


@pytest.mark.usefixtures("folder")
def test_explain_says_what_becomes_of_a_key() -> None:
    assert "refused CMP311" in run("--explain", "privileged").stdout
    assert run("--explain", "nonsense").exit_code == 2


def test_findings_for_a_pull_request(folder: Path) -> None:
    (folder / "bad.yml").write_text("services: {web: {image: a, foo: true}}")
    result = run("-f", "bad.yml", "--diagnostics", "github")
    assert result.stderr.startswith("::error file=bad.yml,line=1,col=28,title=CMP002::")


def test_the_schema_for_editors() -> None:
    result = run("--schema")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == json_schema()
