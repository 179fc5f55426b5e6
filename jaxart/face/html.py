"""Pieces of HTML that notebooks show: styles inline, pictures inside."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxart.saliency import render

SIDE = 320  # of a picture, in pixels at most


def row(*pieces: str) -> str:
    """Pieces side by side, where there is room."""
    style = "display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start"
    return f'<div style="{style}">{"".join(pieces)}</div>'


def figure(picture: Image.Image, caption: str, below: str = "") -> str:
    """A picture, scaled to be looked at, what it is, and what is below it."""
    text = html.escape(caption)
    small = render.fit(picture, SIDE)
    return (
        f'<figure style="margin:0;width:{small.width}px">'
        f'<img src="{_url(small)}" alt="{text}">{below}'
        f'<figcaption style="overflow-wrap:anywhere">{text}</figcaption></figure>'
    )


def bars(fractions: Sequence[tuple[str, float]]) -> str:
    """Names with what each has of 1."""
    cells = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>'
        f"<td>{fraction:.1%}</td>"
        f'<td style="width:8em"><div style="background:#4477aa;height:.8em;'
        f'width:{fraction:.1%}"></div></td></tr>'
        for name, fraction in fractions
    )
    return f"<table>{cells}</table>"


def scale(table: UInt8[np.ndarray, "256 3"], low: float, high: float) -> str:
    """A colour table from its lowest to its highest value."""
    stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in table[1::15].tolist())
    return (
        '<div><div style="height:.8em;'
        f'background:linear-gradient(to right,{stops})"></div>'
        '<div style="display:flex;justify-content:space-between">'
        f"<span>{low:.3g}</span><span>{high:.3g}</span></div></div>"
    )


def _url(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
