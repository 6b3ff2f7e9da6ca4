"""What a circuit says of its components is what activation patching finds in the network, module by module."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from synthetic import make_environment

CIRCUITS = [
    *(("copy-induction-v1", {"attention": kind, "occurrences": n}) for kind, n in product(("hard", "softmax", "gates"), (1, 2))),
    *(("lookup-v1", {"attention": kind}) for kind in ("hard", "softmax", "gates")),
    *(("two-hop-recall-v1", {"layer": layer, "attention": kind}) for layer, kind in product((0, 1, 2), ("hard", "softmax", "gates"))),
    ("token-majority-v1", {}),
    ("token-majority-v1", {"lead": 4}),
    ("decoy-head-v1", {}),
]
circuits = pytest.mark.parametrize(("id", "knobs"), CIRCUITS, ids=[f"{id} {knobs}" for id, knobs in CIRCUITS])


def drawn(environment, n=40, seed=0):
    return environment.sample(n, torch.Generator().manual_seed(seed))


def outputs_with(model, name, inputs, act):
    """Run the model with `act(output)` in place of the output of one module, if it returns anything."""
    handle = dict(model.named_modules())[name].register_forward_hook(lambda module, arguments, output: act(output))
    try:
        return model(inputs)
    finally:
        handle.remove()


def patched(environment, batch, name):
    """f(x; h := h(x')) - f(x), by running the network with the module's output on the baseline row."""
    kept = []
    outputs_with(environment.model, name, batch.baseline, kept.append)
    changed = outputs_with(environment.model, name, batch.inputs, lambda output: kept[0]) - environment.model(batch.inputs)
    return changed.gather(1, batch.target[:, None]).squeeze(1)


@circuits
def test_patching_a_component_changes_the_output_by_what_the_circuit_says(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment)
    for name, effect in environment.components(batch).items():
        assert torch.equal(patched(environment, batch, name), effect), name  # exact: outputs are bits


@circuits
def test_every_attention_module_and_every_residual_sum_is_a_component(id, knobs):
    environment = make_environment(id, **knobs)
    named = set(environment.components(drawn(environment, 2)))
    wanted = {"query", "key", "value", "pattern", "output", "residual", "mlp", "embed", "unembed"}
    found = {name for name, _ in environment.model.named_modules() if name.split(".")[-1] in wanted}
    fixed = {"previous.query", "previous.key"}  # they read positions, which are no players
    assert found - fixed <= named


@circuits
def test_effects_follow_rows_dtype_and_targets(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 10)
    whole = environment.components(batch)
    part = environment.components(batch.rows(slice(3, 6)).to(dtype=torch.float32))
    assert all(torch.equal(part[name], effect[3:6]) for name, effect in whole.items())


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_layer_knob_moves_the_first_hop_and_nothing_else(layer):
    environment = make_environment("two-hop-recall-v1", layer=layer)
    batch = drawn(environment, 20)
    effects = environment.components(batch)
    working = {depth for depth in range(4) if effects[f"layers.{depth}.head.output"].any()}
    assert working == {layer, layer + 1}
    assert torch.equal(batch.inputs, drawn(make_environment("two-hop-recall-v1", layer=0), 20).inputs)


def test_an_idle_head_attends_to_the_facts_it_carries_nothing_from():
    environment = make_environment("two-hop-recall-v1", layer=2)
    batch = drawn(environment, 20)
    seen = []
    outputs_with(environment.model, "layers.0.head.pattern", batch.inputs, seen.append)
    assert (seen[0].sum(2) == 2).all()  # one fact for each route
    assert not environment.components(batch)["layers.0.head.pattern"].any()


def test_the_whole_pattern_of_the_decoy_head_can_be_replaced():
    effects = make_environment("decoy-head-v1").components(drawn(make_environment("decoy-head-v1")))
    assert not effects["pattern"].any()
    assert (effects["value"] == -1).all()
