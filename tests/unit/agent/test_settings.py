"""Settings: the environment, flags, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.settings import SettingsError, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NAMESPACE", "ADD_ONS_DISABLED", "JOIN_TOKEN", "STATE_DIR"):
        monkeypatch.delenv(f"SKERRY_AGENT_{name}", raising=False)


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("SKERRY_AGENT_NAMESPACE", "platform")
    monkeypatch.setenv("SKERRY_AGENT_ADD_ONS_DISABLED", "garage, cloudnative-pg")
    monkeypatch.setenv("SKERRY_AGENT_ADD_ON_VERSIONS", "garage=2.5.1")
    loaded = load()
    assert loaded.namespace == "platform"
    assert loaded.add_ons_disabled == {"garage", "cloudnative-pg"}
    assert loaded.add_on_versions == {"garage": "2.5.1"}


def test_a_flag_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("SKERRY_AGENT_STATE_DIR", "/from/environment")
    assert load(state_dir=Path("/from/flag")).state_dir == Path("/from/flag")


def test_a_flag_not_given_leaves_the_environment(monkeypatch):
    monkeypatch.setenv("SKERRY_AGENT_STATE_DIR", "/from/environment")
    assert load(state_dir=None).state_dir == Path("/from/environment")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NAMESPACE", "Not_A_Name"),
        ("CHART_MIRROR", "ftp://charts"),
        ("METRICS_ADDRESS", "nowhere"),
        ("ADD_ON_VERSIONS", "garage"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, name, value):
    monkeypatch.setenv(f"SKERRY_AGENT_{name}", value)
    with pytest.raises(SettingsError, match=f"^SKERRY_AGENT_{name}: "):
        load()


def test_a_wrong_flag_is_named_as_a_flag():
    with pytest.raises(SettingsError, match=r"^--log-level: "):
        load(log_level="loud")


def test_a_join_token_is_never_printed():
    loaded = load(join_token="skj1.very-secret")
    assert "very-secret" not in repr(loaded)


def test_every_setting_is_described():
    undescribed = [
        name
        for name, field in type(load()).model_fields.items()
        if not field.description and name != "log_level"
    ]
    assert not undescribed
