"""Sequence worlds, rows of embedded tokens with positions: hand-set attention networks whose circuits are stated component by component."""

from synthetic.sequences import copy_induction  # isort: skip
from synthetic.sequences import lookup  # isort: skip
from synthetic.sequences import two_hop_recall  # isort: skip
from synthetic.sequences import token_majority  # isort: skip
from synthetic.sequences import decoy_head  # isort: skip

__all__ = ["copy_induction", "decoy_head", "lookup", "token_majority", "two_hop_recall"]
