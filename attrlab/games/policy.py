"""Device, number type and memory layout are decided in one place, and that place is part of every result.

A number depends on where and how it was computed: TF32 silently drops 13 bits of a convolution, cuDNN's autotuner may pick
another kernel for another shape, and a batch that outgrows the cache is several times slower per row than one that does not.
A `Policy` states all of these; nothing else in the package sets them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput

MemoryFormat = Literal["auto", "contiguous", "channels_last"]

CPU_BYTES = 4 * 2**20
"""Activations of one chunk on a CPU: a cache-sized working set was the fastest on four kinds of network."""

CUDA_BYTES = 2**30
"""Activations of one chunk on CUDA, where launches, not the cache, bound small networks."""

_FORMATS = ("auto", "contiguous", "channels_last")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How a game is computed.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        dtype: the floating-point type of the inputs; the model's parameters must have it.
        memory_format: how 4-D inputs lie in memory; "auto" takes channels_last where it pays (float32 and smaller, more than
            one channel).
        chunk_bytes: target for the activations of one chunk; None means 4 MiB on a CPU (8 MiB where there is no backward pass) and
            1 GiB on CUDA.
        tf32: whether matrix products and convolutions on CUDA may round their factors to TF32.
        deterministic: whether cuDNN must take deterministic kernels, without autotuning.

    Raises:
        InvalidInput: if the device is unknown or absent, the type is not floating-point, or the layout is unknown.
    """

    device: str = "cpu"
    dtype: torch.dtype = torch.float64
    memory_format: MemoryFormat = "auto"
    chunk_bytes: int | None = None
    tf32: bool = False
    deterministic: bool = True

    def __post_init__(self) -> None:
        _require_device(self.device)
        if not self.dtype.is_floating_point:
            raise InvalidInput(f"a policy's dtype is a floating-point type: write dtype=torch.float64 (got {self.dtype})")
        if self.memory_format not in _FORMATS:
            raise InvalidInput(f"memory_format is one of {', '.join(map(repr, _FORMATS))} (got {self.memory_format!r})")
        if self.chunk_bytes is not None and self.chunk_bytes < 1:
            raise InvalidInput(f"chunk_bytes is a positive number of bytes, or None for the default (got {self.chunk_bytes})")

    @staticmethod
    def of(
        inputs: Tensor,  # any shape
    ) -> Policy:
        """The default policy on the device and in the number type of `inputs`."""
        return Policy(device=str(inputs.device), dtype=inputs.dtype)

    def bytes(self) -> int:
        """The target for the activations of one chunk, in bytes."""
        if self.chunk_bytes is not None:
            return self.chunk_bytes
        return CUDA_BYTES if torch.device(self.device).type == "cuda" else CPU_BYTES

    def forward_bytes(self) -> int:
        """The target where nothing is kept for a backward pass: on a CPU twice as much, unless a target is stated."""
        stated = self.chunk_bytes is not None or torch.device(self.device).type == "cuda"
        return self.bytes() if stated else 2 * CPU_BYTES

    def describe(self) -> dict[str, Any]:
        """The policy in plain Python values, as records carry it."""
        return {
            "device": self.device,
            "dtype": str(self.dtype).removeprefix("torch."),
            "memory_format": self.memory_format,
            "chunk_bytes": self.bytes(),
            "tf32": self.tf32,
            "deterministic": self.deterministic,
        }


@cache
def keep_freed_memory() -> None:
    """Teach a CPU's allocator, once per process, to keep what chunks give back for the chunks that follow.

    The GNU allocator returns freed memory to the system beyond twice the largest block it ever saw freed, and every page that is asked
    for again is then zeroed again, which can double the time of a small network. A block just below the size at which it stops learning
    (32 MiB) is asked for and given back; no page of it is touched. Elsewhere this does nothing.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


@contextmanager
def applied(policy: Policy) -> Iterator[None]:
    """Set TF32 and cuDNN's determinism as `policy` says, and put everything back on leaving, also after an error."""
    switches = _switches()
    before = [(owner, name, getattr(owner, name)) for owner, name in switches if _readable(owner, name)]
    try:
        torch.backends.cudnn.deterministic = policy.deterministic
        torch.backends.cudnn.benchmark = False if policy.deterministic else torch.backends.cudnn.benchmark
        torch.backends.cuda.matmul.allow_tf32 = policy.tf32
        torch.backends.cudnn.allow_tf32 = policy.tf32
        _refuse_inherited_tf32(policy)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _switches() -> list[tuple[Any, str]]:
    """Every switch touched, in the order in which they are put back: per-operator precision first, the older names last."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    newer = [(owner, "fp32_precision") for owner in _precisions()]
    return [*newer, (matmul, "allow_tf32"), (cudnn, "allow_tf32"), (cudnn, "deterministic"), (cudnn, "benchmark")]


def _precisions() -> list[Any]:
    """What carries `fp32_precision`, which torch has beside `allow_tf32` since 2.9."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    owners = [matmul, getattr(cudnn, "conv", None), getattr(cudnn, "rnn", None)]
    return [owner for owner in owners if owner is not None and _readable(owner, "fp32_precision")]


def _readable(owner: Any, name: str) -> bool:
    """Whether a switch can be read; torch refuses the older names where older and newer ones were set to disagree."""
    try:
        getattr(owner, name)
    except (RuntimeError, AttributeError, AssertionError):
        return False
    return True


def _refuse_inherited_tf32(policy: Policy) -> None:
    """Where a process-wide precision of tf32 would be inherited, say the opposite at the operator itself."""
    for owner in _precisions():
        if not policy.tf32 and owner.fp32_precision == "tf32":
            owner.fp32_precision = "ieee"


def _require_device(name: str) -> None:
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InvalidInput(f"there is no device {name!r}: write 'cpu', 'cuda' or 'cuda:0'") from error
    if device.type not in ("cpu", "cuda"):
        raise InvalidInput(f"a game runs on 'cpu' or 'cuda' (got {name!r})")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput(f"this machine has no CUDA device that torch can use: write 'cpu' (got {name!r})")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInput(f"this machine has {torch.cuda.device_count()} CUDA device(s), counted from 0 (got {name!r})")
