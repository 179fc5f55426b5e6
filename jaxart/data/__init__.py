"""Images: which there are, what each file is, and how it becomes a network input."""

__all__ = [
    "checks",
    "choices",
    "duplicates",
    "examples",
    "features",
    "files",
    "fingerprints",
    "images",
    "labels",
    "listing",
    "lists",
    "names",
    "pipeline",
    "predictions",
    "procedural",
    "temperature",
    "trained_on",
]
