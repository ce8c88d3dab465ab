"""Colours by meaning. A module of its own, so that messages can be printed without loading protobuf."""

from __future__ import annotations

from enum import Enum


class Tone(Enum):
    """How a word is coloured on a terminal."""

    PLAIN = ""
    GOOD = "green"
    BUSY = "yellow"
    BAD = "red"
    DIM = "bright_black"
