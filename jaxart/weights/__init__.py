"""Other people's weight files, checked and turned into our parameter tree.

`sources` reads any format, `convert` makes it ours, which `canonical` reads and writes;
`merge` fits arrays to a network.
"""

from jaxart.weights.errors import WeightsError

__all__ = [
    "WeightsError",
    "canonical",
    "channel_order",
    "choices",
    "convert",
    "downloads",
    "known_files",
    "layout",
    "merge",
    "readers",
    "sources",
]
