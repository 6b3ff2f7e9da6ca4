"""Image worlds: pixels are players, colours are what the networks look for."""

from synthetic.images import colour_count

__all__ = ["colour_count"]
