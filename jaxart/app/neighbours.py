"""The images whose features are most alike: by the cosine of the angle between them.

Exactly, up to `MAX_EXACT` images; above it by an index of the package usearch, a graph
that is walked from near to nearer (Malkov and Yashunin 2016, arXiv 1603.09320).
"""

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from jaxart.data.pipeline import Inputs

MAX_EXACT = 100_000

_NUM_WALKED = 256  # of the graph, in a search
_BLOCK = 512  # images whose features are in memory at once


class Found(NamedTuple):
    """Images and the cosines of their features, the most alike one first."""

    indices: Int64[np.ndarray, " n"]
    cosines: Float32[np.ndarray, " n"]


@runtime_checkable
class Search(Protocol):
    """Says which images are alike."""

    def search(self, query: Float32[np.ndarray, " d"], count: int) -> Found: ...


class Exact(NamedTuple):
    """Compares with every image."""

    features: Inputs  # [N, ...], by index
    indices: Int64[np.ndarray, " n"]  # of the images to compare with

    def search(self, query: Float32[np.ndarray, " d"], count: int) -> Found:
        """The `count` images that are most alike, or all if there are fewer."""
        direction = query / (np.linalg.norm(query) or 1)
        blocks = [block @ direction for _, block in directions(*self)]
        cosines = np.concatenate(blocks)
        order = np.argsort(-cosines, kind="stable")[:count]
        return Found(self.indices[order], cosines[order])


class Graph(NamedTuple):
    """Walks an index of usearch."""

    index: Any

    def search(self, query: Float32[np.ndarray, " d"], count: int) -> Found:
        """As `Exact.search`, nearly always."""
        matches = self.index.search(query, count)
        cosines = 1 - np.asarray(matches.distances, np.float32)
        return Found(np.asarray(matches.keys, np.int64), cosines)


def index(
    features: Inputs, indices: Int64[np.ndarray, " n"], max_exact: int = MAX_EXACT
) -> Search:
    """What searches among the images at `indices`.

    Raises:
      ModuleNotFoundError: there are more than `max_exact`, and no usearch.
    """
    if len(indices) <= max_exact:
        return Exact(features, indices)
    usearch = importlib.import_module("usearch.index")
    graph = None
    for keys, block in directions(features, indices):
        if graph is None:
            graph = usearch.Index(
                ndim=block.shape[1],
                metric="cos",
                dtype="f16",
                expansion_search=_NUM_WALKED,
            )
        graph.add(keys, block)
    return Graph(graph)


def directions(
    features: Inputs, indices: Int64[np.ndarray, " n"]
) -> Iterator[tuple[Int64[np.ndarray, " b"], Float32[np.ndarray, "b d"]]]:
    """Features at length 1, a block at a time, with their indices; 0 stays 0."""
    for start in range(0, len(indices), _BLOCK):
        keys = indices[start : start + _BLOCK]
        rows = np.asarray(features[keys], np.float32).reshape(len(keys), -1)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        yield keys, rows / np.where(lengths > 0, lengths, 1)
