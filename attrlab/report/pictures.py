"""A score is seen where it acts: on the pixel, the column, the node or the edge that is the player.

What is painted is what is judged, the score of a player, on each of its entries; an entry of no player stays grey. Red speaks
for the explained output and blue against it, symmetric about zero, and every picture states its own scale, because
methods differ in unit and a shared one would hide all but the largest.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attrlab.method import players_of, spread
from attrlab.report.wording import printable, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from synthetic.environment import Batch, Environment

_DOTS = 130  # per inch; a picture is at most two inches wide
_INCHES = 2.0
_NO_PLAYER = "#d9d9d9"
_INK = "#333333"
_REACH = 0.82  # how much of the colour map is used: its ends are too dark to tell red from blue
_BARS = 16  # the most bars in one picture; beyond it, those of the largest scores


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image of a page: a sample, its truth, or what one method says of it."""

    environment: str
    method: str  # the method, or what is shown instead
    png: bytes


def environment_pictures(environment: Environment, batch: Batch, scores_by_method: Mapping[str, Tensor]) -> list[Picture]:
    """Picture one row of `batch`: the sample, the truth in the first convention it is exact in, then every method.

    Args:
        environment: where the batch is from.
        batch: at least one row; the first that has any support is drawn, or the first of all.
        scores_by_method: name -> (batch, *features), the scores as the method returned them.
    """
    row = _telling_row(batch)
    inputs, mask = batch.inputs[row], batch.feature_mask[row]
    named: list[tuple[str, Tensor | None]] = [("sample", None)]
    for convention, values in list(batch.truth.attributions.items())[:1]:
        named.append((f"truth ({convention})", spread(values[row][None].to(batch.inputs.dtype), mask[None])[0]))
    named += [(name, scores[row]) for name, scores in scores_by_method.items()]
    drawn = {name: draw(environment.modality, inputs, mask, scores) for name, scores in named}
    return [Picture(environment=environment.id, method=name, png=png) for name, png in drawn.items()]


def beside(environment: Environment, batch: Batch) -> bytes:
    """One PNG: a row of `batch` with support, and beside it its exact truth in every convention, each at its own scale."""
    from matplotlib.figure import Figure

    row = _telling_row(batch)
    inputs, mask = batch.inputs[row], batch.feature_mask[row]
    panels: list[tuple[str, Tensor | None]] = [("sample", None)]
    panels += [(name, spread(values[row][None].to(inputs.dtype), mask[None])[0]) for name, values in batch.truth.attributions.items()]
    figure = Figure(figsize=(_INCHES * len(panels), _INCHES), dpi=_DOTS, layout="constrained")
    for axes, (name, scores) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_row(axes, environment.modality, inputs, mask, scores, caption=name)
    return _png(figure)


def draw(
    modality: str,
    inputs: Tensor,  # (*features)
    feature_mask: Tensor,  # (*features) int64
    scores: Tensor | None,  # (*features), or None for the sample alone
) -> bytes:  # PNG, at most 260 pixels wide
    """Draw one row as its modality is read: pixels, a graph, positions or instances by entries; anything else is one bar per player.

    Raises:
        ValueError: if scores or players are not shaped like the row.
    """
    for name, other in (("feature_mask", feature_mask), ("scores", scores)):
        if other is not None and other.shape != inputs.shape:
            raise ValueError(f"{name} must be shaped like the row, {tuple(inputs.shape)} (got {tuple(other.shape)})")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCHES, _INCHES), dpi=_DOTS, layout="constrained")
    _draw_row(figure.subplots(), modality, inputs, feature_mask, scores)
    return _png(figure)


def _telling_row(batch: Batch) -> int:
    """The first row that has any support, or the first of all."""
    return int(batch.truth.support.any(1).int().argmax())


def _draw_row(axes: Axes, modality: str, inputs: Tensor, feature_mask: Tensor, scores: Tensor | None, *, caption: str = "") -> None:
    row, mask = inputs.detach().double().cpu(), feature_mask.detach().cpu()
    painted = None if scores is None else _painted(scores.detach().double().cpu(), mask)
    _DRAWERS.get(modality, _draw_bars)(axes, row, mask, painted)
    words = "" if painted is None else _scale_in_words(painted)
    axes.set_title(", ".join(part for part in (caption, words) if part) or " ", fontsize=7, color=_INK, pad=3)


