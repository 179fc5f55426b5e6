"""Images: which there are, what each file is, and how it becomes a network input."""

__all__ = [
    "choices",
    "palettes",
    "duplicates",
    "examples",
    "features",
    "files",
    "fingerprints",
    "images",
    "listing",
    "lists",
    "pipeline",
    "predictions",
    "procedural",
    "temperature",
    "trained_on",
]
