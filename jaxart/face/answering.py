"""A question that is put to a network, and the answers."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int32

from jaxart.classifier import Classifier
from jaxart.face import programs
from jaxart.face.explanation import Explanation
from jaxart.face.pictures import Picture
from jaxart.face.prediction import Prediction
from jaxart.saliency import manifest, pictures, work
from jaxart.saliency.question import Question


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question to a network, and how its maps are drawn."""

    network: Classifier
    question: Question
    seed: int
    look: pictures.Look
    percentile: float

    def run(self, images: Float32[np.ndarray, "b s s 3"]) -> work.Explained:
        """Explains a batch."""
        what = self.question.program
        step = programs.explaining(self.network.model, *what, self.seed, len(images))
        classes = self.question.classes(self.network)
        targets = np.broadcast_to(classes, (len(images), *classes.shape))
        return step(self.network.params, images, targets)

    def finish(
        self, batch: Sequence[Picture], values: work.Explained
    ) -> list[Explanation]:
        """What the step says of each picture."""
        logits, targets, maps = map(np.asarray, values)
        classes = targets.reshape(len(targets), -1)  # with what they are against
        rows = zip(batch, logits, classes, maps, strict=False)  # the rest is padding
        return [self._answer(*row) for row in rows]

    def _answer(
        self,
        picture: Picture,
        logits: Float32[np.ndarray, " k"],
        classes: Int32[np.ndarray, " c"],
        values: Float32[np.ndarray, "s s"],
    ) -> Explanation:
        target, *against = classes.tolist()
        probabilities = manifest.softmax(logits)
        score = logits[target] - (logits[against[0]] if against else 0)
        if self.question.score == "log_probability":
            score = np.log(probabilities[target])
        return Explanation(
            Prediction(self.network.class_names, logits, probabilities, picture),
            values,
            self.question.method,
            self.question.settings,
            target=target,
            against=against[0] if against else None,
            score=float(score),
            look=self.look,
            percentile=self.percentile,
        )
