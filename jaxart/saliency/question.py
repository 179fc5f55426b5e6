"""What is asked of a network: one map of each image."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32

from jaxart.classifier import Classifier, ClassifierError
from jaxart.models import Network
from jaxart.saliency import catalogue
from jaxart.saliency.choices import CHANNEL_RULES, SCORES

PREDICTED = -1  # as a target: the class with the highest logit
BEST_OTHER = -1  # as what a target is against: the highest logit of the other classes


@dataclasses.dataclass(frozen=True)
class Question:
    """What to explain, and how; one that has an answer is from `ask`.

    Raises:
      ValueError: a value that cannot be; names the choices.
    """

    method: str  # a name of `catalogue.METHODS`
    settings: dict[str, Any]  # the method's own, all of them
    channel_rule: str  # makes a map of an attribution; '' where the method gives maps
    target: str  # 'predicted', 'label', a class index or a class name
    against: str = ""  # a class whose logit is subtracted, 'best_other', or ''
    score: str = "logit"  # one of `choices.SCORES`

    def __post_init__(self):
        for field, value, choices in (
            ("channel_rule", self.channel_rule, (*CHANNEL_RULES, "")),
            ("score", self.score, SCORES),
        ):
            if value not in choices:
                raise ValueError(f"{field}={value!r}: one of {', '.join(choices)}")
        if self.against and self.score != "logit":
            raise ValueError(
                f"score={self.score!r} with against={self.against!r}: the difference "
                "of two log-probabilities is that of the logits; leave score out"
            )

    @property
    def name(self) -> str:
        """Its name as a folder; without separators, and of one question alone."""
        words = (self.method, self.target, *filter(None, [self.against]))
        return "-".join(re.sub(r"[^\w.]+", "_", word) for word in words)

    @property
    def is_signed(self) -> bool:
        """Whether maps tell for from against."""
        return self.channel_rule in catalogue.SIGNED_RULES

    @property
    def program(self) -> tuple[str, tuple[tuple[str, Any], ...], str, str]:
        """What is compiled: the same for questions that differ in classes alone."""
        settings = tuple(sorted(self.settings.items()))
        return self.method, settings, self.channel_rule, self.score

    def classes(
        self, network: Classifier, labels: Int32[np.ndarray, " n"] | None = None
    ) -> Int32[np.ndarray, "..."]:
        """What `work.make_step` takes as targets: one for all, or one for each label.

        Labels are classes.

        Returns:
          A class, or [class, against]; with an axis of N before it for target 'label'.

        Raises:
          ClassifierError: there is no such class; or target and against are one.
        """
        if self.target == "label" and labels is not None:
            targets = labels
        elif self.target == "predicted":
            targets = np.int32(PREDICTED)
        else:
            targets = np.int32(network.class_index(self.target))
        if not self.against:
            return np.asarray(targets, np.int32)
        against = BEST_OTHER
        if self.against != "best_other":
            against = network.class_index(self.against)
            if np.ndim(targets) == 0 and targets == against:
                raise ClassifierError(f"against={self.against!r} is the target itself")
        return np.stack([targets, np.full_like(targets, against)], axis=-1)


def ask(
    model: Network,
    method: str,
    *,
    settings: Mapping[str, Any],
    channel_rule: str | None,
    target: str | int = "predicted",
    against: str | int | None = None,
    score: str = "logit",
) -> Question:
    """A question to networks of this kind, with the method's own where nothing is said.

    Raises:
      ValueError: a method, a setting or a rule that cannot be; names the choices.
    """
    own_rule = catalogue.find(method).channel_rule
    if channel_rule and not own_rule:
        raise ValueError(f"{method} gives maps: no channel_rule applies")
    return Question(
        method,
        catalogue.complete_settings(method, model, settings),
        channel_rule or own_rule,
        str(target),
        "" if against is None else str(against),
        score,
    )


def ask_all(
    model: Network,
    methods: Sequence[str],
    targets: Sequence[str],
    *,
    settings: Mapping[str, Any],
    channel_rule: str | None,
    **how: Any,
) -> tuple[Question, ...]:
    """Every method for every target; a setting goes to the methods that have it.

    Raises:
      ValueError: as `ask`; no method takes a setting or the rule; or one question is
        asked twice.
    """
    takes_rule = {name: bool(catalogue.find(name).channel_rule) for name in methods}
    is_lost = channel_rule and not any(takes_rule.values())  # `ask` refuses it
    questions = tuple(
        ask(
            model,
            method,
            settings=own,
            channel_rule=channel_rule if takes_rule[method] or is_lost else None,
            target=target,
            **how,
        )
        for method, own in settings_of(methods, settings)
        for target in targets
    )
    names = [question.name.lower() for question in questions]
    for question in questions:
        if names.count(question.name.lower()) > 1:
            asked = f"method={question.method!r} with target={question.target!r}"
            raise ValueError(f"{asked} is asked for twice")
    return questions


def settings_of(
    methods: Sequence[str], settings: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Methods, each with those of the settings that it has.

    One method gets them all: what is not its own is refused by its name.

    Raises:
      ValueError: several methods, of which none has a setting.
    """
    if len(methods) == 1:
        return [(methods[0], dict(settings))]
    known = {name: catalogue.find(name).settings for name in methods}
    for setting in settings:
        if not any(setting in own for own in known.values()):
            raise ValueError(f"none of {', '.join(methods)} has a setting {setting}")
    return [
        (name, {key: settings[key] for key in settings if key in known[name]})
        for name in methods
    ]
