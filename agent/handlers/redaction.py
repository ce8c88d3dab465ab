"""Keeps the values of an app's secrets out of what is said about it: plans, diagnostics, progress, errors. Used by the handlers that get them.

The converter quotes what it reads, and a compose file may put a secret anywhere: into a port, a label, an image's name.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from google.protobuf.message import Message
from skerry.agent.v1 import command_pb2

# Below this a value is in every other word, and replacing it would say what it is.
SHORTEST = 4


class Redaction:
    """Replaces values by the names of their variables, in any form that they are usually written in."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names: dict[str, str] = {}
        alternatives: list[tuple[int, str]] = []
        for name, value in secrets.items():
            if len(value) < SHORTEST:
                continue
            for form in _forms(value):
                group = f"s{len(self._names)}"
                self._names[group] = name
                alternatives.append((len(form), f"(?P<{group}>{_pattern(form)})"))
        # The longest first: a value may be part of another.
        alternatives.sort(key=lambda item: -item[0])
        self._pattern = (
            re.compile("|".join(text for _, text in alternatives)) if alternatives else None
        )

    @classmethod
    def of(cls, deploy: command_pb2.DeployApp) -> Redaction:
        """For the secrets of a deploy or plan."""
        return cls(
            {
                name: deploy.variables[name]
                for name in deploy.secret_variables
                if name in deploy.variables
            }
        )

    def text(self, text: str) -> str:
        """The text without values."""
        if self._pattern is None:
            return text
        return self._pattern.sub(
            lambda match: f"<secret {self._names[match.lastgroup or '']}>", text
        )

    def apply(self, message: Message) -> None:
        """Replace values in every text of a message, in place."""
        if self._pattern is None:
            return
        for field, value in message.ListFields():
            if field.message_type is not None:
                for item in _messages(field, value):
                    self.apply(item)
            elif field.type == field.TYPE_STRING:
                if field.is_repeated:
                    value[:] = [self.text(item) for item in value]
                else:
                    setattr(message, field.name, self.text(value))


def _messages(field: Any, value: Any) -> Iterable[Message]:
    """The messages in a field that holds some; maps of texts are not among what agents say."""
    if field.message_type.GetOptions().map_entry:
        return []
    return value if field.is_repeated else [value]


def _forms(value: str) -> set[str]:
    """How a value may be written: as it is, in JSON and YAML, as base64, in an address."""
    raw = value.encode()
    return {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        value.replace("'", "''"),
        repr(value)[1:-1],
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        quote(value, safe=""),
        quote(value),
    }


def _pattern(form: str) -> str:
    """The form with its white space in any amount: YAML folds long lines and indents those of a block."""
    parts = [re.escape(part) for part in form.split()]
    return r"[\s\\]+".join(parts) if parts else re.escape(form)
