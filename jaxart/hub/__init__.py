"""A run on the Hugging Face hub: its folder with a model card, and how it gets there.

`jaxart.storage.hub` reads what this writes.
"""

__all__ = ["card", "facts", "push"]
