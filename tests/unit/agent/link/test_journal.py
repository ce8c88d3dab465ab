"""The journal keeps what it said it has, through damage, crashes and full disks."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from skerry.agent.v1 import command_pb2

from agent.link.errors import JournalError
from agent.link.journal import Journal


def command(seq: int) -> command_pb2.Command:
    return command_pb2.Command(seq=seq, command_id=f"c{seq}")


def result(seq: int) -> command_pb2.CommandResult:
    return command_pb2.CommandResult(seq=seq, message="done")


def seqs(journal: Journal) -> list[int]:
    return [unfinished.command.seq for unfinished in journal.unfinished()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def test_commands_and_results_survive_a_restart(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    assert len(journal.append([command(1), command(2), command(3)])) == 3
    journal.finish(result(2))
    journal.close()
    journal = Journal(path, cluster_uid="a")
    assert seqs(journal) == [1, 3]
    assert [item.seq for item in journal.results()] == [2]
    assert journal.last_seq() == 3


def test_a_command_is_taken_on_once(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(1)])
    assert journal.append([command(1), command(2), command(2)]) == [command(2)]


def test_a_command_said_again_after_it_was_forgotten_is_not_new(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(1)])
    journal.finish(result(1))
    journal.forget(1)
    assert journal.append([command(1)]) == []
    assert (seqs(journal), journal.results(), journal.last_seq()) == ([], [], 1)


def test_numbers_may_jump(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(3), command(9)])
    assert (seqs(journal), journal.last_seq()) == ([3, 9], 9)


def test_an_acknowledgement_of_an_unfinished_command_forgets_nothing(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(1)])
    journal.forget(1)
    assert seqs(journal) == [1]


def test_attempts_count_deaths_not_stops(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(1)])
    journal.begin(1)
    journal.begin(1)
    journal.pause(1)
    (unfinished,) = journal.unfinished()
    assert unfinished.attempts == 1


def test_the_journal_of_another_cluster_is_emptied(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(7)])
    journal.close()
    journal = Journal(path, cluster_uid="b")
    assert (seqs(journal), journal.last_seq()) == ([], 0)


def test_only_the_owner_can_read_it(path: Path) -> None:
    Journal(path, cluster_uid="a")
    assert path.stat().st_mode & 0o077 == 0


def test_a_damaged_journal_is_put_aside_and_begun_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 1000)
    journal = Journal(path, cluster_uid="a")
    assert journal.last_seq() == 0
    assert list(path.parent.glob("journal.db.damaged-*"))


def test_damage_inside_is_found_when_it_is_opened(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(seq) for seq in range(1, 500)])
    journal.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    path.write_bytes(content)
    assert Journal(path, cluster_uid="a").last_seq() == 0


def test_a_full_disk_is_a_clear_error_and_loses_nothing(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(1)])
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    large = command_pb2.Command(seq=2)
    large.deploy_app.files.add(content=bytes(1_000_000))
    with pytest.raises(JournalError, match="make room"):
        journal.append([large])
    assert (seqs(journal), journal.last_seq()) == ([1], 1)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path / "file" / "journal.db", cluster_uid="a")


def test_a_torn_tail_is_rolled_back(path: Path, tmp_path: Path) -> None:
    """What a power cut may leave of the write-ahead log: its beginning, cut anywhere."""
    journal = Journal(path, cluster_uid="a")
    for seq in range(1, 6):
        journal.append([command(seq)])
    log = path.with_name("journal.db-wal")
    size = log.stat().st_size
    assert size > 0
    for number, cut in enumerate(range(0, size, size // 40)):
        copy = tmp_path / str(number) / "journal.db"
        copy.parent.mkdir()
        shutil.copy(path, copy)
        torn = log.read_bytes()[:cut]
        copy.with_name("journal.db-wal").write_bytes(torn)
        shutil.copy(path.with_name("journal.key"), copy.with_name("journal.key"))
        reopened = Journal(copy, cluster_uid="a")
        last = reopened.last_seq()
        assert seqs(reopened) == list(range(1, last + 1)), "no hole, whatever was lost"
        reopened.close()
    journal.close()


_WRITER = """
import sys
from pathlib import Path
from agent.link.journal import Journal
from skerry.agent.v1 import command_pb2
journal = Journal(Path(sys.argv[1]), cluster_uid="a")
seq = journal.last_seq()
while True:
    seq += 1
    journal.append([command_pb2.Command(seq=seq)])
    print(seq, flush=True)
    if seq % 3 == 0:
        journal.finish(command_pb2.CommandResult(seq=seq))
        print(-seq, flush=True)
