"""Logging: structlog for our events and for what libraries log, on standard error. Set up by `__main__`."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_KEYS = frozenset({"token", "secret", "password", "authorization", "join_token"})


def configure(*, log_format: str, level: str, stream: TextIO = sys.stderr) -> None:
    """`log_format` is `auto`, `json` or `text`: one JSON object a line, or aligned text for reading."""
    as_text = log_format == "text" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    ending: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
        if as_text
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries tell each of their steps at INFO.
    for noisy in ("alembic", "aiosqlite", "sqlalchemy", "uvicorn", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def drop_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The last line of defence: a value under a secret's name is never printed, whoever logs it."""
    for key in _SECRET_KEYS & event.keys():
        event[key] = "[hidden]"
    return event
