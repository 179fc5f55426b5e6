"""A run's folder: its checkpoints, and whether they are what was written."""

from jaxart.runs.checkpoints import Checkpoints
from jaxart.runs.facts import Progress, Restored, Saved, folder_of
from jaxart.runs.sound import set_aside_half_made

__all__ = [
    "Checkpoints",
    "Progress",
    "Restored",
    "Saved",
    "folder_of",
    "set_aside_half_made",
]