"""


@pytest.mark.parametrize("said", [1, 5, 30])
def test_what_was_said_to_be_there_is_there_after_a_kill(path: Path, said: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [int(process.stdout.readline()) for _ in range(said)]
        os.kill(process.pid, signal.SIGKILL)
        lines += [int(line) for line in process.stdout.read().split()]
    journal = Journal(path, cluster_uid="a")
    finished = {item.seq for item in journal.results()}
    assert journal.last_seq() >= max(lines)
    assert {-line for line in lines if line < 0} <= finished
    assert set(seqs(journal)) | finished == set(range(1, journal.last_seq() + 1))


def test_a_closed_journal_is_a_clear_error(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.close()
    with pytest.raises(JournalError) as caught:
        journal.last_seq()
    assert isinstance(caught.value.__cause__, sqlite3.Error)


SECRET = "hunter2-in-the-journal"


def deploy(seq: int) -> command_pb2.Command:
    message = command(seq)
    message.deploy_app.variables["PASSWORD"] = SECRET
    message.deploy_app.files.add(path="compose.yaml", content=SECRET.encode() * 500)
    return message


def on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())


def test_nothing_of_a_command_is_in_clear_on_disk(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([deploy(1), deploy(2)])
    assert SECRET.encode() not in on_disk(path)
    journal.finish(result(1))
    assert SECRET.encode() not in on_disk(path)
    assert [item.command for item in journal.unfinished()] == [deploy(2)]
    journal.close()
    assert path.with_name("journal.key").stat().st_mode & 0o777 == 0o600


def test_what_an_older_version_kept_in_clear_is_sealed(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([command(1), command(2)])
    for seq in (1, 2):
        journal._database.execute(
            "UPDATE commands SET payload = ? WHERE seq = ?", (deploy(seq).SerializeToString(), seq)
        )
    journal._database.execute("UPDATE commands SET result = X'0801' WHERE seq = 2")
    journal.close()
    assert SECRET.encode() in on_disk(path)
    journal = Journal(path, cluster_uid="a")
    assert SECRET.encode() not in on_disk(path)
    assert [item.command for item in journal.unfinished()] == [deploy(1)]
    assert (len(journal.results()), journal.last_seq()) == (1, 2)


@pytest.mark.parametrize("damage", ["gone", "other", "short"])
def test_without_its_key_a_journal_is_begun_anew(path: Path, damage: str) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([deploy(1)])
    journal.close()
    key = path.with_name("journal.key")
    if damage == "gone":
        key.unlink()
    else:
        key.write_bytes(bytes(32 if damage == "other" else 5))
    journal = Journal(path, cluster_uid="a")
    assert (seqs(journal), journal.last_seq()) == ([], 0)
    assert list(path.parent.glob("journal.db.damaged-*"))
    journal.append([deploy(1)])
    assert seqs(journal) == [1]


def test_one_command_is_not_passed_off_as_another(path: Path) -> None:
    journal = Journal(path, cluster_uid="a")
    journal.append([deploy(1), deploy(2)])
    journal._database.execute(
        "UPDATE commands SET payload = (SELECT payload FROM commands WHERE seq = 2) WHERE seq = 1"
    )
    journal.close()
    assert Journal(path, cluster_uid="a").last_seq() == 0
