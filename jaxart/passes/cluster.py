"""Parts on a Ray cluster: Ray Data hands them to actors, retries, and grows.

An actor opens the work once, does parts as one device does, and writes their records;
what it sends back is how it went. A part whose actor dies each time is done image by
image, so that the one that kills it is skipped, and nothing else.
"""

import importlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxart.passes import local
from jaxart.passes.folder import Folder, Part
from jaxart.passes.work import Item, Results, Work

_NAME = -1

NUM_RETRIES = 3  # of a part whose actor dies, before it is done image by image

logger = logging.getLogger(__name__)


class Cluster(NamedTuple):
    """Where a pass runs, if not in this process.

    Attributes:
      address: of a Ray cluster, or 'auto' for the one that this machine is part of; or
        for this machine alone, where it is part of none.
      num_cpus: of an actor, where the cluster has no GPUs.
    """

    address: str
    num_cpus: float = 1


class ClusterError(ValueError):
    """There is no cluster to run on; the message says what to do."""


def run_parts(
    work: Work, parts: Sequence[Part], folder: Folder, cluster: Cluster
) -> Iterator[local.Progress]:
    """Does those parts that are not done, and tells how it goes, in any order.

    Raises:
      ClusterError: Ray is not installed, or does not answer.
    """
    ray = _connect(cluster.address)
    actor = (_Actor, _dumps(ray, work), folder)
    whole = [_Task(part.number, list(part.items), None) for part in parts]
    by_number = {part.number: part for part in parts}
    left = dict(by_number)
    for said in _map(ray, actor, whole, cluster):
        part = left.pop(said["number"])
        yield local.Progress(part, said["name"], len(part.items), said["is_new"], True)
    for part in left.values():
        logger.warning(
            "Part %d ended its process %d times: image by image now",
            part.number,
            NUM_RETRIES + 1,
        )
        yield _one_by_one(ray, actor, work, part, folder, cluster)


class _Task(NamedTuple):
    """A part, one item of it, or just what the part is called (`_NAME`)."""

    number: int
    items: list[Item]
    index: int | None


def _connect(address: str) -> Any:
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError:
        raise ClusterError(
            "--ray needs a package more: pip install 'jaxart[ray]'"
        ) from None
    if not ray.is_initialized():
        try:
            ray.init(
                None if address == "auto" else address,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise ClusterError(
                f"ray={address}: no Ray cluster answers ({reason}). Start one with "
                "`ray start --head`, or say --ray=auto."
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # the other parts go on
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _dumps(ray: Any, work: Work) -> bytes:
    """The work, which only an actor makes anew: that may load a network."""
    return ray.cloudpickle.dumps(work)


def _map(
    ray: Any, actor: tuple, tasks: Sequence[_Task], cluster: Cluster
) -> Iterator[dict[str, Any]]:
    """What actors say of tasks, in any order; nothing of those that end their actor.

    Raises:
      Exception: what a task raised.
    """
    kind, *arguments = actor
    has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
    needed = {"num_gpus": 1} if has_gpus else {"num_cpus": cluster.num_cpus}
    rows = [{"task": json.dumps(task)} for task in tasks]
    # Ray 2.60 to 2.63 have no other word for the number of retries.
    warnings.filterwarnings("ignore", ".*ray_remote_args_fn", DeprecationWarning)
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        kind,
        fn_constructor_args=arguments,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=len(rows), max_tasks_in_flight_per_actor=1
        ),
        ray_remote_args_fn=lambda: {"max_task_retries": NUM_RETRIES},
        **needed,
    )
    for row in dataset.iter_rows():
        said = json.loads(row["said"])
        if "error" in said:
            raise ray.cloudpickle.loads(bytes.fromhex(said["error"]))
        yield said


def _one_by_one(
    ray: Any,
    actor: tuple,
    work: Work,
    part: Part,
    folder: Folder,
    cluster: Cluster,
) -> local.Progress:
    """Does a part item by item, each in an actor's task of its own."""
    items = list(part.items)
    tasks = [_Task(part.number, items, index) for index in range(len(items))]
    done = {said["index"]: said for said in _map(ray, actor, tasks, cluster)}
    for task in tasks:  # a neighbour of the one that ends its actor has a second try
        if task.index not in done:
            done.update((task.index, s) for s in _map(ray, actor, [task], cluster))
    (said,) = _map(ray, actor, [_Task(part.number, items, _NAME)], cluster)
    name = said["name"]
    with folder.writing(name) as add:
        for index, item in enumerate(items):
            if index in done:
                add(_unpack(ray, done[index]["results"]))
            else:
                reason = "ends the process that reads it (out of memory?)"
                add(Results([work.skip(item, reason)]))
    return local.Progress(part, name, len(items), is_new=True, is_end=True)


def _unpack(ray: Any, text: str) -> Results:
    return ray.cloudpickle.loads(bytes.fromhex(text))


class _Actor:
    """What does tasks in a process of the cluster: one dictionary of columns each."""

    def __init__(self, work: bytes, folder: Folder):
        self._pickle = importlib.import_module("ray.cloudpickle")
        self._work = self._pickle.loads(work)
        self._folder = folder
        self._opened = None

    def __call__(self, columns: dict[str, np.ndarray]) -> dict[str, list[str]]:
        said = []
        for text in columns["task"]:
            try:
                said.append(json.dumps(self._do(_Task(*json.loads(text)))))
            except Exception as error:  # it is the driver's to raise
                said.append(json.dumps({"error": self._dump(error)}))
        return {"said": said}

    def _do(self, task: _Task) -> dict[str, Any]:
        if self._opened is None:
            self._opened = self._work.open()
        part = Part(task.number, task.items)
        if task.index is None:
            *_, end = local.run_parts(
                self._opened,
                [part],
                self._folder,
                self._work.batch_size,
                self._folder.has,
            )
            return {"number": part.number, "name": end.name, "is_new": end.is_new}
        name = self._folder.name(part, self._opened.identify(part.items))
        if task.index == _NAME:
            return {"name": name}
        start = task.index - task.index % self._work.batch_size
        batch = task.items[start : start + self._work.batch_size]
        alone = [
            item if start + row == task.index else None
            for row, item in enumerate(batch)
        ]
        results = local.run_batch(self._opened, alone)
        return {"index": task.index, "results": self._dump(results)}

    def _dump(self, value: Any) -> str:
        return self._pickle.dumps(value).hex()
