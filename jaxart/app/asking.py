"""What the page asks of a network, in its own words, and the answers."""

import base64
import html
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxart.face import Explanation, Prediction, TrainedNetwork
from jaxart.saliency import catalogue, render

PREDICTED, NOTHING, BEST_OTHER = "the predicted class", "nothing", "the best other one"
SIDE = 640  # of a picture on the page, pixels

# Settings that a slider sets: how many passes an image takes.
SAMPLES = ("num_samples", "num_steps", "num_masks")


class Asked(NamedTuple):
    """The choices of the page."""

    method: str
    target: str  # a class's name, or `PREDICTED`
    against: str  # a class's name, `NOTHING` or `BEST_OTHER`
    layer: str  # of a CAM; '' for the method's own
    samples: int  # 0 for the method's own


def layers_of(network: TrainedNetwork) -> list[str]:
    """The layers that a CAM can look at."""
    names = list(network.model.layers())
    return names[: names.index("pool5") + 1]


def samples_of(method: str) -> tuple[str, int] | None:
    """The setting that says how many passes an image takes, and its default; if any."""
    settings = catalogue.find(method).settings
    return next(((name, settings[name]) for name in SAMPLES if name in settings), None)


def explain(network: TrainedNetwork, picture: str, asked: Asked) -> Explanation:
    """The answer for a picture's file.

    Raises:
      ValueError: the file is no picture, or a choice cannot be; says so for people.
    """
    settings: dict[str, Any] = {}
    samples = samples_of(asked.method)
    if samples and asked.samples:
        settings[samples[0]] = int(asked.samples)
    if "layer" in catalogue.find(asked.method).settings and asked.layer:
        settings["layer"] = asked.layer
    against = None if asked.against == NOTHING else asked.against
    if against == BEST_OTHER:
        against = "best_other"
    return network.explain(
        picture,
        asked.method,
        target="predicted" if asked.target == PREDICTED else asked.target,
        against=against,
        **settings,
    )


def save(explanation: Explanation, folder: Path) -> list[str]:
    """Writes what is seen: overlay, heat map, the map's numbers, the prediction."""
    paths = [folder / f"{name}.png" for name in ("overlay", "heatmap")]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    explanation.overlay().save(paths[0])
    explanation.heatmap().save(paths[1])
    paths += [folder / "map.npy", folder / "prediction.csv"]
    explanation.save(paths[2])
    explanation.prediction.save(paths[3])
    return list(map(str, paths))


def changes(before: Prediction, after: Prediction, count: int = 5) -> list[list[str]]:
    """Rows of class, probability before and after, and the difference.

    They are those that changed most.
    """
    difference = after.probabilities - before.probabilities
    order = np.argsort(-np.abs(difference), kind="stable")[:count]
    return [
        [
            before.class_names[i],
            f"{before.probabilities[i]:.1%}",
            f"{after.probabilities[i]:.1%}",
            f"{difference[i]:+.1%}",
        ]
        for i in order
    ]


def viewer(explanation: Explanation) -> str:
    """HTML: the picture below its map, a slider between them, and the colour scale."""
    picture = render.fit(explanation.picture, SIDE)
    heat = explanation.heatmap(SIDE).convert("RGB")
    says = html.escape(explanation.describe())
    low, high = explanation.range
    table = explanation.look.table[1::15].tolist()
    colors = ",".join(f"rgb({r},{g},{b})" for r, g, b in table)
    return (
        '<figure class="viewer" style="--opacity:0.6">'
        f'<div class="stack"><img src="{_url(picture, "JPEG")}" alt="the picture">'
        f'<img class="map" src="{_url(heat, "PNG")}" alt="{says}"></div>'
        '<label>picture <input type="range" min="0" max="1" step="0.01" value="0.6" '
        'aria-label="opacity of the map" oninput="this.closest(\'.viewer\').style'
        ".setProperty('--opacity', this.value)\"> map</label>"
        f'<div class="scale" style="background:linear-gradient(to right,{colors})">'
        f"</div><div class='ends'><span>{low:.3g}</span><span>{high:.3g}</span></div>"
        f"<figcaption>{says}</figcaption></figure>"
    )


def _url(picture: Image.Image, kind: str) -> str:
    content = io.BytesIO()
    picture.save(content, kind)
    text = base64.b64encode(content.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"
