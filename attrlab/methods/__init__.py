"""Attribution methods: a file holds a family, `registered` what each method says of itself; importing this registers all of them."""

from attrlab.methods import registered

__all__ = ["registered"]
