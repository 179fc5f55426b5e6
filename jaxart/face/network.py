"""A trained network that can be asked: what it sees in images, and why."""

import os
from typing import Any, overload

import numpy as np
from jaxtyping import Float32

from jaxart import classifier, storage
from jaxart.classifier import Classifier
from jaxart.face import batches, programs
from jaxart.face.answering import Asked
from jaxart.face.explanation import Explanation
from jaxart.face.pictures import ImageLike, Picture
from jaxart.face.prediction import Prediction
from jaxart.models import MODELS
from jaxart.predict.run import Scores
from jaxart.saliency import catalogue, class_image, pictures, question
from jaxart.weights import WeightsError, canonical, convert, known_files

# Several images.
Many = list[Any] | tuple[Any, ...]

# Of a list, as in the commands.
PREDICT_BATCH, EXPLAIN_BATCH = 32, 8


class TrainedNetwork(Classifier):
    """A network with its parameters, class names and preprocessing, to be asked.

    Images are paths, URLs of object stores, PIL images, uint8 arrays [H, W, 3], or a
    list of these, which gives a list (or one more axis). The network prepares them
    itself, as in its training.

    One image runs alone, the images of a list in batches; `batch_size` says otherwise.
    Numbers are, to the bit, those of the commands with the same `--batch_size`; batches
    of another size round differently. What was compiled serves other images, classes
    and networks of the same architecture.
    """

    @overload
    def predict(
        self, image: Many, *, batch_size: int | None = ...
    ) -> list[Prediction]: ...
    @overload
    def predict(
        self, image: ImageLike, *, batch_size: int | None = ...
    ) -> Prediction: ...
    def predict(
        self, image: ImageLike | Many, *, batch_size: int | None = None
    ) -> Prediction | list[Prediction]:
        """What images show: a `Prediction`, or a list of them.

        Raises:
          ImageError: one cannot be read; names it.
          TypeError, ValueError: one is no image; says what to give.
        """

        def finish(batch: list[Picture], scores: Scores) -> list[Prediction]:
            order = np.argsort(scores.indices, axis=1)
            columns = (
                np.take_along_axis(np.asarray(values), order, axis=1)
                for values in (scores.logits, scores.probabilities)
            )
            return [
                Prediction(self.class_names, logits, probabilities, picture)
                for picture, logits, probabilities in zip(batch, *columns, strict=False)
            ]

        return self._each(image, batch_size, PREDICT_BATCH, self._score, finish)

    def logits(
        self, image: ImageLike | Many, *, batch_size: int | None = None
    ) -> Float32[np.ndarray, "*n k"]:
        """Logits [K] of an image, or [N, K] of a list; raises as `predict`."""
        predictions = self.predict(image, batch_size=batch_size)
        if isinstance(predictions, Prediction):
            return predictions.logits
        rows = [prediction.logits for prediction in predictions]
        return np.array(rows, np.float32).reshape(-1, len(self.class_names))

    def features(
        self,
        image: ImageLike | Many,
        layer: str = "fc7",
        *,
        batch_size: int | None = None,
    ) -> Float32[np.ndarray, "..."]:
        """A layer's activation of an image; of a list, with an axis of N before it.

        Raises:
          ValueError: there is no such layer; names the layers. Also as `predict`.
        """

        def step(images: np.ndarray) -> Scores:
            return self._score(images, layer)

        def finish(batch: list[Picture], scores: Scores) -> list[np.ndarray]:
            return list(np.asarray(scores.activation, np.float32)[: len(batch)])

        rows = self._each(image, batch_size, PREDICT_BATCH, step, finish)
        return np.stack(rows) if isinstance(rows, list) else rows

    @overload
    def explain(
        self, image: Many, method: str = ..., **how: Any
    ) -> list[Explanation]: ...
    @overload
    def explain(
        self, image: ImageLike, method: str = ..., **how: Any
    ) -> Explanation: ...
    def explain(
        self,
        image: ImageLike | Many,
        method: str = "gradient",
        *,
        target: str | int = "predicted",
        against: str | int | None = None,
        score: str = "logit",
        channel_rule: str | None = None,
        seed: int = 0,
        percentile: float = 99.0,
        colormap: str = "auto",
        batch_size: int | None = None,
        **settings: Any,
    ) -> Explanation | list[Explanation]:
        """What the network looks at: an `Explanation`, or a list of them.

        Args:
          image: an image, or a list.
          method: one of `methods()`.
          target: the class to explain: 'predicted', its name or its index.
          against: a class whose logit is subtracted from the target's: its name or
            index, or 'best_other', the best class other than the target.
          score: 'logit', or 'log_probability'.
          channel_rule: how an attribution becomes one number a pixel, one of
            `choices.CHANNEL_RULES`; None is the method's own.
          seed: of methods that draw samples.
          percentile: of a map's absolute values, the end of its colour table.
          colormap: 'auto', or a table of the cmap package.
          batch_size: images that run at once.
          **settings: the method's own, as `methods()` lists them.

        Raises:
          ClassifierError: there is no such class.
          ImageError: an image cannot be read; names it.
          TypeError, ValueError: what was given is no image, or a setting cannot be.
        """
        asked = question.ask(
            self.model,
            method,
            settings=settings,
            channel_rule=channel_rule,
            target=target,
            against=against,
            score=score,
        )
        asked.classes(self)  # raises
        look = pictures.look(colormap, asked.is_signed, self.resize or "antialias")
        asked = Asked(self, asked, seed, look, percentile)
        return self._each(image, batch_size, EXPLAIN_BATCH, asked.run, asked.finish)

    def class_model(
        self, target: str | int, *, steps: int = 300, seed: int = 0, **settings: Any
    ) -> class_image.Drawn:
        """The image that a class is, to the network; see `methods.class_model`.

        Raises:
          ClassifierError: there is no such class, or nothing moves its logit.
        """
        index = self.class_index(str(target))
        return class_image.draw(self, index, steps=steps, seed=seed, **settings)

    def methods(self) -> dict[str, dict[str, Any]]:
        """The methods of `explain`, each with its settings and their defaults."""
        return {
            name: catalogue.complete_settings(name, self.model, {})
            for name in catalogue.METHODS
        }

    def _score(self, images: np.ndarray, layer: str | None = None) -> Scores:
        step = programs.predicting(self.model, layer)
        return step(self.params, images, np.zeros(len(images), np.int32))

    def _each(
        self, image: Any, batch_size: int | None, usual_size: int, *how: Any
    ) -> Any:
        """Results of a list, or the one of an image."""
        if isinstance(image, (list, tuple)):
            size = batch_size or usual_size
            return batches.run(self, image, size, *how)
        (result,) = batches.run(self, [image], batch_size or 1, *how)
        return result

    # A network is one thing: to compare its arrays makes no truth value.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = object.__hash__

    def __reduce__(self):
        """Travels to another process as where it is from, and is loaded there."""
        return load, super().__reduce__()[1]

    def __repr__(self) -> str:
        kind = type(self.model).__name__
        source = f" from {self.source}" if self.source else ""
        return f"<{kind} of {len(self.class_names)} classes{source}>"


