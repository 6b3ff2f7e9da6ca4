"""Patching read as an attribution of tokens: how much of the output each token's activation carries from the other input to this one.

Patching says what changes when a component is exchanged, so what carries the output has a negative effect when it is taken out. An
attribution says what a token contributes, so the sign is turned where the exchange takes out. The residual stream before the first layer
is the input itself: without a layer the three are occlusion, gradient times difference, and propagation coefficient times difference. With
a layer, a position of its output stands for the token there, which is right only as long as nothing was moved between positions.
"""

from __future__ import annotations

from torch import Tensor, nn

from attrlab.errors import NotApplicable
from attrlab.games.exact import removal
from attrlab.games.game import make_game
from attrlab.method import spread
from attrlab.methods.attention import over_tokens
from attrlab.methods.attention_relevance import relevance_patching_rules
from attrlab.methods.gradients import gradient
from attrlab.methods.interception import propagate
from attrlab.methods.patching import Direction, attribution_patched_effects, patched_effects, patching_order, relevance_patched_effects


def activation_patching(
    model: nn.Module,
    inputs: Tensor,  # (batch, tokens, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, tokens, *features)
    feature_mask: Tensor,  # (batch, tokens, *features) int64, -1 for none
    layer: str | None = None,
    direction: Direction = "noising",
) -> Tensor:  # (batch, tokens, *features), in the dtype of inputs
    """Activation patching per token: A_t = f(x) - f(x; h_t := h_t(x')), or f(x'; h_t := h_t(x)) - f(x') when denoising.

    Args:
        model: maps (batch, tokens, *features) to (batch, outputs).
        inputs: the rows x.
        target: which output of each row.
        baseline: the other rows x'.
        feature_mask: the player of each entry.
        layer: path of the module whose output's positions are exchanged; None means the inputs, where players are.
        direction: "noising" puts x' into x, "denoising" x into x'.

    Returns:
        Contributions in units of the output, spread evenly over the entries of a player, or at a layer of a token.

    Raises:
        NotApplicable: if the layer is not called or does not have one position per token.
        InvalidInput: if there is no such layer or direction, or shapes do not fit.

    Example:
        >>> import torch
        >>> x = torch.tensor([[[2.0], [3.0]]])
        >>> activation_patching(lambda x: x.prod(1), x, target=torch.tensor([0]), baseline=0 * x, feature_mask=torch.tensor([[[0], [1]]]))
        tensor([[[6.],
                 [6.]]])

    Reference:
        Vig et al. (2020), section 3; Meng et al. (2022), section 2.
    Differs from the paper in:
        the sign, which is that of a contribution, and its being divided among a token's entries.
    """
    into, source, sign = patching_order(inputs, baseline, direction)
    if layer is None:
        game = make_game(model, into, target=target, baseline=source, feature_mask=feature_mask)
        return spread(-sign * removal(game), game.feature_mask).to(inputs.dtype)
    effects = patched_effects(model, inputs, target=target, baseline=baseline, layers=(layer,), direction=direction, positions=True)
    return _of_tokens(sign * effects[layer], layer, inputs, feature_mask)


def attribution_patching(
    model: nn.Module,
    inputs: Tensor,  # (batch, tokens, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, tokens, *features)
    feature_mask: Tensor,  # (batch, tokens, *features) int64, -1 for none
    layer: str | None = None,
    direction: Direction = "noising",
) -> Tensor:  # (batch, tokens, *features), in the dtype of inputs
    """Attribution patching per token, the first-order prediction of it: A_t = (h_t(x) - h_t(x')) · ∂f(x)/∂h_t; at x' when denoising.

    Arguments, returns and errors as `activation_patching`; at the inputs (`layer=None`) each entry has its own score, (x_i - x'_i) ∂_i f.

    Reference:
        Nanda (2023), "Attribution patching: activation patching at industrial scale".
    """
    if layer is None:
        into, _, _ = patching_order(inputs, baseline, direction)
        return (inputs - baseline) * gradient(model, into, target=target)
    effects = attribution_patched_effects(
        model, inputs, target=target, baseline=baseline, layers=(layer,), direction=direction, positions=True
    )
    return _of_tokens(patching_order(inputs, baseline, direction)[2] * effects[layer], layer, inputs, feature_mask)


def relp(
    model: nn.Module,
    inputs: Tensor,  # (batch, tokens, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, tokens, *features)
    feature_mask: Tensor,  # (batch, tokens, *features) int64, -1 for none
    layer: str | None = None,
    direction: Direction = "noising",
    frozen_attention: bool = False,
) -> Tensor:  # (batch, tokens, *features), in the dtype of inputs
    """RelP per token: A_t = (h_t(x) - h_t(x')) · ρ_t, attribution patching with relevance propagation's coefficient for its slope.

    With `frozen_attention` attention weights count as constants. Other arguments, returns and errors as `attribution_patching`;
    NotApplicable also if the model makes a call that no rule is known for.

    Reference:
        Rezaei Jafari, Eberle, Khakzar, Nanda (2025), "RelP: faithful and efficient circuit discovery in language models via relevance
        patching", equation 3.
    """
    if layer is None:
        into, _, _ = patching_order(inputs, baseline, direction)
        rules = relevance_patching_rules(frozen_attention=frozen_attention)
        return (inputs - baseline) * propagate(model, into, target=target, rules=rules).signal
    effects = relevance_patched_effects(
        model,
        inputs,
        target=target,
        baseline=baseline,
        layers=(layer,),
        direction=direction,
        positions=True,
        frozen_attention=frozen_attention,
    )
    return _of_tokens(patching_order(inputs, baseline, direction)[2] * effects[layer], layer, inputs, feature_mask)


def _of_tokens(effects: Tensor, layer: str, inputs: Tensor, feature_mask: Tensor) -> Tensor:
    """Spread the effects of positions over the tokens that stand there."""
    if effects.shape[1] != inputs.shape[1]:
        raise NotApplicable(
            f"module {layer!r} does not have one position per token; name one that hands on (batch, {inputs.shape[1]}, width) "
            f"(got {effects.shape[1]} positions)"
        )
    return over_tokens(effects, inputs, feature_mask)
