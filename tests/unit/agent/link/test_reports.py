"""The board says the newest under each key, until it is heard."""

from __future__ import annotations

from skerry.agent.v1 import report_pb2

from agent.link import ReportBoard


def facts(version: str) -> report_pb2.ClusterFacts:
    return report_pb2.ClusterFacts(kubernetes_version=version)


def test_the_newest_of_a_key_counts() -> None:
    board = ReportBoard()
    board.put("facts", facts("v1"))
    board.put("facts", facts("v2"))
    (report,) = board.pending()
    assert (report.version, report.facts.kubernetes_version) == (2, "v2")


def test_saying_the_same_again_says_nothing() -> None:
    said: list[report_pb2.Report] = []
    board = ReportBoard()
    board.subscribe(said.append)
    board.put("facts", facts("v1"))
    board.put("facts", facts("v1"))
    assert [report.version for report in said] == [1]


def test_an_old_acknowledgement_leaves_the_newer_report_pending() -> None:
    board = ReportBoard()
    board.put("facts", facts("v1"))
    board.put("facts", facts("v2"))
    board.acknowledged("facts", 1)
    assert board.pending()
    board.acknowledged("facts", 2)
    assert not board.pending()


def test_a_deletion_is_said_and_leaves_the_snapshot() -> None:
    board = ReportBoard()
    board.put("addons/garage", report_pb2.AddOnStatus(name="garage"))
    board.delete("addons/garage")
    board.delete("addons/never")
    (report,) = board.pending()
    assert (report.deleted, report.version) == (True, 2)
    assert board.snapshot() == {}


def test_what_comes_back_after_a_deletion_is_newer() -> None:
    board = ReportBoard()
    board.put("apps/a", report_pb2.AppStatus(app="a"))
    board.delete("apps/a")
    board.put("apps/a", report_pb2.AppStatus(app="a"))
    assert board.snapshot()["apps/a"].version == 3


def test_an_acknowledgement_of_nothing_does_no_harm() -> None:
    ReportBoard().acknowledged("facts", 1)
