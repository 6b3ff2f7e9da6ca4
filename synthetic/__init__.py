"""Worlds for feature attribution: networks whose weights were set by hand, the data they are exact on, and the truth of every sample.

    import torch
    from synthetic import make_environment

    environment = make_environment("saturated-or-v1", columns=4)
    batch = environment.sample(8, torch.Generator().manual_seed(0))
    batch.truth.attributions["shapley"]  # (8, 4)

Importing a room registers its worlds, so the order of the imports below is the order of `environment_ids()`.
"""

from synthetic.environment import Batch, Environment, GroundTruth
from synthetic.registry import environment_ids, knobs_of, make_environment, register

from synthetic import images  # isort: skip
from synthetic import tables  # isort: skip
from synthetic import graphs  # isort: skip
from synthetic import sequences  # isort: skip
from synthetic import sets  # isort: skip

__all__ = [
    "Batch",
    "Environment",
    "GroundTruth",
    "environment_ids",
    "graphs",
    "images",
    "knobs_of",
    "make_environment",
    "register",
    "sequences",
    "sets",
    "tables",
]
