"""Saliency: what a network looks at, for whole folders of images.

`methods` holds the attribution methods as pure functions; `python -m jaxart.saliency`
runs them.
"""
