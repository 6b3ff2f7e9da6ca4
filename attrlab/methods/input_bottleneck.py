"""InputIBA: a bottleneck on the input itself, against a prior of what of the input a layer's own bottleneck lets through.

Noise on an input leaves the data, and a network answers it anyhow; so the information of an input is measured against a masked
input that a layer cannot tell from what passes its bottleneck. Three stages: a bottleneck at the layer; a mask and noise of the input,
Λ_G, μ and σ, fitted by a Wasserstein game so that the layer's values look like those behind the bottleneck; and the bottleneck

    Z = Λ X + (1 - Λ) ε,   minimising loss(f(Z)) + β mean KL,   with the prior Z_G = Λ_G X + (1 - Λ_G) ε.

Every row has a critic of its own, and all are trained at once as one batched product. The light variant takes Λ_G from the layer's λ and
the noise from reference rows, and plays no game.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.games.game import Model
from attrlab.games.imputers_images import blurred
from attrlab.method import players_of, spread
from attrlab.methods.bottleneck import Bottleneck, Loss, Narrowing, bottleneck_at, narrowed
from attrlab.methods.bottlenecks import cross_entropy, outputs_of, squared_error
from attrlab.methods.descent import Progress, adam
from attrlab.methods.input_prior import Prior, fitted_prior, prior_of
from attrlab.methods.mask_cells import is_image
from attrlab.methods.masked_rows import step_seeds
from attrlab.methods.operations import require_rows_alone
from attrlab.methods.row_noise import entry_normal
from attrlab.methods.seams import seam_at


def input_iba(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    reference: Tensor,  # (rows, *features)
    layer: str | None = None,
    beta: float = 20.0,
    steps: int = 60,
    lr: float = 1.0,
    copies: int = 10,
    smoothing: float = 1.0,
    feature_beta: float = 20.0,
    rounds: int = 28,
    samples: int = 32,
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """InputIBA: the share λ of each entry that passes a bottleneck on the input, measured against a fitted prior.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the explained rows.
        target: which output of each row.
        feature_mask: entries of -1 get no noise and no score.
        seeds: the noise stream of each row, from which its critic starts too.
        reference: rows for the statistics of the layer's units and of the input.
        layer: of the first stage; the dotted path of a module, or None for the last layer with positions.
        beta: weight of the mean information per entry.
        steps: of Adam in the last stage, from λ = sigmoid(5).
        lr: its step size.
        copies: noisy copies of a row in each step.
        smoothing: standard deviation, in pixels, by which an image's λ is smoothed.
        feature_beta: as `beta`, of the first stage, which takes 10 steps.
        rounds: of the game: five steps of the critics, and one of the prior.
        samples: real and made values of the layer that a critic sees at a time.
        progress: called as progress(steps done, steps in all) in the last stage.

    Returns:
        λ in [0, 1], its mean over the entries of a player, divided among them.

    Raises:
        InvalidInput: if a hyperparameter is out of range, there is no such layer, or the reference data do not fit.
        NotApplicable: if the network has no layer with positions.

    Reference:
        Zhang, Khakzar, Li, Farshad, Kim and Navab (2021), "Fine-grained neural network explanation by identifying input features with
        predictive information", equations 3 to 9.

    Differs from the paper in: a critic has three dense layers, without convolutions; the prior starts from the layer's λ, not from its
        bits; noise behind the bottleneck is in units of each unit's deviation; with one output the loss is that of `regression_iba`.

    Example:
        >>> conv = torch.nn.Conv2d(1, 1, 1).requires_grad_(False)
        >>> _ = conv.weight.fill_(1.0), conv.bias.fill_(0.0)
        >>> rows = dict(target=torch.tensor([0]), feature_mask=torch.arange(2).view(1, 1, 1, 2), seeds=torch.tensor([0]))
        >>> known = torch.randn(50, 1, 1, 2, generator=torch.Generator().manual_seed(0))
        >>> first = lambda x: conv(x)[:, 0, 0, :1]
        >>> scores = input_iba(first, torch.full((1, 1, 1, 2), 2.0), **rows, reference=known, smoothing=0, beta=0.1, feature_beta=0.1)
        >>> bool(scores[..., 0] > 2 * scores[..., 1])
        True
    """
    how = Narrowing(beta=beta, steps=steps, lr=lr, copies=copies)
    rows = {"target": target, "feature_mask": feature_mask, "seeds": seeds, "reference": reference}
    loss, bottleneck, shares = _first(model, inputs, **rows, layer=layer, how=Narrowing(beta=feature_beta), smoothing=smoothing)
    start = prior_of(shares, inputs, feature_mask, reference)
    prior = fitted_prior(bottleneck, shares, start, seeds, feature_mask, rounds=rounds, samples=samples)
    return _last(model, loss, bottleneck, prior, feature_mask, seeds, how, progress)


def input_iba_lite(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    reference: Tensor,  # (rows, *features)
    layer: str | None = None,
    beta: float = 20.0,
    steps: int = 60,
    lr: float = 1.0,
    copies: int = 10,
    smoothing: float = 1.0,
    feature_beta: float = 20.0,
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """InputIBA without its game: the prior's mask is the layer's λ at the size of the input, its noise that of the reference rows.

    A variant of this laboratory, under a name of its own. Arguments, result and errors are those of `input_iba`.

    Reference:
        Zhang et al. (2021), as `input_iba`; stages one and three.

    Example:
        >>> conv = torch.nn.Conv2d(1, 1, 1).requires_grad_(False)
        >>> _ = conv.weight.fill_(1.0), conv.bias.fill_(0.0)
        >>> rows = dict(target=torch.tensor([0]), feature_mask=torch.arange(2).view(1, 1, 1, 2), seeds=torch.tensor([0]))
        >>> known = torch.randn(50, 1, 1, 2, generator=torch.Generator().manual_seed(0))
        >>> first = lambda x: conv(x)[:, 0, 0, :1]
        >>> scores = input_iba_lite(first, torch.full((1, 1, 1, 2), 2.0), **rows, reference=known, smoothing=0, beta=0.1)
        >>> bool(scores[..., 0] > 2 * scores[..., 1])
        True
    """
    how = Narrowing(beta=beta, steps=steps, lr=lr, copies=copies)
    rows = {"target": target, "feature_mask": feature_mask, "seeds": seeds, "reference": reference}
    loss, bottleneck, shares = _first(model, inputs, **rows, layer=layer, how=Narrowing(beta=feature_beta), smoothing=smoothing)
    return _last(model, loss, bottleneck, prior_of(shares, inputs, feature_mask, reference), feature_mask, seeds, how, progress)


def input_information(
    share: Tensor,  # (batch, *features), λ
    log_noise: Tensor,  # (batch, *features), log(1 - λ)
    inputs: Tensor,  # (batch, *features)
    prior: Prior,
) -> Tensor:  # (batch, *features)
    """The divergence of Z given X from the prior, in nats: both are normal, with means and deviations in closed form."""
    left = log_noise.exp() + share * (1 - prior.mask)  # 1 - λ Λ_G, without cancellation
    apart = (inputs - prior.mean) * (1 - prior.mask) * share / (left * prior.deviation)
    log_ratio = log_noise - left.log()
    return ((2 * log_ratio).exp() + apart.square() - 1) / 2 - log_ratio


def _first(
    model: Model,
    inputs: Tensor,
    *,
    target: Tensor,
    feature_mask: Tensor,
    seeds: Tensor,
    reference: Tensor,
    layer: str | None,
    how: Narrowing,
    smoothing: float,
) -> tuple[Loss, Bottleneck, Tensor]:
    """The bottleneck at the layer, and what passes it."""
    require_rows_alone(model)
    seam = seam_at(model, inputs, target=target, layer=layer)
    bottleneck = bottleneck_at(seam, inputs, reference, feature_mask=feature_mask, smoothing=smoothing)
    several = outputs_of(model, inputs) > 1
    loss = partial(cross_entropy, target) if several else squared_error(model, inputs, target, reference)
    return loss, bottleneck, bottleneck.shares(narrowed(bottleneck, loss, seeds, how=how))[0]


def _last(
    model: Model,
    loss: Loss,
    bottleneck: Bottleneck,
    prior: Prior,
    feature_mask: Tensor,
    seeds: Tensor,
    how: Narrowing,
    progress: Progress | None,
) -> Tensor:
    """The bottleneck on the input, and the share that passes it."""
    inputs, owned, smooth = bottleneck.inputs, feature_mask >= 0, bottleneck.smoothing if is_image(feature_mask) else 0.0
    streams = step_seeds(seeds + 1, how.steps)  # other noise than that of the layer
    amount = owned.flatten(1).sum(1).clamp(min=1)
    size = max(1, bottleneck.limit // how.copies)

    def slope(logits: Tensor, step: int) -> Tensor:
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            nats = input_information(*_shares(leaf, smooth), inputs, prior) * owned
            (found,) = torch.autograd.grad(how.beta * (nats.flatten(1).sum(1) / amount).sum(), leaf)
            for first in range(0, len(inputs), size):
                part = slice(first, min(first + size, len(inputs)))
                piece = logits[part].detach().requires_grad_()
                grain = entry_normal(streams[step][part], owned[part], samples=how.copies, dtype=inputs.dtype)
                share = torch.where(owned[part], _shares(piece, smooth)[0], 1).unsqueeze(1)
                mean, deviation = (value.expand_as(inputs)[part].unsqueeze(1) for value in (prior.mean, prior.deviation))
                shown = share * inputs[part].unsqueeze(1) + (1 - share) * (mean + deviation * grain)
                rows = torch.arange(len(inputs), device=inputs.device)[part].repeat_interleave(how.copies)
                value = loss(model(shown.flatten(0, 1)), rows).sum() / how.copies
                if value.requires_grad:
                    found[part] += torch.autograd.grad(value, piece)[0]
        return found

    logits = adam(slope, torch.full_like(inputs, how.start), steps=how.steps, lr=how.lr, progress=progress)
    players = int(feature_mask.max()) + 1 if feature_mask.numel() else 0
    share = _shares(logits, smooth)[0] * owned
    entries = players_of(owned.to(inputs.dtype), feature_mask, players).clamp(min=1)
    return spread(players_of(share, feature_mask, players) / entries, feature_mask)


def _shares(logits: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """λ and log(1 - λ), smoothed over an image."""
    if smoothing == 0:
        return logits.sigmoid(), functional.logsigmoid(-logits)
    noise = blurred((-logits).sigmoid(), sigma=smoothing, kernel=2 * max(1, round(2 * smoothing)) + 1)
    return 1 - noise, noise.clamp(min=torch.finfo(noise.dtype).tiny).log()
