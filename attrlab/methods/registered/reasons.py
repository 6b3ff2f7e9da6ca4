"""Reasons that several methods give for a claim."""

ONLY_THE_GRADIENT = "it reads the network only through its gradient at x, which is the function's own away from kinks"
ONLY_THE_PATH = "it reads the network only through its gradient on the path (Sundararajan et al. 2017, section 3)"
ONLY_THE_GAME = "it reads the network only through the values of the baseline game"
