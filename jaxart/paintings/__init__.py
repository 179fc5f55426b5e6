"""Paintings to train on: fetched from public places, and made a clean data set."""

__all__ = ["curate", "download"]
