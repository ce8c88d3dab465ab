"""What a benchmark reports: rows of ours against theirs, with the spread. Every benchmark returns a `Report`."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of ours beside one of theirs, each from several runs taken in turns.

    `theirs` is empty where nothing comparable exists; `aim` is what the design wants, in words.
    """

    what: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    higher_is_better: bool
    aim: str = ""

    @property
    def ratio(self) -> float | None:
        """Median of ours through median of theirs."""
        if not self.theirs or not statistics.median(self.theirs):
            return None
        return statistics.median(self.ours) / statistics.median(self.theirs)


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of one benchmark, what it ran beside, and what a reader must know about the figures."""

    name: str
    beside: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def as_json(self) -> str:
        rows = [
            {
                **dataclasses.asdict(row),
                "ratio": None if row.ratio is None else round(row.ratio, 3),
            }
            for row in self.rows
        ]
        return json.dumps(
            {"name": self.name, "beside": self.beside, "rows": rows, "notes": list(self.notes)}
        )

    def as_table(self) -> str:
        width = max((len(f"{row.what}, {row.unit}") for row in self.rows), default=0)
        lines = [
            f"{self.name}, beside {self.beside} (median of the runs, min to max)",
            f"{'':{width}} {'ours':>28} {'theirs':>28} {'ratio':>7}",
        ]
        for row in self.rows:
            better = "higher" if row.higher_is_better else "lower"
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            aim = f"; aim {row.aim}" if row.aim else ""
            lines.append(
                f"{row.what + ', ' + row.unit:{width}} {_spread(row.ours):>28} {_spread(row.theirs):>28} {ratio:>7}  {better} is better{aim}"
            )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return _number(values[0])
    return (
        f"{_number(statistics.median(values))} ({_number(min(values))} to {_number(max(values))})"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
