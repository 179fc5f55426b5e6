"""What the trained part of the network is fed, batch by batch."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from jaxart.data import features, pipeline
from jaxart.devices import processes
from jaxart.models import Network
from jaxart.models.layers import frozen_boundary
from jaxart.storage import results
from jaxart.training import inputs
from jaxart.training.frozen import Frozen
from jaxart.training.run import Run
from jaxart.training.sides import Sides


class Feed(NamedTuple):
    """Batches of images, or of what the frozen layers make of them."""

    run: Run
    data: inputs.Data
    boundary: str | None  # the last frozen layer, where its activations are fed
    seconds: float  # that it took to make them

    def train_batches(self, first_step: int) -> Iterator[tuple[int, Mapping]]:
        """The steps after `first_step`, each with its batch on the devices."""
        config = self.run.config
        batches = self._batches(
            self.data.train,
            config.batch_size,
            seed=config.seed,
            num_epochs=config.num_epochs,
            first_batch=first_step,
        )
        return enumerate(map(self.run.layout.put_batch, batches), first_step + 1)

    def val_batches(self) -> Iterator[Mapping]:
        """Every validation example once, on the devices."""
        batches = self._batches(self.data.val, self.run.forward_size)
        return map(self.run.layout.put_batch, batches)

    def list_failures(self) -> int:
        """Adds the pictures that broke or went in training to skipped.csv; how many.

        Those that worker processes were given are in the log alone.
        """
        data = self.data
        given = data.inputs
        own = given.failures if isinstance(given, pipeline.ImageFiles) else {}
        every = processes.gather(sorted(own.items()))
        is_val = set(data.val.tolist())
        failed = {
            (data.names[index], "val" if index in is_val else "train"): reason
            for failures in every
            for index, reason in failures
        }
        if failed and processes.is_first():
            rows = [(*which, reason) for which, reason in failed.items()]
            results.append_csv(self.run.workdir / inputs.SKIPPED, rows)
        return len(failed)

    def _batches(self, indices: Any, batch_size: int, **order: int) -> Iterable:
        return pipeline.batches(
            self.data.inputs,
            self.data.labels,
            indices,
            batch_size=batch_size,
            rows=self.run.layout.own_rows(batch_size),
            num_workers=0 if self.boundary else self.run.config.num_workers,
            **order,
        )


def make_feed(run: Run, sides: Sides, model: Network, params: Any) -> Feed:
    """Images, or what the frozen layers make of them, computed once."""
    config = run.config
    boundary = frozen_boundary(model.layers(), config.train_layers)
    boundary = boundary if config.cache else None

    def compute_inputs(paths, views, contents):
        pictures = pipeline.ImageFiles(paths, config.resize, model.preprocessing, views)
        if boundary is None:
            return pictures, [""] * len(paths)
        frozen = Frozen(model, params, boundary)
        return features.compute(
            frozen.forward(run.layout.local),
            pictures,
            contents,
            prefix=frozen.describe(),
            dtype=model.compute_dtype,
            cache_dir=run.cache_dir,
            batch_size=run.forward_size // processes.count(),
        )

    start = time.perf_counter()
    data = inputs.prepare(run, sides, compute_inputs)
    return Feed(run, data, boundary, time.perf_counter() - start)
