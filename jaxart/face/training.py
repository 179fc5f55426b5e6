"""Fine-tuning, from Python."""

import dataclasses
import functools
import os
from typing import Any

from ml_collections import ConfigDict

from jaxart import storage
from jaxart.devices import processes
from jaxart.face.network import TrainedNetwork, load
from jaxart.report import writing
from jaxart.storage import AnyPath
from jaxart.training import config as configs
from jaxart.training import experiments, loop


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """A finished training.

    Attributes:
      workdir: its folder.
      result: what result.json holds.
    """

    workdir: AnyPath
    result: dict[str, Any]

    @functools.cached_property
    def network(self) -> TrainedNetwork:
        """The network of the best epoch."""
        return load(self.workdir)

    def report(self) -> AnyPath:
        """Writes report.html in its folder anew; gives its path."""
        return writing.write(self.workdir)

    def __repr__(self) -> str:
        accuracy = self.result["val_accuracy"]
        low, high = self.result["val_accuracy_ci95"]
        return (
            f"<run in {self.workdir}: validation accuracy {accuracy:.4f} "
            f"(95 % interval {low:.4f} to {high:.4f})>"
        )


def train(
    config: str | os.PathLike | ConfigDict,
    workdir: str | os.PathLike,
    **overrides: Any,
) -> Run:
    """Fine-tunes a network, or goes on with an unfinished training of `workdir`.

    Args:
      config: the name of an experiment of configs/, a file with get_config(), or a
        ConfigDict.
      workdir: the folder for all that it leaves.
      **overrides: fields of the config, e.g. `num_epochs=5`, `train_data="paintings"`.

    Raises:
      ValueError: the config, the data or the weights cannot be used; the message names
        the field or file, the value and the choices.
      FloatingPointError: the loss is no longer finite.
    """
    if isinstance(config, ConfigDict):
        fields = ConfigDict(config.to_dict())
    else:
        fields = experiments.read(os.fspath(config))
    configs.check_names(overrides)
    for name, value in overrides.items():
        fields[name] = tuple(value) if isinstance(value, list) else value
    result = loop.train_and_evaluate(fields, workdir)
    run = Run(storage.path(workdir), result)
    if processes.is_first():
        writing.write_after_training(run.workdir, processes.count())
    return run
