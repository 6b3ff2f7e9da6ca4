"""Methods with one planted fault each that keep the contract and claim an axiom they violate, with what must be said of them.

Most are the exact path integral, or the Shapley value, but for their fault: a check that lets its mutant pass is worthless. The file stands
alone, so that each of them can be named as a stranger names a method of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.method import players_of, spread
from attrlab.methods.coalitions import occlusion, shapley
from attrlab.methods.gradients import gradient
from attrlab.methods.paths import exact_integrated_gradients


def right(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """No fault: the control of the mutants."""
    return exact_integrated_gradients(model, inputs, target=target, baseline=baseline)


def wrong_sum(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Twice the scores."""
    return 2 * right(model, inputs, target=target, baseline=baseline)


def wrong_for_negative_inputs(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """What is negative gets nine tenths of its credit."""
    return right(model, inputs, target=target, baseline=baseline) * torch.where(inputs < 0, 0.9, 1.0)


def counts_the_path_one_step_short(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Three steps are averaged, of which the first is left out."""
    points = [baseline + (inputs - baseline) * (step + 0.5) / 3 for step in (1, 2)]
    slopes = torch.stack([gradient(model, point, target=target) for point in points])
    return slopes.sum(0) / 3 * (inputs - baseline)


def ignores_a_network_s_biases(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The biases are taken away before the network is asked."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data = torch.zeros_like(parameter)
    return right(model, inputs, target=target, baseline=baseline)


def clips_negatives(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """What is negative becomes 0."""
    return right(model, inputs, target=target, baseline=baseline).clamp(min=0)


def forgets_lone_changes(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor, feature_mask: Tensor) -> Tensor:
    """Nothing, where one player alone differs from the baseline."""
    scores = right(model, inputs, target=target, baseline=baseline)
    moved = players_of((inputs != baseline).to(inputs.dtype), feature_mask, int(feature_mask.max()) + 1) > 0
    alone = (moved.sum(1) == 1).view(-1, *[1] * (inputs.dim() - 1))
    return scores.masked_fill(alone, 0)


def credits_a_dummy(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor, feature_mask: Tensor) -> Tensor:
    """The total is shared by all entries that belong to a player, used or not: complete, and blind."""
    scores = right(model, inputs, target=target, baseline=baseline)
    owned = (feature_mask >= 0).to(scores.dtype)
    total = scores.flatten(1).sum(1) / owned.flatten(1).sum(1)
    return owned * total.view(-1, *[1] * (inputs.dim() - 1))


def credits_what_is_there(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor, feature_mask: Tensor) -> Tensor:
    """A tenth more for every entry that belongs to a player."""
    return right(model, inputs, target=target, baseline=baseline) + 0.1 * (feature_mask >= 0)


def slope_at_the_input(model: nn.Module, inputs: Tensor, *, target: Tensor) -> Tensor:
    """The gradient, without its factor."""
    return gradient(model, inputs, target=target)


def counts_parameters(model: nn.Module, inputs: Tensor, *, target: Tensor) -> Tensor:
    """The gradient, scaled by how many parameters the network has: it sees the network, not the function."""
    return gradient(model, inputs, target=target) * sum(parameter.numel() for parameter in model.parameters())


def squares(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Scores times their size."""
    scores = right(model, inputs, target=target, baseline=baseline)
    return scores * scores.abs()


def prefers_the_first(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Complete, but each row's whole total stands on its first entry with credit."""
    scores = right(model, inputs, target=target, baseline=baseline).flatten(1)
    first = torch.zeros_like(scores).scatter_(1, (scores != 0).to(torch.int64).argmax(1, keepdim=True), 1.0)
    return (first * scores.sum(1, keepdim=True)).view(inputs.shape)


def favours_one_of_three(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Where three entries or more have one score, the first of them gets a tenth more."""
    scores = right(model, inputs, target=target, baseline=baseline).flatten(1)
    alike = (scores.unsqueeze(1) - scores.unsqueeze(2)).abs() < 1e-9
    favoured = (alike.sum(1) >= 3) & (alike.long().argmax(1) == torch.arange(scores.shape[1], device=scores.device))
    return (scores * torch.where(favoured, 1.1, 1.0)).view(inputs.shape)


def measures_from_zero(model: nn.Module, inputs: Tensor, *, target: Tensor) -> Tensor:
    """The path starts at 0, wherever the baseline is."""
    return right(model, inputs, target=target, baseline=torch.zeros_like(inputs))


def times_the_input(model: nn.Module, inputs: Tensor, *, target: Tensor) -> Tensor:
    """The gradient, times the input."""
    return inputs * gradient(model, inputs, target=target)


def normalises(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Each row is divided by its largest score."""
    scores = right(model, inputs, target=target, baseline=baseline)
    return scores / scores.flatten(1).abs().amax(1).clamp(min=1e-9).view(-1, *[1] * (inputs.dim() - 1))


def takes_the_size(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The size of every score, without its sign."""
    return right(model, inputs, target=target, baseline=baseline).abs()


def per_unit(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor, feature_mask: Tensor) -> Tensor:
    """The Shapley value, divided by how far the player has moved."""
    scores = shapley(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    return scores / (inputs - baseline).abs().clamp(min=1)


def knows_two_players(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor, feature_mask: Tensor) -> Tensor:
    """The mean of what a player adds first and what it adds last: the Shapley value of two players, and of no more."""
    first = -occlusion(model, baseline, target=target, baseline=inputs, feature_mask=feature_mask)
    return (first + occlusion(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)) / 2


def turns_the_sign(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The difference is taken the other way round."""
    return -right(model, inputs, target=target, baseline=baseline)


def shares_equally(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """All entries that differ from the baseline share the total equally."""
    scores = right(model, inputs, target=target, baseline=baseline)
    moved = (inputs != baseline).to(scores.dtype)
    total = scores.flatten(1).sum(1) / moved.flatten(1).sum(1).clamp(min=1)
    return moved * total.view(-1, *[1] * (inputs.dim() - 1))


def misses_what_has_a_double(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor, feature_mask: Tensor) -> Tensor:
    """What is lost without each player."""
    return occlusion(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)


def looks_at_one_side(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The slope at the input, times the difference."""
    return (inputs - baseline) * gradient(model, inputs, target=target)


def spreads_to_the_next(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """A quarter of every entry's score goes to the entry before it."""
    scores = right(model, inputs, target=target, baseline=baseline)
    return 0.75 * scores + 0.25 * scores.roll(-1, -1)


def explains_all_outputs(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The scores of all outputs, summed."""
    with torch.no_grad():
        outputs = model(inputs).shape[1]
    scores = [right(model, inputs, target=torch.full_like(target, output), baseline=baseline) for output in range(outputs)]
    return torch.stack(scores).sum(0)


def looks_at_the_input_alone(model: nn.Module, inputs: Tensor, *, baseline: Tensor) -> Tensor:
    """The difference of input and baseline, whatever the network is."""
    del model
    return inputs - baseline


def drops_the_smallest(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Each row's smallest score that is not 0 becomes 0."""
    scores = right(model, inputs, target=target, baseline=baseline).flatten(1)
    smallest = torch.where(scores == 0, torch.inf, scores.abs()).argmin(1, keepdim=True)
    return scores.scatter(1, smallest, 0.0).view(inputs.shape)


def weighs_the_first_rows_more(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Entry i of the first dimension is weighted by 1 + i / 10: a node is what its number is."""
    weight = 1 + torch.arange(inputs.shape[1], device=inputs.device, dtype=inputs.dtype) / 10
    return right(model, inputs, target=target, baseline=baseline) * weight.view(1, -1, *[1] * (inputs.dim() - 2))


def divides_by_the_size(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Scores per entry of the first dimension: per node."""
    return right(model, inputs, target=target, baseline=baseline) / inputs.shape[1]


def numbers_the_edges(
    model: nn.Module, inputs: Tensor, *, feature_mask: Tensor, twin: Callable[[], tuple[nn.Module, Callable[[Tensor], Any]]]
) -> Tensor:
    """An edge gets its place in the list of edges."""
    del model
    _, data_of = twin()
    scores = torch.zeros_like(inputs)
    for row, score in zip(inputs, scores, strict=True):
        edges = data_of(row).edge_index
        place = torch.arange(edges.shape[1], dtype=inputs.dtype, device=inputs.device)
        score[edges[0], edges[1]] = place
    players = int(feature_mask.max()) + 1
    return spread(players_of(scores + scores.sum((1, 2), keepdim=True), feature_mask, players), feature_mask)


def swaps_two_features(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The first two entries change scores."""
    scores = right(model, inputs, target=target, baseline=baseline).clone()
    scores[..., [0, 1]] = scores[..., [1, 0]] if scores.shape[-1] > 1 else scores
    return scores


def explains_the_next_output(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The output after the one that was asked for."""
    with torch.no_grad():
        outputs = model(inputs).shape[1]
    return right(model, inputs, target=(target + 1) % outputs, baseline=baseline)


def errs_where_two_units_tie(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """A tenth more, where two units of one layer have the same value, which is not 0."""
    tied = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)

    def look(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        del module, arguments
        values = output.detach().flatten(1).sort(1).values
        tied.logical_or_(((values[:, 1:] == values[:, :-1]) & (values[:, 1:] != 0)).any(1))

    handles = [module.register_forward_hook(look) for module in model.modules() if isinstance(module, nn.ReLU)]
    with torch.no_grad():
        model(inputs)
    for handle in handles:
        handle.remove()
    return right(model, inputs, target=target, baseline=baseline) * torch.where(tied, 1.1, 1.0).view(-1, *[1] * (inputs.dim() - 1))


def errs_on_cuda(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """A tenth more, but on a CUDA device only."""
    return right(model, inputs, target=target, baseline=baseline) * (1.1 if inputs.is_cuda else 1.0)


@dataclass(frozen=True, kw_only=True)
class Liar:
    """A faulty method, the axiom that must catch it, a part of what must be said, and a world on which it shows."""

    method: Callable[..., Tensor]
    caught_by: str
    message: str
    on: str = "additive-v1"

    @property
    def claims(self) -> tuple[str, ...]:
        """What it says of itself, wrongly."""
        return (self.caught_by,)


_SUM = "the scores must sum to f(x) - f(x')"

LIARS = (
    Liar(method=wrong_sum, caught_by="completeness", message=_SUM),
    Liar(method=wrong_for_negative_inputs, caught_by="completeness", message=_SUM, on="linear-v1"),
    Liar(method=counts_the_path_one_step_short, caught_by="completeness", message=_SUM),
    Liar(method=ignores_a_network_s_biases, caught_by="completeness", message=_SUM, on="or-witness-v1"),
    Liar(method=clips_negatives, caught_by="completeness", message=_SUM, on="cancellation-v1"),
    Liar(method=knows_two_players, caught_by="completeness", message=_SUM, on="majority-v1"),
    Liar(method=errs_where_two_units_tie, caught_by="completeness", message=_SUM, on=""),
    Liar(method=forgets_lone_changes, caught_by="sensitivity_a", message="that player must not get 0"),
    Liar(method=credits_a_dummy, caught_by="dummy", message="does not change f anywhere and must get 0"),
    Liar(method=credits_what_is_there, caught_by="structural_dummy", message="is connected with no output"),
    Liar(method=swaps_two_features, caught_by="dummy", message="does not change f anywhere and must get 0", on=""),
    Liar(method=slope_at_the_input, caught_by="lattice_dummy", message="changes the value of no coalition", on="interacting-v1"),
    Liar(method=errs_where_two_units_tie, caught_by="implementation_invariance", message="computes the same function", on=""),
    Liar(
        method=counts_parameters,
        caught_by="implementation_invariance",
        message="computes the same function",
    ),
    Liar(method=squares, caught_by="linearity", message="for branches side by side"),
    Liar(method=prefers_the_first, caught_by="symmetry", message="f is symmetric in players"),
    Liar(method=favours_one_of_three, caught_by="symmetry", message="f is symmetric in players", on="majority-v1"),
    Liar(method=measures_from_zero, caught_by="input_shift_invariance", message="at x + s against x' + s"),
    Liar(method=times_the_input, caught_by="input_shift_invariance_fixed", message="at x + s against x', s"),
    Liar(method=counts_parameters, caught_by="affine_scale_invariance", message="at D x against D x'"),
    Liar(method=normalises, caught_by="output_scaling_positive", message="for 2 f, player"),
    Liar(method=takes_the_size, caught_by="output_scaling_negative", message="for -1 f, player"),
    Liar(method=per_unit, caught_by="demand_monotonicity", message="so its credit must not fall", on=""),
    Liar(method=turns_the_sign, caught_by="sign_consistency", message="which stands above its baseline", on="or-witness-v1"),
    Liar(method=shares_equally, caught_by="proportionality", message="so their credits must be as their values", on="sum-witness-v1"),
    Liar(method=misses_what_has_a_double, caught_by="saturation", message="so none of them may get 0", on="or-witness-v1"),
    Liar(method=looks_at_one_side, caught_by="continuity", message="the scores must be near", on="continuity-witness-v1"),
    Liar(method=spreads_to_the_next, caught_by="additive_recovery", message="f is a sum over players, and player"),
    Liar(method=explains_all_outputs, caught_by="class_sensitivity", message="on which another output depends", on=""),
    Liar(method=explains_the_next_output, caught_by="class_sensitivity", message="on which another output depends", on=""),
    Liar(method=looks_at_the_input_alone, caught_by="parameter_sensitivity", message="their mean correlation with these is 1"),
    Liar(method=drops_the_smallest, caught_by="sensitivity_n", message="which their credits must sum to"),
    Liar(
        method=weighs_the_first_rows_more, caught_by="permutation_equivariance", message="with the nodes taken", on="edge-types-features-v1"
    ),
    Liar(method=divides_by_the_size, caught_by="disjoint_union_additivity", message="in the disjoint union", on="edge-types-features-v1"),
    Liar(method=credits_what_is_there, caught_by="locality", message="is outside of the receptive field", on=""),
    Liar(method=numbers_the_edges, caught_by="edge_order_invariance", message="with the edges of every graph listed", on="edge-types-v1"),
)
"""One or more for every axiom; `on` is empty where only drawn networks know what the axiom needs."""

ON_CUDA = (Liar(method=errs_on_cuda, caught_by="completeness", message=_SUM),)
"""What only a run on a CUDA device can catch."""

for _liar in (*LIARS, *ON_CUDA):
    _liar.method.claims = (*getattr(_liar.method, "claims", ()), *_liar.claims)  # type: ignore[attr-defined]
