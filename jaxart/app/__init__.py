"""The explorer: a run looked at in a browser, for `jaxart app`.

`neighbours` searches, `training_images` are a run's own, `asking` answers what the page
asks, `interface` is the page, and `serving` serves it on this machine.
"""

__all__ = ["asking", "interface", "neighbours", "serving", "training_images"]
