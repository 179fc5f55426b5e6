"""Other people's weight files, checked and turned into our parameter tree."""

from jaxart.weights.errors import WeightsError

__all__ = ["WeightsError"]
