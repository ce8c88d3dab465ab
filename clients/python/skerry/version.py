"""The client's version: sent with every call and shown by `skerry version`.

A constant and not package metadata, because reading metadata costs a tenth of a command's start.
"""

from __future__ import annotations

VERSION = "0.1.0"
