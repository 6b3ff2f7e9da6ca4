"""Tables: one player per column, small enough that every row of the domain and every coalition of it can be enumerated."""

from synthetic.tables import additive  # isort: skip
from synthetic.tables import linear  # isort: skip
from synthetic.tables import unanimity  # isort: skip
from synthetic.tables import product  # isort: skip
from synthetic.tables import boolean  # isort: skip
from synthetic.tables import counting  # isort: skip
from synthetic.tables import saturation  # isort: skip
from synthetic.tables import redundant  # isort: skip
from synthetic.tables import cancellation  # isort: skip
from synthetic.tables import interacting  # isort: skip
from synthetic.tables import nested_gates  # isort: skip
from synthetic.tables import pertinent_negative  # isort: skip
from synthetic.tables import uncertainty  # isort: skip
from synthetic.tables import shattered  # isort: skip
from synthetic.tables import kinks  # isort: skip
from synthetic.tables import drawn  # isort: skip
from synthetic.tables import witnesses  # isort: skip
from synthetic.tables import monotone_witnesses  # isort: skip
from synthetic.tables import perturbation_witnesses  # isort: skip

__all__ = [
    "additive",
    "boolean",
    "cancellation",
    "counting",
    "drawn",
    "interacting",
    "kinks",
    "linear",
    "monotone_witnesses",
    "nested_gates",
    "pertinent_negative",
    "perturbation_witnesses",
    "product",
    "redundant",
    "saturation",
    "shattered",
    "unanimity",
    "uncertainty",
    "witnesses",
]
