"""The one metrics collection, for training and evaluation alike."""

import jax.numpy as jnp
import optax
from clu import metrics
from flax import struct
from jaxtyping import Array, Bool, Float, Int

# No `from __future__ import annotations` here: clu reads the fields' types.

NUM_BUCKETS = 30  # of a histogram, as TensorBoard's own


@struct.dataclass
class ConfusionMatrix(metrics.Metric):
    """Counts [K, K] of examples by class (row) and predicted class (column)."""

    counts: Array

    @classmethod
    def from_model_output(
        cls,
        *,
        logits: Float[Array, "b k"],
        labels: Int[Array, " b"],
        mask: Bool[Array, " b"],
        **_,
    ) -> "ConfusionMatrix":
        num_classes = logits.shape[-1]
        counts = jnp.zeros((num_classes, num_classes), jnp.int32)
        predicted = jnp.argmax(logits, axis=-1)
        return cls(counts=counts.at[labels, predicted].add(mask.astype(jnp.int32)))

    def merge(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        return type(self)(counts=self.counts + other.counts)

    def compute(self) -> Int[Array, "k k"]:
        return self.counts


@struct.dataclass
class Metrics(metrics.Collection):
    """Mean loss, accuracy and confusion matrix over the examples whose mask is True."""

    # clu's notation, in which a type is made by a call.
    loss: metrics.Average.from_output("loss")  # pyright: ignore[reportInvalidTypeForm]
    accuracy: metrics.Average.from_output("correct")  # pyright: ignore[reportInvalidTypeForm]
    confusion: ConfusionMatrix

    @classmethod
    def from_batch(
        cls,
        logits: Float[Array, "b k"],
        labels: Int[Array, " b"],
        mask: Bool[Array, " b"],
    ) -> "Metrics":
        return cls.single_from_model_output(
            loss=optax.softmax_cross_entropy_with_integer_labels(logits, labels),
            correct=jnp.argmax(logits, axis=-1) == labels,
            logits=logits,
            labels=labels,
            mask=mask,
        )


def bucketed(values: Float[Array, "..."]) -> Float[Array, "n 3"]:
    """A histogram as TensorBoard keeps it: rows of left edge, right edge and count.

    Computed where the values are, so that only the counts leave the device.
    """
    low, high = values.min(), values.max()
    is_flat = high <= low
    low = jnp.where(is_flat, low - 0.5, low)
    width = jnp.where(is_flat, 1.0, high - low) / NUM_BUCKETS
    left = low + width * jnp.arange(NUM_BUCKETS)
    bucket = jnp.clip(((values - low) / width).astype(jnp.int32), 0, NUM_BUCKETS - 1)
    counts = jnp.zeros(NUM_BUCKETS, jnp.int32).at[bucket].add(1)
    return jnp.stack([left, left + width, counts.astype(jnp.float32)], axis=1)
