"""What a benchmark reports: rows of ours against theirs, with the spread. Every benchmark returns a `Report`."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of ours beside one of theirs, each from several runs taken in turns."""

    what: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    higher_is_better: bool

    @property
    def ratio(self) -> float:
        """Median of ours through median of theirs."""
        return statistics.median(self.ours) / statistics.median(self.theirs)


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of one benchmark, and what it ran beside."""

    name: str
    beside: str
    rows: Sequence[Row]

    def as_json(self) -> str:
        rows = [{**dataclasses.asdict(row), "ratio": round(row.ratio, 3)} for row in self.rows]
        return json.dumps({"name": self.name, "beside": self.beside, "rows": rows})

    def as_table(self) -> str:
        lines = [
            f"{self.name}, beside {self.beside} (median of {len(self.rows[0].ours)} runs each, min to max)",
            f"{'':34} {'ours':>28} {'theirs':>28} {'ratio':>7}",
        ]
        for row in self.rows:
            better = "higher" if row.higher_is_better else "lower"
            lines.append(
                f"{row.what + ', ' + row.unit:34} {_spread(row.ours):>28} {_spread(row.theirs):>28} {row.ratio:7.2f}  {better} is better"
            )
        return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return (
        f"{_number(statistics.median(values))} ({_number(min(values))} to {_number(max(values))})"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
