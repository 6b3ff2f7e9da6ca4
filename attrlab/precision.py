"""The same question in half the precision: a case in float32, its network and its rows cast, so that answers can be compared."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.case import Case

Twin = Callable[[], tuple[nn.Module, Callable[[Tensor], Any]]]


def in_float32(case: Case) -> Case:
    """The case with its network, rows, baselines and reference data in float32; what is known of the rows stays as it is."""

    def cast(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.float()

    return replace(
        case,
        model=copy.deepcopy(case.model).float(),
        inputs=case.inputs.float(),
        baseline=case.baseline.float(),
        reference=cast(case.reference),
        truth=cast(case.truth),
        others={name: copy.deepcopy(network).float() for name, network in case.others.items()},
        twin=None if case.twin is None else _cast(case.twin),
    )


def _cast(build: Twin) -> Twin:
    def built() -> tuple[nn.Module, Callable[[Tensor], Any]]:
        module, data_of = build()
        return module.float(), lambda row: data_of(row).apply(_float)

    return built


def _float(values: Tensor) -> Tensor:
    return values.float() if values.dtype == torch.float64 else values
