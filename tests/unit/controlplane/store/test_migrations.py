"""Migrations make what the tables say, once, whoever starts at the same time."""

import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from controlplane.domain.errors import StorageUnavailable
from controlplane.store.migrations.run import head, migrate
from controlplane.store.tables import metadata


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "skerry.db"
    migrate(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == head()
        mode = connection.scalar(text("PRAGMA journal_mode"))
    engine.dispose()
    assert mode == "wal"


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    migrate(tmp_path / "skerry.db")
    migrate(tmp_path / "skerry.db")


def test_many_at_once_migrate_one_after_the_other(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            migrate(tmp_path / "skerry.db")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_only_the_owner_reads_the_database(tmp_path: Path) -> None:
    path = tmp_path / "data" / "skerry.db"
    migrate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "skerry.db"
    migrate(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageUnavailable, match="newer version"):
        migrate(path)
