"""The DNS question and answer on the wire, against messages written out by RFC 1035."""

from __future__ import annotations

import struct

from devcluster import dns

QUESTION = bytes.fromhex("002a 0100 0001 0000 0000 0000 03 777777 01 61 00 0001 0001")
ANSWER = (
    struct.pack("!6H", 42, 0x8180, 1, 2, 0, 0)
    + QUESTION[12:]
    + bytes.fromhex("c00c 0005 0001 0000001e 0004 01 62 c010")  # www.a CNAME b.a
    + bytes.fromhex("c00c 0001 0001 0000001e 0004 0a2b0001")  # A 10.43.0.1
)


def test_a_question_is_as_the_standard_has_it() -> None:
    assert dns.question(42, "www.a.") == QUESTION


def test_the_first_address_is_found_behind_an_alias() -> None:
    assert dns.first_address(ANSWER, 42) == "10.43.0.1"


def test_an_answer_to_another_question_is_none() -> None:
    assert dns.first_address(ANSWER, 43) is None


def test_a_name_that_does_not_exist_has_no_address() -> None:
    refused = struct.pack("!6H", 42, 0x8183, 1, 0, 0, 0) + QUESTION[12:]
    assert dns.first_address(refused, 42) is None


def test_a_cut_message_has_no_address() -> None:
    assert dns.first_address(ANSWER[:8], 42) is None
