"""ImageNet's 1000 classes, in the order of the logits of networks trained on it."""

import collections
import importlib.resources

NUM_CLASSES = 1000


def class_names() -> tuple[str, ...]:
    """The first synonym of each class; with its synset where two have the same."""
    # Caffe's synset_words.txt: `wnid name, synonym, ...` in the order of the logits.
    synsets = importlib.resources.files("jaxart.models") / "imagenet_synsets.txt"
    wnids, synonyms = zip(
        *(line.split(" ", 1) for line in synsets.read_text("utf-8").splitlines()),
        strict=True,
    )
    names = [names.split(", ")[0] for names in synonyms]
    count = collections.Counter(names)
    return tuple(
        name if count[name] == 1 else f"{name} ({wnid})"
        for name, wnid in zip(names, wnids, strict=True)
    )
