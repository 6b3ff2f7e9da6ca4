"""Many small networks of one shape are one network whose every parameter has a leading dimension of models.

A network is told twice: as an ordinary module, which is what a loop would train and what attributions are asked of, and as one function
of stacked parameters, which does in a few large calls what the loop does in many small ones. Where no such function is written the
module itself is mapped over its parameters. Batch statistics and dropout do not stack faithfully and are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from attrlab.errors import InvalidInput

Stack = Mapping[str, Tensor]
"""Parameters by name, each (models, ...)."""

Kernel = Callable[[Stack, Tensor], Tensor]
"""(stacked parameters, rows (models, batch, *features)) -> logits (models, batch, classes)."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A shape of network that can be trained alone or in a stack.

    Attributes:
        name: with every setting in it, since results are filed under it.
        build: makes one module with fresh parameters; maps (batch, *features) to (batch, classes).
        kernel: the same for a stack of them.
    """

    name: str
    build: Callable[[], nn.Module]
    kernel: Kernel


def fresh(network: Network, seed: int) -> nn.Module:
    """One module whose parameters are drawn from `seed`; torch's own generator is as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network.build()


def stack(modules: Iterable[nn.Module]) -> dict[str, Tensor]:
    """The parameters of modules of one shape, each (models, ...), detached."""
    listed = [dict(module.named_parameters()) for module in modules]
    return {name: torch.stack([parameters[name].detach() for parameters in listed]) for name in listed[0]}


def unstack(network: Network, parameters: Stack, model: int) -> nn.Module:
    """One of the stacked networks as a module in eval mode, whose parameters require no gradient."""
    first = next(iter(parameters.values()))
    module = fresh(network, 0).to(device=first.device, dtype=first.dtype)
    module.load_state_dict({name: value[model].detach() for name, value in parameters.items()})
    return module.eval().requires_grad_(False)


def mlp(features: int, classes: int, *, hidden: int = 32) -> Network:
    """Two hidden layers of rectified units on all entries of a row."""

    def build() -> nn.Module:
        layers = (nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes))
        return nn.Sequential(nn.Flatten(), *layers)

    def kernel(parameters: Stack, rows: Tensor) -> Tensor:
        hidden_state = _affine(parameters, "1", rows.flatten(2)).relu_()
        return _affine(parameters, "5", _affine(parameters, "3", hidden_state).relu_())

    return Network(name=f"mlp {features}-{hidden}-{hidden}-{classes}", build=build, kernel=kernel)


