"""What became of a run, on one page that opens offline: `jaxart report`.

`facts` are the numbers, `writing` makes the page, `compare` sets runs side by side.
"""

__all__ = ["compare", "facts", "reading", "writing"]
