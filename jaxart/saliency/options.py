"""What a pass explains, and how it shows it."""

import dataclasses
import functools
from typing import Any

from jaxart.data.images import RESIZE_RULES
from jaxart.saliency import pictures, render
from jaxart.saliency.catalogue import SIGNED_RULES
from jaxart.saliency.choices import CHANNEL_RULES, KINDS, SCALES


@dataclasses.dataclass(frozen=True)
class Options:
    """What to explain, and how to show it. One output folder has one of these.

    Raises:
      ValueError: a value that cannot be; names the choices.
    """

    method: str  # a name of `catalogue.METHODS`
    settings: dict[str, Any]  # the method's own, all of them
    channel_rule: str  # makes a map of an attribution
    target: str  # 'predicted', 'label', a class index or a class name
    resize: str  # one of `images.RESIZE_RULES`
    save: tuple[str, ...]  # any of `choices.KINDS`
    scale: str  # 'image' draws each map on its own scale, 'common' all on one
    percentile: float  # of a map's absolute values: the end of its colour table
    colormap: str  # 'auto', or a table of the cmap package
    seed: int  # of methods that draw

    def __post_init__(self):
        for field, value, choices in (
            *(("save", kind, KINDS) for kind in self.save),
            ("scale", self.scale, SCALES),
            ("channel_rule", self.channel_rule, (*CHANNEL_RULES, "")),
            ("resize", self.resize, RESIZE_RULES),
        ):
            if value not in choices:
                raise ValueError(f"{field}={value!r}: one of {', '.join(choices)}")
        if not 0 < self.percentile <= 100:
            raise ValueError(f"percentile={self.percentile}: above 0 and at most 100")
        render.color_table(self.colormap, signed=False)  # raises

    @functools.cached_property
    def look(self) -> pictures.Look:
        """How maps are drawn; to find a colour table takes a millisecond."""
        signed = self.channel_rule in SIGNED_RULES
        table = render.color_table(self.colormap, signed)
        return pictures.Look(table, signed, self.resize)
