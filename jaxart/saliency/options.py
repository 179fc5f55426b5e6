"""What a pass explains, and how it shows it."""

import dataclasses
from typing import Any

from jaxart.data.resizing import RESIZE_RULES
from jaxart.saliency import pictures, render
from jaxart.saliency.choices import KINDS, SCALES
from jaxart.saliency.question import Question


@dataclasses.dataclass(frozen=True)
class Options:
    """What to explain, and how to show it. One output folder has one of these.

    Raises:
      ValueError: a value that cannot be; names the choices.
    """

    questions: tuple[Question, ...]  # the maps of each image, in order
    resize: str  # one of `resizing.RESIZE_RULES`
    save: tuple[str, ...]  # any of `choices.KINDS`
    scale: str  # 'image' draws each map on its own scale, 'common' all on one
    percentile: float  # of a map's absolute values: the end of its colour table
    colormap: str  # 'auto', or a table of the cmap package
    seed: int  # of methods that draw

    def __post_init__(self):
        for field, value, choices in (
            *(("save", kind, KINDS) for kind in self.save),
            ("scale", self.scale, SCALES),
            ("resize", self.resize, RESIZE_RULES),
        ):
            if value not in choices:
                raise ValueError(f"{field}={value!r}: one of {', '.join(choices)}")
        if not 0 < self.percentile <= 100:
            raise ValueError(f"percentile={self.percentile}: above 0 and at most 100")
        render.color_table(self.colormap, signed=False)  # raises

    def look(self, question: Question) -> pictures.Look:
        """How a question's maps are drawn."""
        return pictures.look(self.colormap, question.is_signed, self.resize)

    def describe(self) -> dict[str, Any]:
        """The fields as plain data; those of questions hold one value for each."""
        fields = dataclasses.asdict(self)
        questions = fields.pop("questions")
        columns = {name: [row[name] for row in questions] for name in questions[0]}
        return columns | fields
