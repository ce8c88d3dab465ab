"""Logs are JSON for machines and text for people, and hold no secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from controlplane import log_setup


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(log_format: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    log_setup.configure(log_format=log_format, level=level, stream=stream)
    return stream


def test_an_event_is_one_json_object_with_the_bound_ids() -> None:
    stream = configured("auto")
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        structlog.get_logger("test").info("something_happened", count=3)
    event = json.loads(stream.getvalue())
    assert (event["event"], event["request_id"], event["count"], event["level"]) == (
        "something_happened",
        "abc",
        3,
        "info",
    )


def test_library_logs_come_out_the_same_way() -> None:
    stream = configured("json")
    logging.getLogger("some.library").warning("look at %s", "this")
    event = json.loads(stream.getvalue())
    assert (event["event"], event["logger"]) == ("look at this", "some.library")


def test_an_exception_is_in_the_object() -> None:
    stream = configured("json")
    try:
        raise ValueError("bad")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert json.loads(stream.getvalue())["exception"][0]["exc_value"] == "bad"


def test_text_is_for_reading() -> None:
    stream = configured("text")
    structlog.get_logger("test").info("something_happened", count=3)
    assert "something_happened" in stream.getvalue()
    assert "count=3" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_values_under_the_names_of_secrets_are_hidden(log_format: str) -> None:
    stream = configured(log_format)
    structlog.get_logger("test").warning("oops", token="sky_1", authorization="Bearer sky_2")
    assert "sky_" not in stream.getvalue()


def test_what_is_below_the_level_is_not_printed() -> None:
    stream = configured("json", level="warning")
    structlog.get_logger("test").info("quiet")
    assert stream.getvalue() == ""
