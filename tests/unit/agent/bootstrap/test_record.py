"""Records survive being written down."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bootstrap.machine import Record, State
from agent.bootstrap.record import decode, encode

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
RECORDS = st.builds(
    Record,
    state=st.sampled_from(State),
    changed=MOMENTS,
    message=st.text(),
    log_tail=st.text(),
    attempts=st.integers(0, 1000),
    started=st.none() | MOMENTS,
    retry_at=st.none() | MOMENTS,
    spec_hash=st.text(),
    run=st.text(),
)


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record):
    assert decode(encode(record)) == record


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"state": "READY"}', "null"])
def test_what_is_no_record_is_refused(text):
    with pytest.raises((KeyError, TypeError, ValueError)):
        decode(text)
