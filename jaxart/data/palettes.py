"""Whether two pictures that are alike in light and dark are alike in colour, too.

A painter's series repeats one composition in other colours; a copy has lost some colour
or has got a cast. So the weaker picture's chroma (Cb, Cr of JPEG) is fitted by the
stronger one's, times a factor of at most 1, field by field. What is left over counts as
it is, but for a difference that all fields share, a cast, which counts for a sixth, and
one that follows light and dark (yellowed lights), for a half. docs/paintings.md says
what copies and series measure.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32

from jaxart.data.fingerprints import FIELDS_SIDE

_CAST, _TONING = 1 / 6, 1 / 2  # weights
_NOISE = 2.4  # levels of 255, root mean square, that any copies may differ in
_LOSS = 0.36  # share of the weaker picture's colour that may differ as well
_FADED = 0.4  # of the colour: with less left, a copy is a grey one

_NUM_FIELDS = FIELDS_SIDE**2
_NO_COLOUR = "00" * 3 * _NUM_FIELDS
# From RGB to Y, Cb, Cr (ITU-T T.871).
_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
    np.float32,
)


def compare(
    ours: Sequence[str], theirs: Sequence[str], *, is_mirrored: bool = False
) -> tuple[Float32[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """How far apart the colours of n pairs are, and which of them have a grey picture.

    Up to 1 they are one picture's, and the other may be (nearly) grey where this one is
    not. Both are `Fingerprint.colours`; '' is grey. `is_mirrored` compares with theirs
    flipped left to right.
    """
    a, b = _decode(ours), _decode(theirs, is_mirrored)
    light = a[..., 0] + b[..., 0]
    light -= light.mean(1, keepdims=True)
    light /= np.maximum(np.linalg.norm(light, axis=1, keepdims=True), 1e-6)
    a, b = _weigh(a[..., 1:], light), _weigh(b[..., 1:], light)
    powers = _mean_product(a, a), _mean_product(b, b)
    stronger, weaker = np.maximum(*powers), np.minimum(*powers)
    common = np.maximum(_mean_product(a, b), 0)
    kept = common / np.maximum(stronger, 1e-6)  # at most 1: Cauchy and Schwarz
    error = weaker - kept * common
    tolerance = _NOISE**2 + _LOSS**2 * weaker
    difference = np.sqrt(np.maximum(error, 0) / tolerance)
    return difference, (kept < _FADED) & (stronger > _NOISE**2)


def strengths(colours: Sequence[str]) -> Float32[np.ndarray, " n"]:
    """How far pictures are from grey: chroma's root mean square, in levels of 255."""
    chroma = _decode(colours)[..., 1:]
    return np.sqrt(_mean_product(chroma, chroma))


def _decode(
    colours: Sequence[str], is_mirrored: bool = False
) -> Float32[np.ndarray, "n fields 3"]:
    """Y, Cb and Cr of each field, in levels of 255; grey is 0, 0."""
    content = bytes.fromhex("".join(text or _NO_COLOUR for text in colours))
    rgb = np.frombuffer(content, np.uint8).reshape(-1, FIELDS_SIDE, FIELDS_SIDE, 3)
    rgb = rgb[:, :, ::-1] if is_mirrored else rgb
    return rgb.reshape(-1, _NUM_FIELDS, 3).astype(np.float32) @ _YCC.T


def _weigh(
    chroma: Float32[np.ndarray, "n fields 2"], light: Float32[np.ndarray, "n fields"]
) -> Float32[np.ndarray, "n fields 2"]:
    """Shrinks what a cast and toning change; `light` has mean 0 and length 1."""
    cast = chroma.mean(1, keepdims=True)
    toning = light[..., None] * np.einsum("nf,nfc->nc", light, chroma)[:, None]
    return chroma - (1 - _CAST) * cast - (1 - _TONING) * toning


def _mean_product(
    a: Float32[np.ndarray, "n fields 2"], b: Float32[np.ndarray, "n fields 2"]
) -> Float32[np.ndarray, " n"]:
    return (a * b).sum((1, 2)) / _NUM_FIELDS
