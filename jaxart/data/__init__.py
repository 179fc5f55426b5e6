"""Images: which there are, what each file is, and how it becomes a network input."""

__all__ = [
    "checks",
    "choices",
    "colours",
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
    "palettes",
    "pipeline",
    "predictions",
    "procedural",
    "resizing",
    "temperature",
    "trained_on",
]
