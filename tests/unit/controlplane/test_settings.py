"""Settings come from flags, environment and file, in this order, and a wrong one is named."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.settings import ENV_PREFIX, Address, Settings, SettingsError, load, parse_duration


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:7070", "127.0.0.1", 7070),
        ("[::1]:0", "::1", 0),
        (":7071", "0.0.0.0", 7071),
        ("skerry.example:65535", "skerry.example", 65535),
    ],
)
def test_an_address_is_parsed_and_printed(text: str, host: str, port: int) -> None:
    address = Address.parse(text)
    assert (address.host, address.port) == (host, port)
    assert Address.parse(str(address)) == address


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert 0 <= address.port <= 65535


@pytest.mark.parametrize(
    "text", ["7070", "host:", "host:65536", "host:-1", "::1:7070", "host:\u0661"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|brackets"):
        Address.parse(text)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(
        tmp_path / "settings.toml",
        'api_listen = "127.0.0.1:1"\nedge_listen = "127.0.0.1:2"\ndrain_timeout = "5s"\n',
    )
    monkeypatch.setenv(f"{ENV_PREFIX}API_LISTEN", "127.0.0.1:3")
    monkeypatch.setenv(f"{ENV_PREFIX}EDGE_LISTEN", "127.0.0.1:4")
    settings = load(file, api_listen="127.0.0.1:5", edge_listen=None)
    assert settings.api_listen.port == 5
    assert settings.edge_listen.port == 4
    assert settings.drain_timeout == timedelta(seconds=5)


def test_yaml_is_read_too(tmp_path: Path) -> None:
    file = write(tmp_path / "settings.yaml", "tls_names: [a.example, b.example]\n")
    assert load(file).tls_names == ("a.example", "b.example")


def test_an_empty_yaml_file_is_no_setting_at_all(tmp_path: Path) -> None:
    assert load(write(tmp_path / "settings.yml", "")).api_tls


def test_a_list_in_the_environment_is_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TLS_NAMES", "a.example, b.example")
    assert load().tls_names == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('api_listn = "127.0.0.1:1"', r"api_listn .*API_LISTN\): there is no such setting"),
        ('api_listen = "here"', r"api_listen .*: 'here' is not host:port"),
        ('drain_timeout = "0s"', r"drain_timeout .*greater than"),
        ('log_level = "loud"', "log_level"),
        ("api_tls = false\napi_listen = '0.0.0.0:1'", "clear text"),
        ('api_key_file = "/k"', "go together"),
        ('agent_advertise_address = "nowhere"', "host:port"),
        ("= broken", "malformed"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(write(tmp_path / "settings.toml", content))


def test_a_value_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    file = write(tmp_path / "settings.toml", 'admin_tokn = "sky_secret"')
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert "sky_secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.toml", None),
        ("settings.ini", b""),
        ("settings.toml", b"\xff\xfe"),
        ("settings.yaml", b"- a\n- b\n"),
        ("settings.yaml", b"\x00"),
        ("settings.yaml", b"a: " + b"x" * (1024 * 1024)),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=name):
        load(tmp_path / name)


def test_the_advertised_address_follows_the_listener() -> None:
    assert load(agent_listen="10.0.0.5:0").advertised(4321) == "10.0.0.5:4321"


def test_the_advertised_address_is_never_a_wildcard() -> None:
    assert not load(agent_listen="0.0.0.0:7071").advertised(7071).startswith("0.0.0.0")


def test_the_certificate_is_for_the_advertised_host() -> None:
    names = load(agent_advertise_address="skerry.example:443", tls_names="x.example").server_names()
    assert {"localhost", "127.0.0.1", "skerry.example", "x.example"} <= set(names)
    assert "0.0.0.0" not in names


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("1.5m", 90), ("72h", 259_200), ("30d", 2_592_000)]
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5s", "0s", "5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_duration(text)


def test_every_setting_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs/controlplane.md").read_text()
    assert [name for name in Settings.model_fields if f"`{name}`" not in page] == []


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
