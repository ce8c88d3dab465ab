"""`skerry-agent convert` on files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pexpect
import pytest
import yaml
from typer.testing import CliRunner, Result

from agent.__main__ import app
from agent.bundle import FolderBundle, UnreadableError
from agent.compose.schema import json_schema
from agent.convert.reading import app_name

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


def test_one_file_out(folder: Path) -> None:
    result = run("--out", "all.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert kinds((folder / "all.yaml").read_text()) == [
        *("Secret", "ConfigMap", "Service", "Deployment"),
    ]
    assert run("--out", "all.json", "-o", "json").exit_code == 0
    assert json.loads((folder / "all.json").read_text())["kind"] == "List"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "c.conf/x.yaml"), "cannot write c.conf/x.yaml"),
        (("--out", "none/x.yaml"), "cannot write none/x.yaml"),
        (("--out", "."), "use --output-dir"),
        (("--output-dir", "c.conf"), "cannot write c.conf"),
        (("--out", "a", "--output-dir", "b"), "not both"),
    ],
)
def test_output_that_cannot_be_written(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["c.conf", "compose.yaml"]


def test_a_second_conversion_replaces_the_first_and_leaves_other_files(folder: Path) -> None:
    out = folder / "out"
    assert run("--output-dir", "out").exit_code == 0
    (out / "kustomization.yaml").write_text("resources: []")
    (folder / "compose.yaml").write_text("services: {web: {image: other}}")
    assert run("--output-dir", "out", "-o", "json").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        *("001-service-web.json", "002-deployment-web.json", "kustomization.yaml"),
    ]


def test_what_is_there_stays_as_it_is_when_writing_fails(folder: Path) -> None:
    out = folder / "out"
    (out / "004-deployment-web.yaml").mkdir(parents=True)
    (out / "001-secret-my-shop-web-env.yaml").write_text("old")
    result = run("--output-dir", "out")
    assert result.exit_code == 2
    assert "004-deployment-web.yaml is a folder there" in result.stderr
    assert (out / "001-secret-my-shop-web-env.yaml").read_text() == "old"
    assert len(list(out.iterdir())) == 2


def test_a_rejected_file_leaves_the_output_as_it_is(folder: Path) -> None:
    (folder / "bad.yml").write_text("services: {web: {image: a, privileged: true}}")
    (folder / "all.yaml").write_text("old")
    assert run("-f", "bad.yml", "--out", "all.yaml").exit_code == 1
    assert (folder / "all.yaml").read_text() == "old"
    assert run("-f", "bad.yml", "--output-dir", "out").exit_code == 1
    assert not (folder / "out").exists()


def test_compose_file_names_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "b.yml").write_text("services: {more: {image: b}}")
    monkeypatch.setenv("COMPOSE_FILE", "compose.yaml:b.yml")
    assert kinds(run().stdout).count("Deployment") == 2
    assert kinds(run("-f", "b.yml").stdout).count("Deployment") == 1
    monkeypatch.setenv("COMPOSE_PATH_SEPARATOR", ";")
    assert run().exit_code == 2


def test_profiles(folder: Path) -> None:
    (folder / "p.yml").write_text("services: {a: {image: a}, b: {image: b, profiles: [x]}}")
    assert kinds(run("-f", "p.yml").stdout).count("Deployment") == 1
    assert kinds(run("-f", "p.yml", "--profile", "x").stdout).count("Deployment") == 2


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (
            "services: {web: {image: a, expose: [80]}}",
            "0 errors, 0 warnings; 2 objects in all.yaml",
        ),
        (
            "services: {web: {image: a, expose: [80], privileged: true, domainname: x}}",
            "1 error, 1 warning; nothing is written",
        ),
    ],
)
def test_a_terminal_gets_a_last_line(folder: Path, text: str, last: str) -> None:
    (folder / "t.yml").write_text(text)
    program = str(Path(sys.executable).with_name("skerry-agent"))
    arguments = ["convert", "-f", "t.yml", "--out", "all.yaml"]
    child = pexpect.spawn(program, arguments, cwd=str(folder), encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    lines = child.before.splitlines()
    assert lines[-1] == last
    assert "web: 80/tcp (expose)" in lines, "what was found"
    child.close()


@pytest.mark.usefixtures("folder")
def test_help_has_exit_codes_and_examples() -> None:
    said = run("--help").stdout
    assert "2  wrong usage" in said
    assert "skerry-agent convert | kubectl apply -f -" in said


@pytest.mark.usefixtures("folder")
def test_explain_says_what_becomes_of_a_key() -> None:
    assert "refused CMP311" in run("--explain", "privileged").stdout
    assert run("--explain", "nonsense").exit_code == 2


def test_findings_for_a_pull_request(folder: Path) -> None:
    (folder / "bad.yml").write_text("services: {web: {image: a, foo: true}}")
    result = run("-f", "bad.yml", "--diagnostics", "github")
    assert result.stderr.startswith("::error file=bad.yml,line=1,col=28,title=CMP002::")
    (folder / "base.yml").write_text("services: {b: {image: a, privileged: true}}")
    (folder / "bad.yml").write_text("services: {web: {extends: {file: base.yml, service: b}}}")
    result = run("-f", "bad.yml", "--diagnostics", "github")
    assert result.stderr.startswith("::error file=base.yml,line=1,col=38,title=CMP311::")
    assert " (via extends at bad.yml:1:53). " in result.stderr


def test_the_schema_for_editors() -> None:
    result = run("--schema")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == json_schema()
