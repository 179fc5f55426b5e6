"""Colour profiles for tests, and the same colours by arithmetic, without Little CMS."""

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])

# x and y of white, red, green and blue; and how samples become light.
SPACES = {
    # IEC 61966-2-1
    "sRGB": ((0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), "srgb"),
    # Adobe RGB (1998): 2 + 51/256
    "Adobe RGB": ((0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 2.19921875),
    # SMPTE RP 431-2's primaries, sRGB's white and curve
    "Display P3": ((0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), "srgb"),
    # ISO 22028-2, but for its linear toe
    "ProPhoto RGB": (
        (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001),
        1.8,
    ),
    # eciRGB v2: L* of CIELAB
    "eciRGB v2": ((0.3457, 0.3585, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08), "lstar"),
    "Rec. 2020, linear": (
        (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
        1.0,
    ),
}


def light(samples, curve):
    """Samples from 0 to 1 as light."""
    samples = np.asarray(samples, float)
    if curve == "srgb":
        high = ((samples + 0.055) / 1.055) ** 2.4
        return np.where(samples <= 0.04045, samples / 12.92, high)
    if curve == "lstar":
        high = ((100 * samples + 16) / 116) ** 3
        return np.where(samples <= 0.08, 100 * samples * 27 / 24389, high)
    return samples**curve


def samples(of_light, curve):
    """The inverse of `light`, by interpolation in a long table."""
    table = np.linspace(0, 1, 1 << 18)
    return np.interp(of_light, light(table, curve), table)


def to_xyz(primaries):
    """From linear RGB to XYZ under D50, through Bradford's cones."""
    x, y = np.reshape(primaries, (4, 2)).T
    white, *inks = np.stack([x / y, np.ones(4), (1 - x - y) / y], -1)
    matrix = np.transpose(inks)
    matrix = matrix * np.linalg.solve(matrix, white)
    cones = np.array(
        [
            [0.8951, 0.2664, -0.1614],
            [-0.7502, 1.7135, 0.0367],
            [0.0389, -0.0685, 1.0296],
        ]
    )
    adapted = np.diag((cones @ D50) / (cones @ white))
    return np.linalg.inv(cones) @ adapted @ cones @ matrix


def from_srgb(pixels, name):
    """uint8 pixels of sRGB as those of another space that look the same."""
    primaries, curve = SPACES[name]
    linear = light(pixels / 255, "srgb") @ to_xyz(SPACES["sRGB"][0]).T
    linear = np.clip(linear @ np.linalg.inv(to_xyz(primaries)).T, 0, 1)
    return np.rint(255 * samples(linear, curve)).astype(np.uint8)


def rgb_profile(name):
    """An ICC profile of version 2, with its curve as a table."""
    primaries, curve = SPACES[name]
    columns = to_xyz(primaries).T
    tags = {b"wtpt": _xyz(D50)}
    tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, columns), strict=True))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(curve))
    return _icc(b"mntrRGB XYZ ", tags)


def grey_profile(curve):
    return _icc(b"mntrGRAYXYZ ", {b"wtpt": _xyz(D50), b"kTRC": _curve(curve)})


def cmyk_profile(inks_of_lab, num_points=9):
    """A printer's profile: a table from inks to CIELAB, `inks [..., 4] -> lab`."""
    inks = np.meshgrid(*[np.linspace(0, 1, num_points)] * 4, indexing="ij")
    grid = np.stack(inks, -1)
    lab = inks_of_lab(grid.reshape(-1, 4))
    # Version 2's encoding of CIELAB in 16 bits: L* 100 is 0xFF00, a* 0 is 0x8000.
    encoded = np.rint(np.stack([lab[:, 0] * 652.8, *(lab[:, 1:].T + 128) * 256], -1))
    head = struct.pack(">4s4xBBBx", b"mft2", 4, 3, num_points)
    head += b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    straight = struct.pack(">HH", 0, 0xFFFF)
    table = np.clip(encoded, 0, 65535).astype(">u2").tobytes()
    tag = head + struct.pack(">HH", 2, 2) + straight * 4 + table + straight * 3
    return _icc(b"prtrCMYKLab ", {b"wtpt": _xyz(D50), b"A2B0": tag})


def srgb_of_lab(lab):
    """CIELAB under D50 as uint8 pixels of sRGB."""
    lightness, a, b = np.moveaxis(np.asarray(lab, float), -1, 0)
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], -1)
    xyz = D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    linear = xyz @ np.linalg.inv(to_xyz(SPACES["sRGB"][0])).T
    return np.rint(255 * samples(np.clip(linear, 0, 1), "srgb")).astype(np.uint8)


def _curve(curve):
    table = np.rint(65535 * light(np.linspace(0, 1, 4096), curve)).astype(">u2")
    return struct.pack(">4s4xI", b"curv", len(table)) + table.tobytes()


def _xyz(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def _icc(kind, tags):
    size = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, size + len(content), len(data))
        content += data + b"\0" * (-len(data) % 4)
    header = struct.pack(">I4xI", size + len(content), 0x02400000) + kind + bytes(12)
    header += b"acsp" + bytes(28) + struct.pack(">3i", *(round(v * 65536) for v in D50))
    return header.ljust(128, b"\0") + table + content
