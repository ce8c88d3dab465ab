"""The tables of variables and secrets. A secret has no value here: the server never sends one."""

from __future__ import annotations

from datetime import datetime

from skerry.cli.output import words
from skerry.cli.output.table import Cell, Table, cells
from skerry.cli.output.tone import Tone
from skerry.cli.variable_scope import place
from skerry.platform.v1 import variable_pb2

_LONGEST = 60
HIDDEN = "(secret)"


class VariableTables:
    """All tables, as of one moment (ages count from it)."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    @property
    def variables(self) -> Table[variable_pb2.Variable]:
        return Table(
            ("KEY", "VALUE", "VERSION", "SET BY", "AGE"),
            lambda v: [*cells(v.key), _value(v), *self._rest(v)],
            "variables",
        )

    @property
    def effective(self) -> Table[variable_pb2.EffectiveVariable]:
        return Table(
            ("KEY", "VALUE", "FROM", "HIDES", "AGE"),
            lambda e: [
                *cells(e.variable.key),
                _value(e.variable),
                *cells(
                    _where(e.variable),
                    ", ".join(_where(hidden) for hidden in e.shadowed),
                    words.age(e.variable.update_time, self._now),
                ),
            ],
            "variables",
        )

    def _rest(self, variable: variable_pb2.Variable) -> list[Cell]:
        return cells(
            str(variable.version),
            variable.updated_by.removeprefix("users/"),
            words.age(variable.update_time, self._now),
        )


def _where(variable: variable_pb2.Variable) -> str:
    return place(variable.name.rpartition("/variables/")[0])


def _value(variable: variable_pb2.Variable) -> Cell:
    if variable.problem:
        return cells(("cannot be decrypted", Tone.BAD))[0]
    if variable.secret:
        return cells((HIDDEN, Tone.DIM))[0]
    text = variable.value.replace("\n", "\\n")
    return cells(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")[0]