def _painted(scores: Tensor, mask: Tensor) -> Tensor:  # both (*features)
    """The score of the player of each entry; NaN where there is none."""
    players = int(mask.max()) + 1
    if players <= 0:
        return torch.full_like(scores, torch.nan)
    totals = players_of(scores[None], mask[None], players)[0]
    return torch.where(mask < 0, torch.nan, totals[mask.clamp(min=0)])


def _scale(painted: Tensor) -> float:
    """The largest finite score by size; 1 where all are zero, so that nothing is divided by zero."""
    finite = painted[painted.isfinite()].abs()
    return float(finite.max()) or 1.0 if finite.numel() else 1.0


def _scale_in_words(painted: Tensor) -> str:
    finite = painted[painted.isfinite()]
    if not finite.numel():
        return "scores undefined"
    return f"scale ±{short(_scale(painted))}" if bool(finite.any()) else "every score is 0"


def _colour(value: float, scale: float) -> Any:
    import matplotlib

    return matplotlib.colormaps["RdBu_r"](0.5 + 0.5 * _REACH * value / scale) if value == value else _NO_PLAYER


def _draw_image(axes: Axes, row: Tensor, mask: Tensor, painted: Tensor | None) -> None:
    """Pixels of a (channels, height, width) row, or the mean over channels of what their players score."""
    del mask
    import matplotlib

    axes.set_axis_off()
    if painted is None:
        axes.imshow(_rgb(row), interpolation="nearest")
        return
    scale = _scale(painted)
    colours = matplotlib.colormaps["RdBu_r"].with_extremes(bad=_NO_PLAYER)
    axes.imshow(painted.nanmean(0).numpy(), cmap=colours, vmin=-scale / _REACH, vmax=scale / _REACH, interpolation="nearest")


def _rgb(row: Tensor) -> Any:  # (height, width, 3) in [0, 1]
    """One channel is grey, two lack blue; values outside of [0, 1] are scaled into it."""
    picture = row.expand(3, -1, -1) if row.shape[0] == 1 else torch.cat([row[:3], row.new_zeros(max(3 - row.shape[0], 0), *row.shape[1:])])
    low, high = min(float(picture.min()), 0.0), max(float(picture.max()), 1.0)
    return ((picture - low) / (high - low)).permute(1, 2, 0).numpy()


def _draw_graph(axes: Axes, row: Tensor, mask: Tensor, painted: Tensor | None) -> None:
    """A row [A | X]: nodes filled by colour or by score, edges grey or by score; padding is left out."""
    import networkx

    axes.set_axis_off()
    nodes = row.shape[0]
    adjacency, features = row[:, :nodes], row[:, nodes:]
    alive = [i for i in range(nodes) if bool(adjacency[i].any() or adjacency[:, i].any() or features[i].any())]
    graph = networkx.Graph()
    graph.add_nodes_from(alive)
    graph.add_edges_from((i, j) for i in alive for j in alive if i < j and bool(adjacency[i, j] or adjacency[j, i]))
    place = networkx.spring_layout(graph, seed=0, iterations=80) if alive else {}
    fills, strokes = _graph_colours(graph, features, mask, painted)
    networkx.draw_networkx_edges(graph, place, ax=axes, edge_color="#c4c4c4", width=3.4)
    networkx.draw_networkx_edges(graph, place, ax=axes, edge_color=strokes, width=2.4)
    rings = [_category(features[i]) for i in alive]
    networkx.draw_networkx_nodes(graph, place, ax=axes, node_color=fills, edgecolors=rings, node_size=120, linewidths=2)
    axes.margins(0.08)


def _graph_colours(graph: Any, features: Tensor, mask: Tensor, painted: Tensor | None) -> tuple[list[Any], list[Any]]:
    """One fill per node and one stroke per edge."""
    if painted is None:
        return [_category(features[i]) for i in graph.nodes], ["#999999"] * graph.number_of_edges()
    nodes = mask.shape[0]
    on_nodes = {i: _distinct(mask[i, nodes:], painted[i, nodes:]) for i in graph.nodes}
    owned = set(mask[:, nodes:].flatten().tolist())
    on_edges = [_distinct(mask[[i, j], [j, i]], painted[[i, j], [j, i]], without=owned) for i, j in graph.edges]
    scale = _scale(painted)
    fills = [_colour(value, scale) if value == value else "white" for value in on_nodes.values()]
    return fills, [_colour(value, scale) for value in on_edges]


