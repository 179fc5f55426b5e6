"""What images show: one table of the best classes of each, and how right it is.

`jaxart predict` is the command, and `run` the pass behind it.
"""

__all__ = ["evaluation", "run", "tables"]
