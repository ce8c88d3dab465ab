"""API messages as plain data. Loaded by `output.writer` when there is one to print."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message


def to_dict(message: Message) -> dict[str, Any]:
    """The message in the proto3 JSON mapping, fields without a value included."""
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


def name_of(message: Message) -> str:
    """A resource's name, or the field that takes its place."""
    for field in ("name", "deployment", "token", "version"):
        if field in message.DESCRIPTOR.fields_by_name:
            return str(getattr(message, field))
    return ""