def cnn(channels: int, height: int, width: int, classes: int, *, first: int = 8, second: int = 16) -> Network:
    """Two convolutions of 3 x 3 with rectified units, each followed by a maximum over 2 x 2, and a linear head.

    In a stack the models are groups of one convolution, with the channel innermost in memory: pooling is then fast as well. There the
    maximum is taken first and rectified then, which is the same number and the same gradient on a quarter of the places.
    """
    places = (-(-height // 2) + 1) // 2 * ((-(-width // 2) + 1) // 2)

    def build() -> nn.Module:
        one = (nn.Conv2d(channels, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
        other = (nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
        return nn.Sequential(*one, *other, nn.Flatten(), nn.Linear(second * places, classes))

    def kernel(parameters: Stack, rows: Tensor) -> Tensor:
        models, batch = rows.shape[:2]
        wide = rows.permute(1, 3, 4, 0, 2).reshape(batch, height, width, models * channels).permute(0, 3, 1, 2)
        for name in ("0", "3"):
            weight = parameters[f"{name}.weight"].flatten(0, 1).contiguous(memory_format=torch.channels_last)
            wide = functional.conv2d(wide, weight, parameters[f"{name}.bias"].flatten(), padding=1, groups=models)
            wide = functional.max_pool2d(wide, 2, ceil_mode=True).relu_()
        flat = wide.reshape(batch, models, second * places)
        return _affine(parameters, "7", flat.transpose(0, 1))

    return Network(name=f"cnn {channels}x{height}x{width}-{first}-{second}-{classes}", build=build, kernel=kernel)


class GIN(nn.Module):
    """A graph isomorphism network on rows [A | X | p]: h <- p relu(W2 relu(W1 (h + A h))), then a linear head on Σ_i h_i.

    p says which nodes are there; A and X are 0 where it is.

    Reference:
        Xu, Hu, Leskovec, Jegelka, "How powerful are graph neural networks?", 2019, equation 4.1 (epsilon = 0).
    """

    def __init__(self, columns: int, classes: int, hidden: int, layers: int) -> None:
        super().__init__()
        widths = [columns, *(hidden,) * layers]
        self.inner = nn.ModuleList(nn.Linear(width, hidden) for width in widths[:-1])
        self.outer = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.head = nn.Linear(hidden, classes)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits of each graph, (batch, n, n + columns) -> (batch, classes)."""
        nodes = rows.shape[1]
        adjacency, state, present = rows[..., :nodes], rows[..., nodes:], rows[..., -1:]
        for inner, outer in zip(self.inner, self.outer, strict=True):
            state = outer(inner(state + adjacency @ state).relu()).relu() * present
        logits: Tensor = self.head(state.sum(1))
        return logits


def gin(nodes: int, columns: int, classes: int, *, hidden: int = 16, layers: int = 3) -> Network:
    """A `GIN` on graphs of at most `nodes` nodes, whose X and p together have `columns` columns; in a stack, products with A + I."""

    def build() -> nn.Module:
        return GIN(columns, classes, hidden, layers)

    def kernel(parameters: Stack, rows: Tensor) -> Tensor:
        models, batch = rows.shape[:2]
        flat = rows.flatten(0, 1)
        state, present = flat[..., nodes:], rows[..., -1:].flatten(1, 2)
        hears = flat[..., :nodes] + torch.eye(nodes, dtype=rows.dtype, device=rows.device)
        whole = bool(present.all())
        for layer in range(layers):
            heard = torch.bmm(hears, state).view(models, batch * nodes, -1)
            wide = _affine(parameters, f"outer.{layer}", _affine(parameters, f"inner.{layer}", heard).relu_()).relu_()
            state = (wide if whole else wide * present).view(models * batch, nodes, hidden)
        return _affine(parameters, "head", state.sum(1).view(models, batch, hidden))

    return Network(name=f"gin {nodes}+{columns}-{hidden}x{layers}-{classes}", build=build, kernel=kernel)


class Sum(nn.Module):
    """g(x) + h(x): a network that sees what either of two sees."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, rows: Tensor) -> Tensor:
        """Return the sum of the logits, (batch, classes)."""
        logits: Tensor = self.one(rows) + self.other(rows)
        return logits


def summed(one: Network, other: Network) -> Network:
    """The sum of the logits of two networks."""

    def kernel(parameters: Stack, rows: Tensor) -> Tensor:
        return one.kernel(_below("one.", parameters), rows) + other.kernel(_below("other.", parameters), rows)

    return Network(name=f"{one.name} + {other.name}", build=lambda: Sum(one.build(), other.build()), kernel=kernel)


def mapped(name: str, build: Callable[[], nn.Module]) -> Network:
    """Any module, mapped over its parameters.

    Args:
        name: under which results are filed; another architecture needs another name.
        build: makes one module, drawing from torch's own generator, which is seeded around the call.

    Raises:
        InvalidInput: if the module holds buffers or drops units out, which would tie the models of a stack to each other or to chance.
    """
    with torch.random.fork_rng(devices=[]):
        template = build()
    held = [buffer for buffer, _ in template.named_buffers()]
    dropping = [place for place, module in template.named_modules() if isinstance(module, nn.modules.dropout._DropoutNd)]
    if held or dropping:
        raise InvalidInput(
            "batch statistics and dropout do not stack: write GroupNorm or LayerNorm, and no dropout "
            f"(got {', '.join([*held, *dropping])} in {name!r})"
        )
    bare = template.to("meta")

    def one(parameters: Stack, rows: Tensor) -> Tensor:
        logits: Tensor = functional_call(bare, dict(parameters), (rows,))
        return logits

    def kernel(parameters: Stack, rows: Tensor) -> Tensor:
        logits: Tensor = vmap(one)(dict(parameters), rows)
        return logits

    return Network(name=name, build=build, kernel=kernel)


def _below(prefix: str, parameters: Stack) -> Stack:
    return {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}


def _affine(parameters: Stack, name: str, state: Tensor) -> Tensor:
    """Every model's x W^T + b, (models, batch, in) -> (models, batch, out)."""
    return torch.baddbmm(parameters[f"{name}.bias"].unsqueeze(1), state, parameters[f"{name}.weight"].transpose(1, 2))
