"""Prepares pictures from an exported file's own words, as people without jaxart do."""

import json
import re

import numpy as np
from PIL import Image


def onnx_facts(session):
    """The metadata of an ONNX model: JSON, where it is JSON."""
    facts = {}
    for key, text in session.get_modelmeta().custom_metadata_map.items():
        try:
            facts[key] = json.loads(text)
        except ValueError:
            facts[key] = text
    return facts


def prepare(path, facts):
    """The network's input for one picture, [1, ...], with Pillow and NumPy alone."""
    image = Image.open(path).convert("RGB")
    size = facts["size"]
    if facts["resize"] == "antialias":
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    elif facts["resize"] == "crop":
        short = int(re.search(r"short side to (\d+)", facts["preprocessing"])[1])
        scale = short / min(image.size)
        width, height = (round(side * scale) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    pixels = np.asarray(image, np.float32)
    assert (facts["pixel_range"], pixels.max() > 1) == ([0, 255], True)
    if facts["resize"] == "tf1_bilinear":
        pixels = warp(warp(pixels, size).swapaxes(0, 1), size).swapaxes(0, 1)
    if facts["channel_order"] == "bgr":
        pixels = pixels[:, :, ::-1]
    pixels = pixels - np.array(facts["mean"], np.float32)
    axes = {"NHWC": (0, 1, 2), "NCHW": (2, 0, 1)}[facts["layout"]]
    return pixels.transpose(axes)[None].astype(np.float32)


def warp(pixels, size):
    """Rows at i * rows / size, between the two nearest; the last is repeated."""
    places = np.arange(size) * len(pixels) / size
    low = places.astype(int)
    high = np.minimum(low + 1, len(pixels) - 1)
    share = (places - low)[:, None, None]
    return pixels[low] * (1 - share) + pixels[high] * share
