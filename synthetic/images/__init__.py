"""Image worlds: pixels are players; colours, their counts and their arrangement are what the networks look for."""

from synthetic.images import colour_count, colour_continuous, planted, spurious, pertinent, experiments, positions  # isort: skip

__all__ = ["colour_continuous", "colour_count", "experiments", "pertinent", "planted", "positions", "spurious"]
