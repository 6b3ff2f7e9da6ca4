"""What is optimised for a row is the row's own: in a part of the batch, in another order, and in a graph padded with absent nodes."""

from __future__ import annotations

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.methods.bottlenecks import iba, inverse_iba, multilayer_iba, regression_iba
from attrlab.methods.extremal import extremal_perturbation
from attrlab.methods.igos import igos, igos_naive_insertion, igos_plus_plus
from attrlab.methods.input_bottleneck import input_iba, input_iba_lite
from attrlab.methods.optimised_masks import mask
from attrlab.methods.pathways import pathway_gradient, prune_gradient
from attrlab.methods.readout_bottleneck import readout_iba
from attrlab.methods.routing import cdrp_gradient
from attrlab.methods.row_noise import entry_normal, unit_normal
from synthetic import make_environment
from tests.attrlab.small_rows import chosen, convolutional, image_rows

CLOSE = 1e-9  # the rule for float64; sums in another order differ by 1e-16, and steps along nearly vanishing slopes magnify that
METHODS = {
    "mask": (mask, {"steps": 4}),
    "extremal_perturbation": (extremal_perturbation, {"steps": 4, "areas": (0.1, 0.3)}),
    "igos": (igos, {"steps": 2, "n_steps": 3}),
    "igos_naive_insertion": (igos_naive_insertion, {"steps": 2, "n_steps": 3}),
    "igos_plus_plus": (igos_plus_plus, {"steps": 2, "n_steps": 3}),
    "iba": (iba, {"steps": 3, "copies": 2}),
    "regression_iba": (regression_iba, {"steps": 3, "copies": 2, "beta": 0.1}),
    "inverse_iba": (inverse_iba, {"steps": 3, "copies": 2, "beta": 0.1}),
    "multilayer_iba": (multilayer_iba, {"steps": 3, "copies": 2}),
    "readout_iba": (readout_iba, {"epochs": 1}),
    "input_iba": (input_iba, {"steps": 3, "copies": 2, "rounds": 2, "samples": 3}),
    "input_iba_lite": (input_iba_lite, {"steps": 3, "copies": 2}),
    "pathway_gradient": (pathway_gradient, {"sparsity": 0.5}),
    "pathway_gradient_integrated": (pathway_gradient, {"sparsity": 0.5, "contribution": "integrated", "n_steps": 2}),
    "prune_gradient": (prune_gradient, {"sparsity": 0.5, "portion": 0.25}),
    "cdrp_gradient": (cdrp_gradient, {"sparsity": 0.5, "steps": 3}),
}


def explained(name, model, inputs, offers, known):
    method, how = METHODS[name]
    given_to = {key: value for key, value in (offers | {"reference": known}).items() if key in inspect.signature(method).parameters}
    return method(model, inputs, **given_to, **how)


@pytest.mark.parametrize("name", METHODS)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(4)), cut=st.integers(1, 3))
@settings(max_examples=3, deadline=None)
def test_an_image_has_the_scores_it_has_alone_whatever_the_batch(name, seed, order, cut):
    model, (inputs, offers) = convolutional(seed=seed), image_rows(4, seed=seed)
    known = torch.randn(20, *inputs.shape[1:], generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    whole = explained(name, model, inputs, offers, known)
    for part in (order[:cut], order[cut:]):
        index = torch.tensor(part)
        found = explained(name, model, inputs[index], chosen(offers, index), known)
        torch.testing.assert_close(found, whole[index], atol=CLOSE, rtol=0)


def padded(rows, more, value):
    """Blocks [A | X] with so many absent nodes after the others."""
    nodes, width = rows.shape[1:]
    found = rows.new_full((len(rows), nodes + more, width + more), value)
    found[:, :nodes, :nodes] = rows[..., :nodes]
    found[:, :nodes, nodes + more :] = rows[..., nodes:]
    return found


def unpadded(rows, more):
    nodes = rows.shape[1] - more
    return torch.cat([rows[:, :nodes, :nodes], rows[:, :nodes, nodes + more :]], 2)


PADDED = [(name, "edge-types-v1") for name in METHODS if name not in ("iba", "multilayer_iba", "readout_iba")]  # iba needs two outputs
PADDED += [(name, "colour-sum-modulo-v1") for name in ("regression_iba", "multilayer_iba", "readout_iba", "input_iba", "igos_plus_plus")]
"""Of the first world the first layer is A itself, which has no units of nodes but of pairs."""


@pytest.mark.parametrize(("name", "world"), PADDED)
@given(seed=st.integers(0, 10**6), more=st.integers(1, 3), row=st.integers(0, 2))
@settings(max_examples=2, deadline=None)
def test_a_graph_has_the_scores_it_has_without_padding(name, world, seed, more, row):
    world = make_environment(world)
    batch = world.sample(3, torch.Generator().manual_seed(seed))
    known = world.sample(20, torch.Generator().manual_seed(seed + 1)).inputs
    offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask, "seeds": torch.arange(3) + 5}
    nodes = batch.inputs.shape[1]
    known = padded(known, nodes - known.shape[1], 0)
    whole = explained(name, world.model, batch.inputs, offers, known)
    index = torch.tensor([row])
    alone = chosen(offers, index)
    wide = {
        "target": alone["target"],
        "seeds": alone["seeds"],
        "baseline": padded(alone["baseline"], more, 0),
        "feature_mask": padded(alone["feature_mask"], more, -1),
    }
    found = explained(name, world.model, padded(batch.inputs[index], more, 0), wide, padded(known, more, 0))
    torch.testing.assert_close(unpadded(found, more), whole[index], atol=CLOSE, rtol=0)


def test_noise_of_entries_and_units_does_not_move_when_a_row_is_padded():
    seeds, owned = torch.tensor([3, 4]), torch.ones(2, 3, 4, dtype=torch.bool)
    wide = torch.zeros(2, 5, 6, dtype=torch.bool)
    wide[:, :3, :4] = owned
    plain, within = (entry_normal(seeds, mask, samples=2, dtype=torch.float64) for mask in (owned, wide))
    torch.testing.assert_close(within[:, :, :3, :4], plain, atol=0, rtol=0)
    assert within.masked_fill(wide.unsqueeze(1), 0).abs().max() == 0  # exactly: it is left out
    few, many = (unit_normal(seeds, (3, nodes), samples=2, dtype=torch.float64) for nodes in (4, 6))
    torch.testing.assert_close(many[..., :4], few, atol=0, rtol=0)
    assert len({round(float(value), 12) for value in many.flatten()}) == many.numel()
