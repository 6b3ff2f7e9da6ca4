"""How many bytes the largest layer of a network moves per row, seen while a chunk is computed and without touching the model.

Layers are seen as calls into torch, not through hooks: a plain function, a functional layer and a module are all the same, and there
is nothing on the model that could be left behind when it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class Footprint(TorchFunctionMode):
    """While entered, notes the largest pair of input and output of any call that works on whole rows.

    Args:
        rows: how many rows are being computed.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self._rows = rows
        self._largest = 0
        self._made = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call through, and note what went in and came out."""
        del types
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and args and isinstance(args[0], Tensor):
            self.see(args[0], result)
        return result

    def see(
        self,
        before: Tensor,  # (rows, ...) or something else, which is not counted
        after: Tensor,  # (rows, ...) or something else, which is not counted
    ) -> None:
        """Count one pair."""
        self._largest = max(self._largest, self._bytes(before) + self._bytes(after))

    def make(
        self,
        inputs: Tensor,  # (rows, *features)
    ) -> None:
        """Count what was made to be put in, where it is made in place."""
        self._made = self._bytes(inputs)

    def bytes_per_row(self) -> int:
        """What was made and the largest pair seen, per row."""
        return (self._made + self._largest) // self._rows

    def _bytes(self, tensor: Tensor) -> int:
        batched = tensor.dim() > 0 and tensor.shape[0] % self._rows == 0
        return tensor.numel() * tensor.element_size() if batched else 0
