"""Saliency: what a network looks at, for whole folders of images.

`methods` holds the attribution methods as pure functions, and `catalogue` what each can
be set to; `run` explains a list of images, for `jaxart saliency`.
"""

__all__ = [
    "catalogue",
    "class_image",
    "choices",
    "methods",
    "options",
    "manifest",
    "pictures",
    "question",
    "render",
    "run",
    "work",
]
