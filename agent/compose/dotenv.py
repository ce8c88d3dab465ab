"""Env files: the `.env` that fills variables and the `env_file`s of services.

Grammar as compose-go's dotenv parser: `export`, `KEY=VALUE`, `KEY: VALUE`, a bare `KEY` inherits,
comments, single quotes literal, double quotes with escapes and variables, quoted values over
several lines. The raw format is `docker run --env-file`'s: the value is the rest of the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.compose.diagnostics import Report
from agent.compose.interpolate import Lookup, Substitution, TemplateError, substitute
from agent.compose.nodes import Budget
from agent.compose.origin import Origin
from agent.compose.yaml_nodes import shorten

_KEY = re.compile(r"(?:export[ \t]+)?([\w.\-\[\]]+)[ \t]*(=|:|$)[ \t]*", re.MULTILINE)
_COMMENT = re.compile(r"[ \t]#.*$")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "$": "$$"}
"""An escaped dollar becomes `$$`, which the interpolation that follows turns into `$`."""


@dataclass(frozen=True, slots=True)
class EnvValue:
    """One value of an env file. None means the key stands alone: take it from the environment."""

    value: str | None
    origin: Origin


def parse(
    file: str, content: bytes, lookup: Lookup, report: Report, budget: Budget, *, raw: bool = False
) -> dict[str, EnvValue]:
    """The variables of an env file, in order. `lookup` wins over the file's own earlier values.

    Problems are reported with file and line; the rest of the file is still read.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        report.error("CMP211", Origin(file, line, 1), "", "the env file is not UTF-8 text")
        return {}
    text = text.replace("\r\n", "\n")
    return _Parser(file, text, lookup, report, budget, raw).parse()


class _Parser:
    def __init__(
        self, file: str, text: str, lookup: Lookup, report: Report, budget: Budget, raw: bool
    ) -> None:
        self._file = file
        self._text = text
        self._lookup = lookup
        self._report = report
        self._budget = budget
        self._raw = raw
        self._line = 1
        self._position = 0
        self._values: dict[str, EnvValue] = {}

    def parse(self) -> dict[str, EnvValue]:
        while self._position < len(self._text):
            start = self._position
            self._statement()
            self._line += self._text.count("\n", start, self._position)
        return self._values

    def _statement(self) -> None:
        end = self._end_of_line(self._position)
        line = self._text[self._position : end]
        body = line.lstrip()
        if not body or body.startswith("#"):
            self._position = end + 1
            return
        start = self._position + len(line) - len(body)
        origin = Origin(self._file, self._line, start - self._position + 1)
        match = _KEY.match(self._text, start)
        if match is None or match.end(1) > end:
            name = shorten(re.split(r"[=:]", body, maxsplit=1)[0].strip(), 40)
            self._report.error("CMP211", origin, "", f'"{name}" is not a variable name')
            self._position = end + 1
            return
        if match.group(2) not in ("=", ":"):
            self._values[match.group(1)] = EnvValue(None, origin)
            self._position = end + 1
            return
        value = self._value(min(match.end(), end), end, origin)
        if value is not None:
            self._values[match.group(1)] = EnvValue(value, origin)

    def _value(self, start: int, end: int, origin: Origin) -> str | None:
        """The value from `start`; moves on behind it. None when it was refused."""
        self._position = end + 1
        if self._raw:
            return self._text[start:end]
        quote = self._text[start : start + 1]
        if quote not in ("'", '"'):
            plain = _COMMENT.sub("", " " + self._text[start:end])[1:].rstrip()
            return self._expand(plain, origin)
        closing = self._closing_quote(start, quote)
        if closing < 0:
            self._report.error("CMP211", origin, "", f"the {quote} is not closed")
            self._position = len(self._text)
            return None
        self._position = self._end_of_line(closing) + 1
        trailing = self._text[closing + 1 : self._position - 1].strip()
        if trailing and not trailing.startswith("#"):
            self._report.error(
                "CMP211",
                origin,
                "",
                f"there is text after the closing {quote}",
                "Quote the whole value.",
            )
            return None
        quoted = self._text[start + 1 : closing]
        if quote == "'":
            return quoted
        return self._expand(_ESCAPE.sub(_unescape, quoted), origin)

    def _closing_quote(self, start: int, quote: str) -> int:
        position = start + 1
        while (position := self._text.find(quote, position)) >= 0:
            backslashes = 0
            while self._text[position - 1 - backslashes] == "\\":
                backslashes += 1
            if backslashes % 2 == 0:
                return position
            position += 1
        return -1

    def _expand(self, value: str, origin: Origin) -> str | None:
        try:
            done = substitute(value, self._known, max(self._budget.text_bytes, 0))
        except TemplateError as error:
            self._report.error("CMP211", origin, "", str(error), 'Write "$$" for a "$".')
            return None
        self._budget.text_bytes -= len(done.text)
        self._complain(done, origin)
        return done.text

    def _complain(self, done: Substitution, origin: Origin) -> None:
        for name, message in done.missing:
            said = f": {message}" if message else ""
            self._report.error(
                "CMP120", origin, "", f"required variable {name} is missing a value{said}"
            )
        for name in done.unset:
            self._report.warning(
                "CMP121", origin, "", f"variable {name} is not set and becomes empty text"
            )

    def _known(self, name: str) -> str | None:
        value = self._lookup(name)
        if value is None and name in self._values:
            value = self._values[name].value
        return value

    def _end_of_line(self, position: int) -> int:
        end = self._text.find("\n", position)
        return len(self._text) if end < 0 else end


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match.group(1), match.group(0))
