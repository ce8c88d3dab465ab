"""Prints chunks of log lines, tens of thousands of lines a second. Used by `skerry logs`.

A chunk is many lines in one bytes object; the time in front of each is removed, and the source put in
its place, by one substitution over the chunk and not by a loop over lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import BinaryIO

from skerry.platform.v1 import log_pb2

_TIME = re.compile(rb"^\S+ ", re.MULTILINE)
_START = re.compile(rb"^(?=.|\n)", re.MULTILINE)
_COLORS = (b"36", b"33", b"32", b"35", b"34", b"96", b"93", b"92", b"95", b"94")
POD_SUFFIX = 5

Source = tuple[str, str]
"""Service and pod."""


class LogPrinter:
    """Writes chunks to a binary stream; with several sources, each line says where it is from."""

    def __init__(
        self,
        out: BinaryIO,
        *,
        timestamps: bool,
        prefix: bool | None,
        color: bool,
        known: Iterable[Source] = (),
    ) -> None:
        """`prefix` None means: when there are several sources. `known` are those that are there already."""
        self._out = out
        self._timestamps = timestamps
        self._prefix = prefix
        self._color = color
        self._sources: dict[Source, bytes] = {}
        for source in known:
            self._add(source)

    def show(self, chunk: log_pb2.LogChunk) -> None:
        """Print it, all of it, now."""
        source = (chunk.service, chunk.pod)
        if source not in self._sources:
            self._add(source)
        several = len(self._sources) > 1 if self._prefix is None else self._prefix
        prefix = self._sources[source] if several else b""
        self._out.write(self._lines(chunk.lines, prefix))
        self._out.flush()

    def _lines(self, lines: bytes, prefix: bytes) -> bytes:
        if not self._timestamps:
            return _TIME.sub(prefix, lines)
        return _START.sub(prefix, lines) if prefix else lines

    def _add(self, source: Source) -> None:
        """Know a source, and name all of them anew: a second pod of a service makes the first one longer."""
        self._sources[source] = b""
        pods: dict[str, int] = {}
        for service, _ in self._sources:
            pods[service] = pods.get(service, 0) + 1
        names = {
            (service, pod): service if pods[service] == 1 else f"{service}/{pod[-POD_SUFFIX:]}"
            for service, pod in self._sources
        }
        width = max(map(len, names.values()))
        for number, (known, name) in enumerate(names.items()):
            text = name.ljust(width).encode() + b" |"
            if self._color:
                text = b"\x1b[" + _COLORS[number % len(_COLORS)] + b"m" + text + b"\x1b[0m"
            # A substitution reads backslashes as escapes.
            self._sources[known] = text.replace(b"\\", rb"\\") + b" "
