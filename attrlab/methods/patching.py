"""What a component does is what changes when it is given its activation on another input; slopes only predict that change.

Activation patching makes the intervention and is the reference. Attribution patching predicts it by the first-order term at the
activation, and relevance patching by the same product with the slope replaced by the coefficients of relevance propagation. All three say
the change of the explained output, one number per row for each module path, so that they can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.attention_relevance import relevance_patching_rules
from attrlab.methods.components import Outputs, exchanging, outputs_of, signals_at
from attrlab.methods.interception import Rules
from attrlab.methods.operations import outputs_at, require_rows_alone

Direction = Literal["noising", "denoising"]

ACTIVATION_BYTES = 4 << 20
"""Rows × positions that are run at once hold about this many bytes of the widest patched activation."""


def patched_effects(
    model: nn.Module,
    inputs: Tensor,  # (batch, tokens, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, tokens, *features), the other input x'
    layers: Sequence[str] | None = None,
    direction: Direction = "noising",
    positions: bool = False,
) -> dict[str, Tensor]:  # each (batch,), or (batch, tokens of the module)
    """Activation patching: the change of the output when a module hands on what it hands on for the other input.

    Noising: f(x; h := h(x')) - f(x). Denoising: f(x'; h := h(x)) - f(x').

    Args:
        model: maps (batch, *features) to (batch, outputs).
        inputs: the rows x.
        target: which output of each row.
        baseline: the rows x' that activations are taken from (noising) or put into (denoising).
        layers: paths of modules; None means every module that hands on one tensor per row.
        direction: "noising" or "denoising".
        positions: whether each position of the module's output, its second dimension, is patched on its own.

    Returns:
        For each path the change of the explained output, in the dtype of the output. A module that is called several times is exchanged
        at every call.

    Raises:
        NotApplicable: if a layer is not called, not equally often on both inputs, hands on something else than a tensor per row, or has no
            positions and they are asked for.
        InvalidInput: if there is no such module or direction.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> x = torch.ones(3, 2)
        >>> list(patched_effects(model, x, target=torch.zeros(3, dtype=torch.int64), baseline=0 * x))
        ['0', '1', '2']

    Reference:
        Vig et al. (2020), "Investigating gender bias in language models using causal mediation analysis", section 3; Meng et al. (2022),
        "Locating and editing factual associations in GPT", section 2; the directions: Heimersheim, Nanda (2024), "How to use and interpret
        activation patching".
    Differs from the paper in:
        nothing is averaged over rows, and the metric is the explained output rather than a probability or a difference of logits.
    """
    into, source, _ = patching_order(inputs, baseline, direction)
    given = _given(model, source, into, layers, positions)
    with torch.no_grad():
        clean = outputs_at(model, into, target)
        patch = _position_effect if positions else _module_effect
        return {name: patch(model, into, target, clean, name, given[name]) for name in given}


def attribution_patched_effects(
    model: nn.Module,
    inputs: Tensor,  # (batch, tokens, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, tokens, *features)
    layers: Sequence[str] | None = None,
    direction: Direction = "noising",
    positions: bool = False,
) -> dict[str, Tensor]:  # each (batch,), or (batch, tokens of the module)
    """Attribution patching, the first-order prediction of `patched_effects`: Σ (h(x') - h(x)) · ∂f(x)/∂h; at x' when denoising.

    Arguments, returns and errors as `patched_effects`. It is exact where f is affine in h between the two values.

    Reference:
        Nanda (2023), "Attribution patching: activation patching at industrial scale"; Syed, Rager, Conmy (2023), equation 2.
    """
    into, source, _ = patching_order(inputs, baseline, direction)
    return _predicted(model, into, target, _given(model, source, into, layers, positions), positions, Rules())


def relevance_patched_effects(
    model: nn.Module,
    inputs: Tensor,  # (batch, tokens, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, tokens, *features)
    layers: Sequence[str] | None = None,
    direction: Direction = "noising",
    positions: bool = False,
    frozen_attention: bool = False,
) -> dict[str, Tensor]:  # each (batch,), or (batch, tokens of the module)
    """RelP, relevance patching: Σ (h(x') - h(x)) · ρ_h(x), with the coefficients ρ of relevance propagation in place of the slope.

    Norms count as constant scales, an activation as the identity times its ratio of values, the factors of a product get half each, and
    linear maps follow LRP-0.

    With `frozen_attention` attention weights count as constants, so that all of a head's relevance goes to its values. Other arguments,
    returns and errors as `patched_effects`; NotApplicable also if the model makes a call that no rule is known for.

    Reference:
        Rezaei Jafari, Eberle, Khakzar, Nanda (2025), "RelP: faithful and efficient circuit discovery in language models via relevance
        patching", equation 3 and table 1.
    """
    into, source, _ = patching_order(inputs, baseline, direction)
    rules = relevance_patching_rules(frozen_attention=frozen_attention)
    return _predicted(model, into, target, _given(model, source, into, layers, positions), positions, rules)


def patching_order(
    inputs: Tensor,  # (batch, *features)
    baseline: Tensor,  # (batch, *features)
    direction: str,
) -> tuple[Tensor, Tensor, int]:
    """The input that is patched, the one that activations are taken from, and the sign of the effect of something that carries the output.

    Raises:
        InvalidInput: if there is no such direction, or the two are not of one shape.
    """
    if direction not in ("noising", "denoising"):
        raise InvalidInput(f"direction is 'noising', x' into x, or 'denoising', x into x' (got {direction!r})")
    if baseline.shape != inputs.shape:
        raise InvalidInput(f"baseline is the other input, shaped like inputs, {tuple(inputs.shape)} (got {tuple(baseline.shape)})")
    return (inputs, baseline, -1) if direction == "noising" else (baseline, inputs, 1)


def _predicted(
    model: nn.Module,
    into: Tensor,
    target: Tensor,
    given: Outputs,
    positions: bool,
    rules: Rules,
) -> dict[str, Tensor]:
    """Σ (h(source) - h(into)) · signal, over calls and entries of a module's output."""
    effects = {}
    for name, calls in signals_at(model, into, target, tuple(given), rules).items():
        changes = [(there - here) * signal for there, (here, signal) in zip(given[name], calls, strict=True)]
        effects[name] = torch.stack([change.unsqueeze(-1).flatten(1 + positions).sum(-1) for change in changes]).sum(0)
    return effects


def _given(model: nn.Module, source: Tensor, into: Tensor, layers: Sequence[str] | None, positions: bool) -> Outputs:
    """What the layers hand on for the source, of layers that hand on the like for both inputs."""
    require_rows_alone(model)
    given, here = outputs_of(model, source, layers), outputs_of(model, into, layers)
    for name in given.keys() | here.keys():
        there, ours = ([tuple(output.shape) for output in outputs.get(name, [])] for outputs in (given, here))
        if there != ours:
            raise NotApplicable(
                f"module {name!r} hands on other shapes for the two inputs, so one cannot stand in for the other (got {ours} and {there})"
            )
    if positions and layers is None:
        return {
            name: outputs for name, outputs in given.items() if len({one.shape[1] if one.dim() > 2 else 0 for one in outputs} - {0}) == 1
        }
    for name, outputs in given.items() if positions else ():
        _positions(name, outputs)
    return given


def _module_effect(model: nn.Module, into: Tensor, target: Tensor, clean: Tensor, name: str, given: Sequence[Tensor]) -> Tensor:
    """The change when the whole output is exchanged, at every call."""
    with exchanging(model, (name,), lambda _, call, __: given[call]):
        return outputs_at(model, into, target) - clean


def _position_effect(model: nn.Module, into: Tensor, target: Tensor, clean: Tensor, name: str, given: Sequence[Tensor]) -> Tensor:
    """The change when one position is exchanged, at every call: rows × positions as one batch, in chunks of bounded size."""
    tokens = _positions(name, given)
    jobs = torch.arange(len(into) * tokens, device=into.device)
    widest = max(into[:1].numel(), *(output[:1].numel() for output in given))
    effects = [
        _exchanged_at(model, into, target, name, given, part // tokens, part % tokens)
        for part in torch.split(jobs, max(1, ACTIVATION_BYTES // (widest * into.element_size())))
    ]
    return torch.cat(effects).view(len(into), tokens) - clean.unsqueeze(1)


def _exchanged_at(
    model: nn.Module,
    into: Tensor,
    target: Tensor,
    name: str,
    given: Sequence[Tensor],
    rows: Tensor,  # (jobs,)
    places: Tensor,  # (jobs,)
) -> Tensor:  # (jobs,)
    """The output of each job's row when its place is exchanged."""

    def act(_: str, call: int, output: Tensor) -> Tensor:
        changed, job = output.clone(), torch.arange(len(rows), device=rows.device)
        changed[job, places] = given[call][rows, places]
        return changed

    with exchanging(model, (name,), act):
        return outputs_at(model, into[rows], target[rows])


def _positions(name: str, outputs: Sequence[Tensor]) -> int:
    """How many positions the module's output has; the same at every call."""
    found = {output.shape[1] if output.dim() >= 3 else 0 for output in outputs}
    if len(found) > 1 or 0 in found:
        raise NotApplicable(
            f"module {name!r} has no positions of its own: name one that hands on (batch, tokens, width) "
            f"(got {[tuple(output.shape) for output in outputs]})"
        )
    return found.pop()
