"""Methods that average over reference data what others ask of a single baseline: expected gradients and DeepSHAP.

A reference row stands in for the baseline at the entries of players; what belongs to no player keeps the input's value, because a row
carries its whole world and another world would be another question. Scores sum to f(x) minus the mean of f over these baselines, so
completeness against one baseline is neither meant nor met.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.methods.deeplift_rescale import deeplift_rescale
from attrlab.methods.sampled_gradients import gradients_at, require_count
from attrlab.randomness import row_uniform

PAIRS_BYTES = 2 << 20
"""Pairs of row and reference row that DeepSHAP sends through the network at once, counted in bytes of inputs."""


def expected_gradients(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    reference: Tensor,  # (rows, *features)
    samples: int = 200,
    stratified: bool = False,
) -> Tensor:  # (batch, *features)
    """Expected gradients: A_i = E (x_i - r_i) ∂_i f(r + a(x - r)), r uniform over the reference rows, a uniform on [0, 1].

    It is integrated gradients averaged over the reference data; GradientSHAP without noise on the inputs.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        feature_mask: the player of each entry; entries of none keep the input's value.
        seeds: one stream of reference rows and positions per row.
        reference: rows drawn from the data, apart from the explained ones.
        samples: pairs of reference row and position; 200 in the paper.
        stratified: take every reference row equally often, and of each one position in each of as many equal parts of its path; `samples`
            is then rounded up to a multiple of the reference rows. The expectation is the same and the error is smaller.

    Returns:
        Scores in units of the output; their sum estimates f(x) - E f(r).

    Raises:
        InvalidInput: if samples is not a whole number of at least 1, or there is no reference row, or not of the inputs' shape.

    Example:
        >>> rows, mask = torch.tensor([[3.0]]), torch.tensor([[0]])
        >>> reference = torch.tensor([[0.0], [2.0]])
        >>> expected_gradients(lambda x: 2 * x, rows, target=torch.tensor([0]), feature_mask=mask, seeds=torch.tensor([0]),
        ...     reference=reference, stratified=True)
        tensor([[4.]])

    Reference:
        Erion, Janizek, Sturmfels, Lundberg, Lee (2021), "Improving performance of deep learning models with axiomatic attribution priors
        and expected gradients", equation 3; GradientSHAP in Lundberg's SHAP library.

    Differs from the paper in: nothing where stratified is False.
    """
    require_count("samples", samples, what="the number of reference rows and positions that are drawn")
    _require_reference(inputs, reference)
    if stratified:
        samples = -(-samples // len(reference)) * len(reference)
    which, at = _drawn(seeds, samples, len(reference), stratified)
    outside, shape = feature_mask < 0, (1,) * (inputs.dim() - 1)

    def points(rows: slice, part: slice) -> Tensor:
        chosen = torch.where(outside[rows, None], inputs[rows, None], reference[which[rows, part]].to(inputs.dtype))
        return torch.lerp(chosen, inputs[rows, None], at[rows, part].to(inputs.dtype).view(*at[rows, part].shape, *shape))

    total = torch.zeros_like(inputs)
    for rows, part, slopes in gradients_at(model, inputs, points, samples=samples, target=target):
        difference = (inputs[rows, None] - reference[which[rows, part]].to(inputs.dtype)).masked_fill(outside[rows, None], 0)
        total[rows] += (difference * slopes).sum(1)
    return total / samples


def deepshap(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    reference: Tensor,  # (rows, *features)
) -> Tensor:  # (batch, *features)
    """DeepSHAP: the mean over the reference rows r of DeepLIFT (Rescale) with baseline r.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        feature_mask: the player of each entry; entries of none keep the input's value in the baseline.
        reference: rows drawn from the data, apart from the explained ones; all of them are used.

    Returns:
        Scores in units of the output, whose sum over a row is f(x) minus the mean of f over the baselines.

    Raises:
        NotApplicable: as `deeplift_rescale`.
        InvalidInput: if there is no reference row, or not of the inputs' shape.

    Example:
        >>> rows, mask, reference = torch.tensor([[3.0]]), torch.tensor([[0]]), torch.tensor([[0.0], [1.0]])
        >>> deepshap(lambda x: torch.relu(x - 1), rows, target=torch.tensor([0]), feature_mask=mask, reference=reference)
        tensor([[2.]])

    Reference:
        Lundberg, Lee (2017), "A unified approach to interpreting model predictions", section 4.2; Chen, Lundberg, Lee (2019), "Explaining
        models by propagating Shapley values of local components", section 2.

    Differs from the paper in: products and maxima have the rules of `deeplift_rescale`; where Captum's DeepLiftShap is right, both agree.
    """
    _require_reference(inputs, reference)
    count = len(reference)
    pair = torch.arange(len(inputs) * count, device=inputs.device)
    together = max(1, PAIRS_BYTES // max(1, inputs[:1].numel() * inputs.element_size()))
    total = torch.zeros_like(inputs)
    for part in torch.split(pair, together):
        row = part // count
        baseline = torch.where(feature_mask[row] < 0, inputs[row], reference[part % count].to(inputs.dtype))
        scores = deeplift_rescale(model, inputs[row], target=target[row], baseline=baseline)
        total.index_put_((row,), scores, accumulate=True)
    return total / count


def _drawn(seeds: Tensor, samples: int, count: int, stratified: bool) -> tuple[Tensor, Tensor]:
    """Which reference row and which position on the path each sample takes, both (batch, samples)."""
    row, position = row_uniform(seeds, (2, samples)).unbind(1)
    if not stratified:
        return (row * count).long(), position
    sample = torch.arange(samples, device=seeds.device)
    return (sample % count).expand(len(seeds), -1), (sample // count + position) / (samples // count)


def _require_reference(inputs: Tensor, reference: Tensor) -> None:
    if not len(reference) or reference.shape[1:] != inputs.shape[1:]:
        raise InvalidInput(
            f"reference holds rows like the inputs, at least one, of shape {tuple(inputs.shape[1:])} each (got {tuple(reference.shape)})"
        )
