"""Logging in, contexts, and which setting wins."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from skerry.cli.config.resolve import Flags, resolve
from skerry.cli.config.store import Config, ConfigStore, Context
from skerry.cli.exit_codes import CliError
from skerry.cli.surroundings import Surroundings

from tests.fakes.control_plane import TOKEN, FakeControlPlane
from tests.unit.skerry.cli.conftest import Cli
from tests.unit.skerry.test_connection import server_credentials


async def test_login_tries_the_token_and_remembers_it(fake: FakeControlPlane, cli: Cli) -> None:
    cli.store.path.unlink()
    done = await cli(
        "login", fake.address, "--insecure", "--token-stdin", "--context", "lab", "-p", "shop",
        stdin=f"{TOKEN}\n".encode(),
    )  # fmt: skip
    assert done.code == 0
    assert "users/admin" in done.err
    assert TOKEN not in done.out + done.err
    config = cli.store.load()
    assert config.current == "lab"
    assert config.contexts["lab"] == Context(fake.address, TOKEN, insecure=True, project="shop")
    assert stat.S_IMODE(cli.store.path.stat().st_mode) == 0o600
    assert (await cli("project", "list")).code == 0


async def test_login_over_tls_keeps_the_ca(cli: Cli, tmp_path: Path) -> None:
    ca = trustme.CA()
    path = tmp_path / "ca.crt"
    path.write_bytes(ca.cert_pem.bytes())
    token = tmp_path / "token"
    token.write_text(TOKEN)
    async with FakeControlPlane(credentials=server_credentials(ca, "127.0.0.1")) as secure:
        done = await cli(
            "login", secure.address, "--ca-file", str(path), "--token-file", str(token)
        )
        assert done.code == 0, done.err
        path.unlink()  # The certificate is in the configuration now.
        assert (await cli("version")).out == "client 0.1.0\nserver 0.1.0\n"
    assert cli.store.load().current == "127.0.0.1"


async def test_logging_in_again_keeps_the_defaults(fake: FakeControlPlane, cli: Cli) -> None:
    await cli(
        "login", fake.address, "--insecure", "--token", TOKEN, "--context", "test", "-e", "qa"
    )
    context = cli.store.load().contexts["test"]
    assert (context.project, context.environment) == ("shop", "qa")


async def test_a_wrong_token_is_not_remembered(fake: FakeControlPlane, cli: Cli) -> None:
    before = cli.store.load()
    refused = await cli("login", fake.address, "--insecure", "--token", "skt_wrong")
    assert refused.code == 4
    assert cli.store.load() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--token", "a", "--token-stdin"], "give the token once"),
        ([], "no token"),
        (["--token-file", "/does/not/exist"], "cannot read the token"),
        (["--token", "two words"], "no token"),
        (["--token", "t", "--ca-file", "/does/not/exist"], "--ca-file"),
    ],
)
async def test_login_mistakes(
    fake: FakeControlPlane, cli: Cli, arguments: list[str], message: str
) -> None:
    refused = await cli("login", fake.address, "--insecure", *arguments)
    assert refused.code in (1, 2)
    assert message in refused.err
    assert fake.calls == []


async def test_logout_forgets_the_token_only(fake: FakeControlPlane, cli: Cli) -> None:
    assert (await cli("logout")).code == 0
    assert cli.store.load().contexts["test"].token == ""
    assert cli.store.load().contexts["test"].server == fake.address
    assert (await cli("project", "list")).code == 4


async def test_contexts_are_listed_chosen_and_forgotten(cli: Cli) -> None:
    config = cli.store.load()
    cli.store.save(config.with_context("other", Context("other.example:7070")))
    listed = await cli("context", "list")
    assert listed.out.splitlines()[2].split() == ["*", "other", "other.example:7070", "no"]
    assert (await cli("context", "use", "test")).code == 0
    assert cli.store.load().current == "test"
    assert (await cli("context", "use", "nowhere")).code == 3
    assert json.loads((await cli("context", "get", "other", "-o", "json")).out)["loggedIn"] is False
    assert (await cli("context", "delete", "other", "--yes")).code == 0
    assert (await cli("context", "list", "-o", "name")).out == "test\n"


async def test_no_token_is_ever_shown(cli: Cli) -> None:
    for command in (["context", "list"], ["context", "get", "test"], ["config", "view"]):
        for form in ("table", "json", "yaml"):
            shown = await cli(*command, "-o", form)
            assert TOKEN not in shown.out + shown.err


async def test_view_says_where_each_value_comes_from(cli: Cli) -> None:
    (cli.cwd / "skerry.yaml").write_text("environment: staging\n")
    cli.environ["SKERRY_ENV"] = ""
    shown = await cli("config", "view", "--show-origin", "--project", "blog")
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in shown.out.splitlines()}
    assert rows["project"] == ["blog", "--project"]
    assert rows["environment"] == ["staging", str(cli.cwd / "skerry.yaml")]
    assert rows["token"] == ["(set)", "context test"]


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings({}, tmp_path, False, False, False)


@pytest.fixture
def store(tmp_path: Path) -> ConfigStore:
    found = ConfigStore(tmp_path / "config" / "config.toml")
    context = Context("home.example:7070", "secret", ca="PEM", project="c", environment="c")
    found.save(Config().with_context("home", context))
    return found


def test_precedence_flag_env_file_context_default(store: ConfigStore, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    environ: dict[str, str] = {}

    def project(flags: Flags = Flags()) -> str:  # noqa: B008
        return resolve(
            flags, Surroundings(environ, folder, False, False, False), store
        ).project.value

    store_without = store.load()
    assert project() == "c"
    (tmp_path / "a" / "skerry.yaml").write_text("project: f")
    assert project() == "f"
    environ["SKERRY_PROJECT"] = "e"
    assert project() == "e"
    assert project(Flags(project="flag")) == "flag"
    environ.clear()
    (tmp_path / "a" / "skerry.yaml").unlink()
    store.save(store_without.without_context("home"))
    assert project() == "default"


def test_a_token_is_never_sent_to_another_server(store: ConfigStore, around: Surroundings) -> None:
    elsewhere = resolve(Flags(server="evil.example:7070"), around, store)
    assert (elsewhere.token.value, elsewhere.ca.value) == ("", "")
    same = resolve(Flags(server="home.example:7070"), around, store)
    assert (same.token.value, same.ca.value) == ("secret", "PEM")


def test_a_context_that_does_not_exist(store: ConfigStore, around: Surroundings) -> None:
    with pytest.raises(CliError, match=r"no context 'x' \(--context\); known: home"):
        resolve(Flags(context="x"), around, store)


def test_a_repository_cannot_choose_the_server(store: ConfigStore, around: Surroundings) -> None:
    (around.cwd / "skerry.yaml").write_text("server: evil.example")
    with pytest.raises(CliError, match="'server' is not known"):
        resolve(Flags(), around, store)


@pytest.mark.parametrize(
    "content",
    ["[", "- a", "project: 7", "project: &a [*a]", "\x00", "{" * 5000],
    ids=["broken", "list", "number", "cycle", "binary", "deep"],
)
def test_a_project_file_that_is_wrong(
    store: ConfigStore, around: Surroundings, content: str
) -> None:
    (around.cwd / "skerry.yaml").write_text(content)
    with pytest.raises(CliError, match=r"skerry\.yaml"):
        resolve(Flags(), around, store)


@pytest.mark.parametrize(
    "content",
    [
        "nonsense", "current = 3", "contexts = 3", "[contexts]\na = 1",
        "[contexts.a]\nserver = 1", '[contexts.a]\nserver = "x"\ntoken = 3',
    ],
)  # fmt: skip
def test_a_configuration_file_that_is_wrong(store: ConfigStore, content: str) -> None:
    store.path.write_text(content)
    with pytest.raises(CliError, match=r"config\.toml"):
        store.load()


TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"), max_size=20
)


@settings(deadline=None)
@given(
    name=TEXT.filter(bool),
    server=TEXT.filter(bool),
    token=TEXT,
    ca=TEXT,
    insecure=st.booleans(),
)
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory,
    name: str, server: str, token: str, ca: str, insecure: bool,
) -> None:  # fmt: skip
    store = ConfigStore(tmp_path_factory.mktemp("config") / "config.toml")
    config = Config().with_context(name, Context(server, token, ca, insecure))
    store.save(config)
    assert store.load() == config
    assert [path.name for path in store.path.parent.iterdir()] == ["config.toml"]


def test_saving_fails_without_harm(store: ConfigStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CliError, match="No space left"):
        store.save(Config())
    assert store.path.read_bytes() == before
    assert [path.name for path in store.path.parent.iterdir()] == ["config.toml"]
