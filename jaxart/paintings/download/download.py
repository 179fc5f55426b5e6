"""The loop that fills the styles' folders, wherever the paintings come from."""

import collections
from collections.abc import Callable, Iterator, Sequence

from tqdm import tqdm

from jaxart.devices import stopping
from jaxart.paintings.download.errors import Refused, Unavailable, WikiartError
from jaxart.paintings.download.painting import Offer, Painting
from jaxart.paintings.download.store import Store

# It is given the styles that are still wanted; each is removed when it has enough.
Source = Callable[[list[str]], Iterator[Offer]]

_FAILURES_IN_A_ROW = 5


class Run:
    """Fills a store; `failed_now` says what may be had later, and why it was not."""

    def __init__(self, store: Store, styles: Sequence[str], per_style: int):
        self._store, self._styles, self._per_style = store, styles, per_style
        self._before = collections.Counter(store.counts)
        self.failed_now: list[tuple[Painting, str]] = []

    def collect(self, source: Source) -> None:
        """Takes paintings from a source until each style has enough, or has no more.

        Raises:
          WikiartError: the source cannot be used, there is no more room, or the site
            seems to be down.
          OSError: the folder cannot be written.
        """
        counts = self._store.counts
        wanted = [s for s in self._styles if counts[s] < self._per_style]
        failed_in_a_row = 0
        with tqdm(
            total=self._per_style * len(self._styles),
            initial=sum(min(counts[s], self._per_style) for s in self._styles),
            unit="image",
            disable=None,  # where no terminal shows it
        ) as bar:
            for painting, fetch in source(wanted) if wanted else ():
                if painting.style not in wanted or self._store.is_settled(painting):
                    continue
                stopping.check()
                try:
                    self._store.obtain(painting, fetch)
                    failed_in_a_row = 0
                    bar.update()
                except Refused as error:
                    self._store.reject(painting, str(error))
                    failed_in_a_row = 0
                except Unavailable as error:
                    self.failed_now.append((painting, str(error)))
                    failed_in_a_row += 1
                    if failed_in_a_row == _FAILURES_IN_A_ROW:
                        raise WikiartError(
                            f"{failed_in_a_row} paintings in a row could not be had: "
                            f"the site seems to be down ({painting.url}: {error}); the "
                            "same command goes on from here later"
                        ) from error
                if counts[painting.style] >= self._per_style:
                    wanted.remove(painting.style)

    def summary(self) -> str:
        """A table of the styles."""
        failed = collections.Counter(e["style"] for e in self._store.failures())
        failed.update(painting.style for painting, _ in self.failed_now)
        lines = [f"{'style':<30}{'new':>8}{'before':>8}{'failed':>8}{'wanted':>8}"]
        for style in self._styles:
            before = self._before[style]
            new = self._store.counts[style] - before
            numbers = (new, before, failed[style], self._per_style)
            lines.append(f"{style:<30}" + "".join(f"{n:>8}" for n in numbers))
        return "\n".join(lines)

    def shortages(self) -> list[str]:
        """A sentence for each style that has fewer images than are wanted."""
        later = collections.Counter(painting.style for painting, _ in self.failed_now)
        sentences = []
        for style in self._styles:
            count = self._store.counts[style]
            if count < self._per_style:
                rest = "there are no more"
                if later[style]:
                    rest += f", but {later[style]} that the same command asks for again"
                sentences.append(
                    f"{style}: {count} of the {self._per_style} images wanted; {rest}"
                )
        return sentences
