"""Tables: one player per column, small enough that every row of the domain and every coalition of it can be enumerated."""

from synthetic.tables import additive  # isort: skip
from synthetic.tables import unanimity  # isort: skip
from synthetic.tables import saturation  # isort: skip
from synthetic.tables import cancellation  # isort: skip
from synthetic.tables import witnesses  # isort: skip

__all__ = ["additive", "cancellation", "saturation", "unanimity", "witnesses"]
