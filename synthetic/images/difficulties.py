"""Each head is there for one difficulty of attribution; what it is, and the traits that claims may be conditioned on."""

from __future__ import annotations

from types import MappingProxyType

_SATURATING = frozenset({"interacting", "saturating", "redundant"})
_SAW = frozenset({"interacting", "non_monotone", "saw_toothed"})

HEAD_TRAITS = MappingProxyType(
    {
        "count": frozenset({"additive"}),
        "difference": frozenset({"additive"}),
        "or": _SATURATING,
        "and": _SATURATING,
        "threshold": _SATURATING,
        "dominant": frozenset({"interacting", "saturating", "non_monotone"}),
        "modulo": _SAW,
        "long-division": _SAW,
        "absence": frozenset({"interacting", "saturating"}),
    }
)

HEAD_ISOLATES = MappingProxyType(
    {
        "count": "saturated detectors: the gradient is 0 everywhere, every complete convention gives each target pixel 1",
        "difference": "evidence against: a pixel of the second colour counts -w",
        "or": "redundancy: each of N target pixels has Shapley value 1/N, and removing one of N >= 2 changes nothing",
        "and": "joint evidence: every colour is needed; Shapley pays each of them, the path integral the scarce one, which comes last",
        "threshold": "enough is enough: removing one of N > τ pixels changes nothing, one of N = τ everything, below τ all pixels are null",
        "dominant": "competition: a class wins by its margin over every rival, so that the rivals' pixels are evidence against it",
        "modulo": "non-monotone response: each of N target pixels has (N mod m)/N, while removal gives 1 or -(m - 1)",
        "long-division": "depth: the function of the modulo world through log2(N/m) layers instead of one wide one",
        "absence": "evidence that is not there: what counts is that no pixel has the second colour",
    }
)

UNSEEN = MappingProxyType(
    {
        "background": "redundant channels that no image switches on, off the palette only: against the background every image, and "
        "the truth, is that of the counting world; a method that paints other colours meets weight w per pixel and channel",
        "unseen": "a baseline that the network has never seen: exact against that baseline a target pixel is worth 1 - Rw and any other "
        "-Rw, where against the background it is 1 and 0; the difference is the Unseen Data Effect",
    }
)