def _distinct(mask: Tensor, painted: Tensor, *, without: set[int] | None = None) -> float:
    """The sum over distinct players of some entries; NaN where there is none."""
    found = {int(player): float(score) for player, score in zip(mask, painted, strict=True) if int(player) >= 0}
    kept = [score for player, score in found.items() if player not in (without or set())]
    return sum(kept) if kept else float("nan")


def _category(features: Tensor) -> Any:  # (features,)
    """The colour of a node by the largest of its features; grey where all are zero."""
    import matplotlib

    return matplotlib.colormaps["Dark2"](int(features.argmax()) % 8) if features.numel() and bool(features.any()) else _NO_PLAYER


def _draw_bars(axes: Axes, row: Tensor, mask: Tensor, painted: Tensor | None) -> None:
    """One bar per player, the first on top: its score, or for the sample its value; labels give the value of a column."""
    values, labels = _bars(row.flatten(), mask.flatten(), None if painted is None else painted.flatten())
    scale = _scale(values)
    colours = [_colour(float(v), scale) if painted is not None else "#999999" for v in values]
    axes.barh(range(len(labels)), values.nan_to_num().tolist(), color=colours, edgecolor=_INK, linewidth=0.4, height=0.72)
    axes.set_yticks(range(len(labels)), labels=labels, fontsize=6.5 if len(labels) <= 10 else 5)
    axes.invert_yaxis()
    axes.axvline(0, color=_INK, linewidth=0.7)
    axes.set_xlim(-1.1 * scale, 1.1 * scale)
    axes.tick_params(length=0, axis="y", colors=_INK)
    axes.tick_params(length=2, axis="x", labelsize=6, colors=_INK)
    axes.locator_params(axis="x", nbins=3)
    axes.spines[["left", "right", "top"]].set_visible(False)


def _draw_matrix(axes: Axes, row: Tensor, mask: Tensor, painted: Tensor | None) -> None:
    """Positions or instances downwards, their entries across: values in grey for the sample, scores in colour; no player is pale grey."""
    from matplotlib.colors import to_rgba

    del mask
    values = row.flatten(1)
    if painted is None:
        axes.imshow(values.numpy(), cmap="Greys", vmin=0, vmax=max(1.0, float(values.abs().max())), aspect="auto")
    else:
        shown, scale = painted.flatten(1), _scale(painted)
        axes.imshow([[to_rgba(_colour(float(value), scale)) for value in line] for line in shown], aspect="auto")
    axes.set_yticks(range(len(values)), labels=[str(number + 1) for number in range(len(values))], fontsize=6)
    axes.set_xticks([])
    axes.set_ylabel("position or instance", fontsize=6, color=_INK)
    axes.tick_params(length=0, colors=_INK)
    axes.spines[:].set_visible(False)


def _bars(row: Tensor, mask: Tensor, painted: Tensor | None) -> tuple[Tensor, list[str]]:  # all (entries,)
    """Values and labels of the players that fit, those of the largest values where not all do."""
    players = sorted({player for player in mask.tolist() if player >= 0})
    first = torch.tensor([int((mask == player).nonzero()[0]) for player in players], dtype=torch.int64)
    single = [int((mask == player).sum()) == 1 for player in players]
    labels = [f"x{p + 1} = {float(row[i]):.3g}" if one else f"player {p + 1}" for p, i, one in zip(players, first, single, strict=True)]
    values = (row if painted is None else painted)[first]
    order = values.nan_to_num().abs().argsort(descending=True, stable=True)[:_BARS].sort().values
    return values[order], [printable(labels[i]) for i in order.tolist()]


_DRAWERS = {"image": _draw_image, "graph": _draw_graph, "sequence": _draw_matrix, "set": _draw_matrix}


def _png(figure: Figure) -> bytes:
    """The figure as PNG with no date or version in it, so that equal records give equal pages."""
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return image.getvalue()
