"""Figures for a page: SVG whose text is text, in the page's colours, light or dark."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# What is drawn in these colours gets what the page's style says instead.
INK, LINE = "#000001", "#000002"
SERIES = tuple(f"#0000{number:02x}" for number in range(16, 22))
_STYLES = {INK: "currentColor", LINE: "var(--line)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(SERIES)
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
_DASHES = ("-", "--", ":", "-.")  # after as many runs as there are colours

Points = Sequence[tuple[int, float]]


def curves(name: str, lines: Mapping[str, Points], label: str) -> str:
    """A figure of values by training step, a line each."""

    def draw(axes: Axes) -> None:
        for number, (title, points) in enumerate(lines.items()):
            steps, values = zip(*points, strict=True)
            axes.plot(
                steps,
                values,
                _DASHES[number // len(SERIES) % len(_DASHES)],
                color=SERIES[number % len(SERIES)],
                label=title,
                linewidth=1.6,
                marker="o" if len(points) == 1 else None,
            )
        axes.set(xlabel="training step", ylabel=name)
        if name == "accuracy":
            axes.set_ylim(0, 1.02)
        axes.legend()

    return _svg(draw, f"{name}-curves", label, (5.2, 3.2))


def reliability(name: str, measured: Mapping[str, Any], label: str) -> str:
    """A reliability diagram of what `evaluation.calibrate` gives."""

    def draw(axes: Axes) -> None:
        bins = [row for row in measured["bins"] if row["count"]]
        width = 1 / len(measured["bins"])
        axes.bar(
            [row["above"] for row in bins],
            [row["accuracy"] for row in bins],
            width,
            align="edge",
            color=SERIES[0],
            alpha=0.45,
            label="accuracy",
        )
        axes.plot(
            [row["confidence"] for row in bins],
            [row["accuracy"] for row in bins],
            "o",
            color=SERIES[1],
            markersize=4,
            label="mean confidence",
        )
        axes.plot([0, 1], [0, 1], "--", color=INK, linewidth=1)
        for row in bins:
            middle = (row["above"] + row["upto"]) / 2
            axes.text(middle, 0.015, str(row["count"]), ha="center", fontsize=6.5)
        axes.set(
            xlim=(0, 1),
            ylim=(0, 1.02),
            xlabel="probability of the predicted class",
            ylabel="how often it is right",
        )
        axes.legend(loc="upper left")

    return _svg(draw, f"reliability-{name}", label, (4.2, 3.6))


def _svg(draw: Any, name: str, label: str, inches: tuple[float, float]) -> str:
    """An <svg> element that scales with the page; `label` is read to who cannot see."""
    with (
        matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": name}),
        warnings.catch_warnings(),
    ):
        # The browser has its own fonts; Matplotlib's only measure.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(inches, layout="constrained")
        draw(figure.add_subplot())
        text = io.StringIO()
        metadata = {"Date": None, "Creator": None}
        figure.savefig(text, format="svg", transparent=True, metadata=metadata)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg[^>]*? viewBox="([^"]*)"[^>]*>', _head(label), svg, count=1)
    # On one page, no two figures may use a name for different things.
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    for color, style in _STYLES.items():
        svg = svg.replace(color, style)
    return svg


def _head(label: str) -> str:
    escaped = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    escaped = escaped.replace("\\", "\\\\")  # of the template of a substitution
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" '
        rf'viewBox="\1" role="img" aria-label="{escaped}">'
    )
