"""Charts as SVG, written by hand: bars, stacked bars and lines, readable on light and dark pages."""

from __future__ import annotations

import math
from html import escape
from typing import Callable, Mapping, NamedTuple, Sequence

WIDTH = 760
MARGIN = 16
LABEL_WIDTH = 210
VALUE_WIDTH = 90
BAR_HEIGHT = 22
BAR_STEP = 32
TITLE_HEIGHT = 44
PLOT_HEIGHT = 240
AXIS_WIDTH = 60

COLOURS = ("#2563eb", "#f59e0b", "#94a3b8", "#10b981", "#ef4444")
OWN_COLOUR, OTHER_COLOUR = COLOURS[0], "#94a3b8"

STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#1e293b}.title{font-weight:600;font-size:15px}"
    ".faint{fill:#64748b;font-size:12px}.rule{stroke:#cbd5e1;stroke-width:1}</style>"
)

Form = Callable[[float], str]


class Bar(NamedTuple):
    """A bar with one or more parts."""

    label: str
    parts: Sequence[float]
    own: bool = False

    @property
    def total(self) -> float:
        return sum(self.parts)


def bars(title: str, entries: Sequence[Bar], form: Form, legend: Sequence[str] = ()) -> str:
    """Horizontal bars from zero; with a legend, parts have its colours, else ours stands out."""
    most = max((bar.total for bar in entries), default=0) or 1
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH - 2 * MARGIN
    shapes: list[str] = []
    for number, bar in enumerate(entries):
        y = TITLE_HEIGHT + (24 if legend else 0) + number * BAR_STEP
        shapes.append(_text(LABEL_WIDTH + MARGIN - 8, y + 16, bar.label, "end"))
        x = float(LABEL_WIDTH + MARGIN)
        for part, value in enumerate(bar.parts):
            width = room * value / most
            colour = COLOURS[part] if legend else OWN_COLOUR if bar.own else OTHER_COLOUR
            shapes.append(_rect(x, y, width, BAR_HEIGHT, colour))
            x += width
        shapes.append(_text(x + 6, y + 16, form(bar.total)))
    height = TITLE_HEIGHT + (24 if legend else 0) + len(entries) * BAR_STEP + MARGIN
    return _svg(title, height, _legend(legend) + shapes)


def lines(
    title: str,
    x_name: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    form: Form,
    x_form: Form = lambda number: f"{number:,.0f}",
) -> str:
    """Points over a logarithmic x and a y from zero."""
    points = [point for line in series.values() for point in line]
    xs = sorted({x for x, _ in points})
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    most = max(y for _, y in points) * 1.1 or 1
    left, right = MARGIN + AXIS_WIDTH, WIDTH - 2 * MARGIN
    top, bottom = TITLE_HEIGHT + 24, TITLE_HEIGHT + 24 + PLOT_HEIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(x) - low) / (high - low or 1)
        return left + share * (right - left), bottom - y / most * (bottom - top)

    shapes: list[str] = []
    for step in range(5):
        y = most * step / 4
        _, at = place(xs[0], y)
        shapes.append(f'<line class="rule" x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        shapes.append(_text(left - 8, at + 4, form(y), "end", "faint"))
    for x in xs:
        shapes.append(_text(place(x, 0)[0], bottom + 18, x_form(x), "middle", "faint"))
    shapes.append(_text(right, bottom + 38, x_name, "end", "faint"))
    for number, line in enumerate(series.values()):
        shapes += _line([place(x, y) for x, y in sorted(line)], COLOURS[number])
    return _svg(title, bottom + 48, _legend(list(series)) + shapes)


# --- Parts --------------------------------------------------------------------------------------


def _svg(title: str, height: float, shapes: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}"'
        f' viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
    )
    back = f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="#ffffff"/>'
    name = _text(MARGIN, 28, title, css="title")
    return "\n".join([head, STYLE, back, name, *shapes, "</svg>"]) + "\n"


def _legend(names: Sequence[str]) -> list[str]:
    shapes: list[str] = []
    x = float(MARGIN)
    for number, name in enumerate(names):
        shapes.append(_rect(x, TITLE_HEIGHT - 2, 12, 12, COLOURS[number]))
        shapes.append(_text(x + 18, TITLE_HEIGHT + 9, name))
        x += 18 + 7.5 * len(name) + 20
    return shapes


def _line(points: Sequence[tuple[float, float]], colour: str) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height}" fill="{colour}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", css: str = "") -> str:
    kind = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'
