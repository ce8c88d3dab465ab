"""The migration that encrypts what revisions kept in clear."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from controlplane.domain.errors import StorageUnavailable
from controlplane.domain.sealing import SealedValue
from controlplane.domain.variables import bound_to_revision, unpack
from controlplane.keyring.keyring import Keyring
from controlplane.store.migrations.run import configuration, migrate

CANARY = "c4n4ry-hunter2-0815"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
APP = "a" * 26


def _before(path: Path, variables: dict[int, dict[str, str]]) -> None:
    """A database of the version before, with an app that has these revisions."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        config = configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
        connection.commit()
    engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for number, values in variables.items():
            connection.execute(
                "INSERT INTO revisions (app_uid, revision, compose_files, variables, was_ready, create_time) "
                "VALUES (?, ?, '[]', ?, 0, '2026-01-01')",
                (APP, number, json.dumps(values)),
            )
    connection.close()


def test_values_are_encrypted_and_nothing_of_them_is_left(tmp_path: Path) -> None:
    path = tmp_path / "skerry.db"
    kept = {1: {"PASSWORD": CANARY, "B": "b"}, 2: {}, 3: {"LONG": CANARY * 1000}}
    _before(path, kept)
    keyring = Keyring.create(tmp_path / "keyring.json", NOW)
    migrate(path, keyring)
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT revision, variable_sources, variables_key_id, variables_box FROM revisions ORDER BY 1"
        ).fetchall()
    connection.close()
    for number, sources, key_id, box in rows:
        values = kept[number]
        assert [source["key"] for source in json.loads(sources)] == sorted(values)
        if not values:
            assert (key_id, box) == (None, None)
            continue
        opened = keyring.open(SealedValue(key_id, box), bound_to=bound_to_revision(APP, number))
        assert unpack(opened) == values
    for file in tmp_path.glob("skerry.db*"):
        assert CANARY.encode() not in file.read_bytes(), file


def test_without_a_keyring_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "skerry.db"
    _before(path, {1: {"PASSWORD": CANARY}})
    with pytest.raises(StorageUnavailable, match="no keyring"):
        migrate(path)
    with sqlite3.connect(path) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        (values,) = connection.execute("SELECT variables FROM revisions").fetchone()
    connection.close()
    assert version == "0008"
    assert json.loads(values) == {"PASSWORD": CANARY}