def load(
    source: str | os.PathLike,
    *,
    model: str | None = None,
    channel_order: str | None = None,
    class_names: str | os.PathLike | None = None,
) -> TrainedNetwork:
    """The network of a run's best epoch, or of a weight file.

    Args:
      source: a run's folder, a file of `jaxart convert`, or one of any format that it
        reads; by its URL, too.
      model: of a file of another format, which network it is for: 'alexnet',
        'caffenet', 'vgg16' or 'vgg19'. The public files are known by their names.
      channel_order: likewise, where it does not say: 'bgr', 'rgb' or 'torchvision'.
      class_names: likewise, a text file with a class a line, where they are not
        ImageNet's.

    Raises:
      WeightsError: not a usable weight file, or not of the network that is stated.
      ClassifierError: no classifier can be made of it.
      FileNotFoundError: there is no such file.
    """
    path = storage.weights_path(source)
    is_public = path.is_file() and not canonical.is_canonical(path)
    if not is_public:
        return TrainedNetwork(*classifier.load(path))
    known = known_files.named(path.name)
    if known:
        model = model or known.model
        channel_order = channel_order or known.channel_order
    if model is None or model not in MODELS:
        raise WeightsError(
            f"{path}: model={model!r}: state the network that the file is for: one of "
            f"{', '.join(MODELS)}"
        )
    names = storage.path_or_none(class_names)
    stated = convert.Stated(model, channel_order, names)
    return TrainedNetwork(*classifier.from_public_weights(path, stated))
