"""The tests, which mirror jaxart/."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
