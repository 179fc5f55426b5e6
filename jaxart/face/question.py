"""What is asked of a network when it is to explain, and the answer."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int32

from jaxart.classifier import Classifier, ClassifierError
from jaxart.face import programs
from jaxart.face.explanation import Explanation
from jaxart.face.pictures import Picture
from jaxart.face.prediction import Prediction
from jaxart.saliency import catalogue, pictures, render, work
from jaxart.saliency.choices import CHANNEL_RULES, SCORES


@dataclasses.dataclass(frozen=True)
class Question:
    """What to explain, and how; see `TrainedNetwork.explain`."""

    network: Classifier
    method: str
    settings: dict[str, Any]  # all of the method's own
    channel_rule: str  # '' where the method gives maps
    target: int | tuple[int, int]  # as `work.make_step` takes it
    score: str
    seed: int
    look: pictures.Look
    percentile: float

    def run(self, images: Float32[np.ndarray, "b s s 3"]) -> work.Explained:
        """Explains a batch."""
        step = programs.explaining(
            self.network.model,
            self.method,
            tuple(self.settings.items()),
            self.channel_rule,
            self.score,
            self.seed,
            batch_size=len(images),
        )
        targets = np.repeat(np.array([self.target], np.int32), len(images), axis=0)
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
        probabilities = softmax(logits)
        score = logits[target] - (logits[against[0]] if against else 0)
        if self.score == "log_probability":
            score = np.log(probabilities[target])
        return Explanation(
            Prediction(self.network.class_names, logits, probabilities, picture),
            values,
            self.method,
            self.settings,
            target=target,
            against=against[0] if against else None,
            score=float(score),
            look=self.look,
            percentile=self.percentile,
        )


def ask(
    network: Classifier,
    method: str,
    *,
    target: str | int,
    against: str | int | None,
    score: str,
    channel_rule: str | None,
    seed: int,
    percentile: float,
    colormap: str,
    settings: dict[str, Any],
) -> Question:
    """A question that has an answer, for any image.

    Raises:
      ClassifierError: there is no such class.
      ValueError: a method or setting cannot be; names the choices.
    """
    complete = catalogue.complete_settings(method, network.model, settings)
    rule = _choose_rule(method, channel_rule)
    signed = rule in catalogue.SIGNED_RULES
    look = pictures.Look(
        render.color_table(colormap, signed), signed, network.resize or "antialias"
    )
    chosen = _choose_target(network, target, against, score)
    return Question(
        network, method, complete, rule, chosen, score, seed, look, percentile
    )


def softmax(logits: Float32[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Probabilities, in float64."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    return exponentials / exponentials.sum()


def _choose_rule(method: str, given: str | None) -> str:
    own = catalogue.find(method).channel_rule
    if given is None:
        return own
    if not own:
        raise ValueError(f"{method} gives maps: no channel_rule applies")
    if given not in CHANNEL_RULES:
        raise ValueError(f"channel_rule={given!r}: one of {', '.join(CHANNEL_RULES)}")
    return given


def _choose_target(
    network: Classifier, target: str | int, against: str | int | None, score: str
) -> int | tuple[int, int]:
    if score not in SCORES:
        raise ValueError(f"score={score!r}: one of {', '.join(SCORES)}")
    is_predicted = target == "predicted"
    index = work.PREDICTED if is_predicted else network.class_index(str(target))
    if against is None:
        return index
    if score != "logit":
        raise ValueError(
            f"score={score!r} with against={against!r}: the difference of two classes' "
            "log-probabilities is that of their logits; leave score out"
        )
    if against == "best_other":
        return index, work.BEST_OTHER
    other = network.class_index(str(against))
    if other == index:
        raise ClassifierError(f"against={against!r} is the target itself")
    return index, other
