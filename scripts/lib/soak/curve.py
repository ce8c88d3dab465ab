"""Series as a picture: a line of blocks for a terminal, an SVG for the docs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from soak.verdict import Series

_BLOCKS = "▁▂▃▄▅▆▇█"
_COLUMNS = 60
_WIDTH, _HEIGHT, _GAP = 640, 60, 34


def as_text(all_series: Sequence[Series]) -> str:
    """A line each, from zero to the largest value."""
    lines = []
    for series in all_series:
        values = [value for _, value in series.points]
        if values:
            step = max(1, len(values) // _COLUMNS)
            top = max(values) or 1
            bars = "".join(_BLOCKS[min(7, int(8 * value / top))] for value in values[::step])
            spread = f"{min(values):.0f} to {max(values):.0f} {series.unit}".rstrip()
            lines.append(f"{series.name:26} {bars} {spread}")
    return "\n".join(lines)


def as_svg(all_series: Sequence[Series]) -> str:
    """A small chart for each series below the other, from zero to its largest value."""
    parts = []
    for number, series in enumerate(one for one in all_series if one.points):
        base = (number + 1) * (_HEIGHT + _GAP) - 10
        end = series.points[-1][0] or 1
        top = max(value for _, value in series.points) or 1
        line = " ".join(
            f"{at / end * _WIDTH:.1f},{base - value / top * _HEIGHT:.1f}"
            for at, value in series.points
        )
        label = f"{series.name}: at most {top:.0f} {series.unit}".rstrip()
        parts.append(
            f'<text x="0" y="{base - _HEIGHT - 6}">{label}, {end / 60:.0f} min</text>'
            f'<path d="M0 {base}H{_WIDTH}" stroke="#bbb"/>'
            f'<polyline points="{line}" fill="none" stroke="#0a6" stroke-width="1.5"/>'
        )
    height = len(parts) * (_HEIGHT + _GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 0 {_WIDTH + 8} {height}" '
        f'font-family="sans-serif" font-size="12"><rect x="-4" width="100%" height="100%" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )
