"""Set worlds, rows that are bags of instances in no order: multiple instances pooled by attention or by a sum, with a hand-set detector."""

from synthetic.sets import bag_of_instances  # isort: skip
from synthetic.sets import bag_of_patches  # isort: skip

__all__ = ["bag_of_instances", "bag_of_patches"]
