"""The record of a run in an object store, which neither appends nor locks.

Every process puts objects of a few lines below `parts`, and, when its share is
finished, a note, `parts/2-of-4.json`. Who sees all notes puts all lines into
`manifest.jsonl`; where two see them, both write the same.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence

from jaxart import json_chunks, results
from jaxart.data.shares import Share
from jaxart.parts import Note, digest
from jaxart.remote import RemotePath
from jaxart.saliency import manifest
from jaxart.saliency.manifest import Manifest
from jaxart.saliency.parts import FOLDER, MANIFEST

_ALL = "all"  # the part of a process that does all images


class RemoteRecords:
    """As `parts.Records`, for a run in an object store."""

    def __init__(
        self,
        out: RemotePath,
        names: Sequence[str],
        batch_size: int,
        share: Share | None,
    ):
        self._whole = out / MANIFEST
        self._folder = out / FOLDER
        self._names = names
        self._share = share
        self._settings = {"images": digest(names), "batch_size": batch_size}
        self._manifest: Manifest | None = None

    @contextlib.contextmanager
    def opened(self) -> Iterator[Manifest]:
        """The record that this process adds to; what any has done is done.

        What is not in the store yet is put there in the end, even where the run fails.
        """
        if self._share is None:
            self._take_in()
        else:
            self._note(self._share).unlink(missing_ok=True)
        part = _ALL if self._share is None else str(self._share)
        with contextlib.closing(Manifest(self._folder / part)) as self._manifest:
            # The parts first: they may be put into the whole meanwhile, and go.
            done = {entry["path"] for entry in json_chunks.read(self._chunks())}
            done |= {entry["path"] for entry in manifest.read_entries(self._whole)}
            self._manifest.done |= done
            yield self._manifest

    @contextlib.contextmanager
    def concluded(self, note: Note) -> Iterator[list[Note] | None]:
        """Says that this process is done with its images; to be used within `opened`.

        Yields:
          What all processes noted, where none has anything left to do: the whole record
          is complete by then, and the shares' go afterwards. Else None.
        """
        self._manifest.flush()
        notes = [note] if self._share is None else self._all_notes(note)
        if notes is None:
            yield None
            return
        chunks = self._merge()
        yield notes
        self._remove(chunks)

    def _all_notes(self, note: Note) -> list[Note] | None:
        """Leaves this share's note; those of all shares, if all are there."""
        results.write_json(
            self._note(self._share), {"settings": self._settings, "note": note}
        )
        notes = []
        for number in range(1, self._share.count + 1):
            try:
                text = self._note(Share(number, self._share.count)).read_text("utf-8")
            except FileNotFoundError:
                return None
            said = json.loads(text)
            if said["settings"] != self._settings:  # of another list: out of date
                return None
            notes.append(said["note"])
        return notes

    def _take_in(self) -> None:
        if chunks := self._chunks():
            self._merge()
            self._remove(chunks)

    def _merge(self) -> list[RemotePath]:
        chunks = self._chunks()
        entries = list(json_chunks.read(chunks))
        earlier = manifest.read_entries(self._whole)
        manifest.write_entries(self._whole, [*earlier, *entries], self._names)
        return chunks

    def _remove(self, chunks: Sequence[RemotePath]) -> None:
        """Removes what is in the whole record, and all notes."""
        notes = [
            self._folder / key
            for key in self._folder.keys_below()
            if key.endswith(".json")
        ]
        for path in [*notes, *chunks]:
            path.unlink(missing_ok=True)

    def _chunks(self) -> list[RemotePath]:
        keys = sorted(self._folder.keys_below())
        return [self._folder / k for k in keys if k.endswith(json_chunks.SUFFIX)]

    def _note(self, share: Share) -> RemotePath:
        return self._folder / f"{share}.json"
