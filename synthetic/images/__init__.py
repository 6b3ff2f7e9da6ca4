"""Image worlds: pixels are players; colours, their counts and their arrangement are what the networks look for."""

from synthetic.images import colour_count, planted, spurious, experiments  # isort: skip

__all__ = ["colour_count", "experiments", "planted", "spurious"]
