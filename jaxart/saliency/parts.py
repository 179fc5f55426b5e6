"""The records of shares, while they are made, and their merger into one.

A share's process writes `parts/2-of-4.jsonl`; in the end all become part of
`manifest.jsonl`.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxart.data.shares import Share
from jaxart.parts import Note, Parts, digest
from jaxart.saliency.manifest import Manifest, read_entries, write_entries

MANIFEST = "manifest.jsonl"
FOLDER = "parts"


class Records:
    """The records of one run.

    Args:
      out: the run's folder.
      names: all images.
      batch_size: images in a batch; shares are made of batches.
      share: which of the images are this process's; None takes all.
    """

    def __init__(
        self, out: Path, names: Sequence[str], batch_size: int, share: Share | None
    ):
        self._out = out
        self._names = names
        self._share = share
        settings = {"images": digest(names), "batch_size": batch_size}
        self._parts = Parts(out / FOLDER, settings)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Manifest]:
        """The record that this process appends to: its share's, or the whole one.

        The whole one takes in the records of all shares first; a share does so with
        those of other lists, batch sizes and numbers of shares.

        Raises:
          BusyError: another process is at this share; or, for the whole, at any.
        """
        whole = self._out / MANIFEST
        if self._share is None:
            if self._parts.folder.is_dir():
                with self._parts.taken_in():
                    self._merge()
            with contextlib.closing(Manifest(whole)) as manifest:
                yield manifest
            return
        path = self._parts.path(self._share, ".jsonl")
        with (
            self._parts.working(self._share, take_in=self._merge),
            contextlib.closing(Manifest(path)) as manifest,
        ):
            manifest.done |= {entry["path"] for entry in read_entries(whole)}
            yield manifest

    @contextlib.contextmanager
    def concluded(self, note: Note) -> Iterator[list[Note] | None]:
        """Says that this process is done with its images; to be used within `opened`.

        Yields:
          What all processes noted, where none has anything left to do: the whole record
          is complete by then, and the shares' go afterwards. Else None.
        """
        if self._share is None:
            yield [note]
            return
        with self._parts.finished(self._share, note) as notes:
            if notes is not None:
                self._merge()
            yield notes

    def _merge(self) -> None:
        """Puts the shares' records into the whole one, whose own lines go before."""
        whole = self._out / MANIFEST
        paths = [whole, *sorted(self._parts.folder.glob("*.jsonl"))]
        entries = itertools.chain.from_iterable(map(read_entries, paths))
        write_entries(whole, entries, self._names)
