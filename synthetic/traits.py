"""A trait is a property of a network that a claim may be conditioned on; there is one list of them, so that a misspelt one is an error.

A claim given a trait that no world could have would never be tested, and never turn red.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TRAITS: Mapping[str, str] = MappingProxyType(
    {
        "additive": "a sum of functions of one player each",
        "approximate": "the network equals its specification up to rounding only",
        "attention": "where a head looks is part of the network",
        "bias_free": "no unit has a bias",
        "cancelling": "one player takes away what another gives",
        "decoy": "attention lies on what is not used",
        "edge_null": "no edge changes the output",
        "flat_gradient": "the gradient is zero where the data are",
        "gated": "a unit is held shut by a large constant",
        "interacting": "not additive",
        "monotone": "non-decreasing in every player",
        "multilinear": "linear in each player on its own, so that path integral and Shapley value agree",
        "non_monotone": "some player raises the output here and lowers it there",
        "nonnegative_inputs": "inputs are at least 0, and the baseline is 0",
        "off_lattice": "zero on all coalitions, and not between them",
        "on_kinks": "units stand on their kinks, so that a convention decides their slope",
        "piecewise_linear": "linear between finitely many kinks",
        "polynomial": "a polynomial of the players",
        "positively_homogeneous": "f(c x) = c f(x) for c > 0, against the baseline 0",
        "redundant": "more than one set of players is enough",
        "saturating": "further evidence stops counting",
        "saw_toothed": "the output jumps up and down as players join",
        "shattered_gradient": "many kinks in a small range, between slopes of opposite sign",
        "shortcut": "the answer can be told from something that it is not about, and this is declared",
        "sloped": "the gradient knows something where the data are",
        "tied": "players of equal worth undo the output together",
        "unseen_sensitive": "units fire on inputs that no data hold",
        "witness": "stored rows for one counterexample; not scored",
    }
)
"""Every trait, with what it says."""
