"""What stands in the place of what is absent: each imputer against its definition, row by row, and whether it leaves what data hold."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games import Levels, Masks, evaluate, make_game
from attrlab.games.imputers import constant, fill, keep_baseline
from attrlab.games.imputers_data import channel_mean, conditional, marginal, partner
from attrlab.games.imputers_domain import unseen, unseen_share
from attrlab.games.imputers_graphs import drop_node, harmonic_features, mean_features, rewire, zero_features
from attrlab.games.imputers_images import blur, blurred, harmonic, noisy_linear
from tests import reference_metrics

CLOSE = 1e-9  # solves to a tolerance of 1e-12, and sums of at most 100 float64 terms of order one


def images(seed=0, rows=3, channels=2, side=6):
    return torch.rand(rows, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def holes(shape, share, seed=0):
    kept = torch.rand(shape[0], 1, *shape[2:], generator=torch.Generator().manual_seed(seed)) < share
    return kept.expand(shape)


def graphs(seed=0, rows=3, nodes=6):
    generator = torch.Generator().manual_seed(seed)
    upper = (torch.rand(rows, nodes, nodes, generator=generator) < 0.5).triu(1).double()
    return torch.cat([upper + upper.transpose(1, 2), torch.randn(rows, nodes, 2, generator=generator, dtype=torch.float64)], 2)


IMAGES = [
    keep_baseline,
    constant(0.5),
    fill(torch.tensor([0.1, 0.9]).view(2, 1, 1)),
    channel_mean(images(9)),
    marginal(images(9), draw=1),
    blur(sigma=1.0, kernel=3),
    noisy_linear(),
]
GRAPHS = [keep_baseline, drop_node(), zero_features(), mean_features(), rewire()]


@pytest.mark.parametrize("imputer", IMAGES, ids=lambda imputer: imputer.name)
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_what_is_kept_is_kept_and_no_row_depends_on_others(imputer, share):
    rows, base = images(), torch.zeros(3, 2, 6, 6, dtype=torch.float64)
    kept, sample = holes(rows.shape, share), torch.arange(3)
    before = torch.get_rng_state()
    found = imputer.impute(rows, base, kept, sample)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[kept], rows[kept])
    assert torch.equal(rows, images())
    for row in range(3):
        part = slice(row, row + 1)
        alone = imputer.impute(rows[part], base[part], kept[part], sample[part])
        torch.testing.assert_close(alone, found[part], atol=CLOSE, rtol=0)


@pytest.mark.parametrize("imputer", IMAGES, ids=lambda imputer: imputer.name)
def test_entries_that_an_imputer_says_never_change_do_not(imputer):
    rows, base = images(), images().clone()
    base[:, :, 2:] = 0
    changes, kept = imputer.changes(rows, base), holes(rows.shape, 0.3, seed=2)
    found = imputer.impute(rows, base, kept, torch.arange(3))
    assert torch.equal(found[~changes], rows[~changes])


@pytest.mark.parametrize("imputer", [*IMAGES, *GRAPHS], ids=lambda imputer: f"{imputer.name}")
def test_every_imputer_says_whether_it_leaves_the_domain(imputer):
    assert imputer.leaves in ("never", "with the fill", "with mixtures", "always")


@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.05, 0.3, 0.7]))
@settings(max_examples=10, deadline=None)
def test_holes_are_filled_by_the_solution_of_the_linear_system(seed, share):
    rows = images(seed)
    kept = holes(rows.shape, share, seed)
    found = harmonic(rows, torch.zeros_like(rows), kept, tolerance=1e-12)
    for row in range(3):
        for channel in range(2):
            if kept[row, channel].any():
                expected = reference_metrics.fill_hole(rows[row, channel].numpy(), kept[row, channel].numpy())
                torch.testing.assert_close(found[row, channel], torch.from_numpy(expected), atol=CLOSE, rtol=0)


def test_an_image_without_kept_pixels_takes_its_baselines_mean_and_a_flat_image_stays_flat():
    rows = images()
    nothing = torch.zeros_like(rows, dtype=torch.bool)
    found = harmonic(rows, torch.full_like(rows, 0.25), nothing)
    torch.testing.assert_close(found, torch.full_like(rows, 0.25), atol=CLOSE, rtol=0)
    flat = torch.full_like(rows, 3.0)
    torch.testing.assert_close(harmonic(flat, 0 * flat, holes(flat.shape, 0.2)), flat, atol=CLOSE, rtol=0)
    assert harmonic(rows[:0], rows[:0], nothing[:0]).shape == rows[:0].shape


def test_what_stands_in_a_hole_does_not_matter_not_even_that_it_is_no_number():
    rows = images()
    kept = holes(rows.shape, 0.3)
    gone = torch.where(kept, rows, torch.nan)
    assert torch.equal(harmonic(gone, torch.zeros_like(rows), kept), harmonic(rows, torch.zeros_like(rows), kept))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 3, 4), (2, 1, 1, 5)])
def test_filling_holes_leaves_what_it_was_given_as_it_was(shape):
    generator = torch.Generator().manual_seed(0)
    images, kept = torch.rand(shape, generator=generator, dtype=torch.float64), torch.rand(shape, generator=generator) < 0.5
    given = images.clone(), torch.zeros_like(images), kept.clone()
    harmonic(images, given[1], kept)
    assert torch.equal(images, given[0])
    assert torch.equal(kept, given[2])
    assert not given[1].any()


def test_noise_is_that_of_the_seed_and_of_its_size():
    rows, kept = images(rows=2, side=20), holes((2, 2, 20, 20), 0.3)
    base = torch.zeros_like(rows)
    quiet, loud, other = (
        noisy_linear(noise=n, seed=s).impute(rows, base, kept, torch.arange(2)) for n, s in ((0.0, 0), (0.1, 0), (0.1, 1))
    )
    grain = (loud - quiet)[~kept]
    assert grain.std().item() == pytest.approx(0.1, abs=0.02)  # 1000 draws: five standard errors of 0.1 / sqrt(2000)
    assert not torch.equal(loud, other)
    assert torch.equal(loud, noisy_linear(noise=0.1, seed=0).impute(rows, base, kept, torch.arange(2)))


def test_blurring_keeps_flat_images_and_mass_in_the_middle():
    flat = torch.full((1, 1, 9, 9), 2.0, dtype=torch.float64)
    torch.testing.assert_close(blurred(flat, sigma=2.0, kernel=5), flat, atol=CLOSE, rtol=0)
    spot = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    spot[0, 0, 4, 4] = 1
    soft = blurred(spot, sigma=1.0, kernel=5)
    assert soft.sum().item() == pytest.approx(1, abs=CLOSE)
    torch.testing.assert_close(soft, soft.transpose(2, 3), atol=CLOSE, rtol=0)
    assert blurred(images(side=3), sigma=1.0, kernel=9).shape == (3, 2, 3, 3)


def test_the_channel_mean_is_that_of_the_original_data_at_every_step():
    rows, data = images(), images(9, rows=5)
    found = channel_mean(data).impute(rows, 0 * rows, torch.zeros_like(rows, dtype=torch.bool), torch.arange(3))
    torch.testing.assert_close(found[0, :, 0, 0], data.mean((0, 2, 3)), atol=CLOSE, rtol=0)
    columns = torch.arange(6.0, dtype=torch.float64).view(2, 3)
    table = channel_mean(columns).impute(columns, 0 * columns, torch.zeros(2, 3, dtype=torch.bool), torch.arange(2))
    assert table.tolist() == [[1.5, 2.5, 3.5]] * 2


def test_the_mean_over_marginal_draws_is_the_interventional_value():
    data = torch.tensor([[0.0, 0.0], [0.0, 4.0], [2.0, 6.0]], dtype=torch.float64)
    values = []
    for draw in range(3):
        game = _table(lambda x: x.prod(1, keepdim=True), [[3.0, 5.0]], imputer=marginal(data, draw=draw))
        values.append(evaluate(game, Masks(sample=torch.tensor([0]), mask=torch.tensor([[True, False]]))).logits.item())
    assert sum(values) / 3 == pytest.approx(3 * (0 + 4 + 6) / 3, abs=CLOSE)


def test_the_mean_over_conditional_draws_is_the_conditional_expectation():
    states = torch.tensor([[0.0, 0.0], [0.0, 4.0], [2.0, 6.0], [0.0, 8.0]], dtype=torch.float64)
    row = torch.tensor([[0.0, 4.0]], dtype=torch.float64)
    values = [
        conditional(states, draw=d).impute(row, row, torch.tensor([[True, False]]), torch.tensor([0]))[0, 1].item() for d in range(600)
    ]
    # given the first column is 0 the second is 0, 4 or 8: standard error 3.3 / sqrt(600) = 0.13, five of them 0.7
    assert sum(values) / 600 == pytest.approx(4, abs=0.7)
    assert set(values) == {0.0, 4.0, 8.0}
    whole = conditional(states).impute(row, row, torch.tensor([[True, True]]), torch.tensor([0]))
    assert torch.equal(whole, row)


def test_a_row_that_is_no_state_is_refused():
    states = torch.zeros(2, 2, dtype=torch.float64)
    row = torch.ones(1, 2, dtype=torch.float64)
    with pytest.raises(InvalidInput, match="no state agrees"):
        conditional(states).impute(row, row, torch.tensor([[True, False]]), torch.tensor([0]))


def test_a_partner_lends_its_own_values_to_its_own_row():
    game = _table(lambda x: x.sum(1, keepdim=True), [[1.0, 2.0], [3.0, 4.0]], imputer=partner(torch.tensor([[10.0, 20.0], [30.0, 4.0]])))
    jobs = Masks(sample=torch.tensor([0, 1, 1]), mask=torch.tensor([[False, True], [False, True], [True, False]]))
    assert evaluate(game, jobs).logits.squeeze(1).tolist() == [12.0, 34.0, 7.0]
    assert game.live.tolist() == [[True, True], [True, False]]


def test_a_dropped_node_takes_its_edges_with_it_and_zeroed_features_do_not():
    rows = graphs()
    kept = torch.ones_like(rows, dtype=torch.bool)
    kept[:, 2, 6:] = False
    dropped = drop_node().impute(rows, 0 * rows, kept, torch.arange(3))
    assert (dropped[:, 2] == 0).all()
    assert (dropped[:, :, 2] == 0).all()
    others = torch.tensor([0, 1, 3, 4, 5])
    assert torch.equal(dropped[:, others][:, :, others], rows[:, others][:, :, others])
    zeroed = zero_features().impute(rows, 0 * rows, kept, torch.arange(3))
    assert torch.equal(zeroed[..., :6], rows[..., :6])
    assert (zeroed[:, 2, 6:] == 0).all()


def test_mean_features_are_harmonic_and_unreachable_nodes_take_their_baseline():
    path = torch.zeros(1, 4, 4, dtype=torch.float64)
    for i, j in ((0, 1), (1, 2)):
        path[0, i, j] = path[0, j, i] = 1
    features = torch.tensor([[[0.0], [9.0], [6.0], [9.0]]], dtype=torch.float64)
    kept = torch.tensor([[True, False, True, False]])
    found = harmonic_features(path, features, torch.full_like(features, -1.0), kept)
    assert found.flatten().tolist() == pytest.approx([0, 3, 6, -1], abs=CLOSE)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_rewiring_keeps_degrees_symmetry_and_simplicity_and_moves_absent_edges_only(seed):
    rows = graphs(seed)
    generator = torch.Generator().manual_seed(seed)
    half = (torch.rand(3, 6, 6, generator=generator) < 0.5).triu(1)
    kept = torch.cat([half | half.transpose(1, 2), torch.ones(3, 6, 2, dtype=torch.bool)], 2)
    found = rewire(seed=seed).impute(rows, 0 * rows, kept, torch.arange(3))
    edges, old = found[..., :6], rows[..., :6]
    assert torch.equal(edges, edges.transpose(1, 2))
    assert torch.equal(edges.sum(2), old.sum(2))
    assert set(edges.unique().tolist()) <= {0.0, 1.0}
    assert (edges.diagonal(dim1=1, dim2=2) == 0).all()
    assert (edges[kept[..., :6] & (old != 0)] == 1).all()
    whole = rewire(seed=seed).impute(rows, 0 * rows, torch.ones_like(kept), torch.arange(3))
    assert torch.equal(whole, rows)


def test_rewiring_does_move_edges():
    ring = torch.zeros(1, 6, 8, dtype=torch.float64)
    for i in range(6):
        ring[0, i, (i + 1) % 6] = ring[0, (i + 1) % 6, i] = 1
    found = rewire().impute(ring, 0 * ring, torch.zeros_like(ring, dtype=torch.bool), torch.arange(1))
    assert not torch.equal(found, ring)


def test_unseen_values_are_counted_by_colour_column_and_token():
    palette = torch.tensor([[0.0, 0.0], [1.0, 0.0]])  # two colours of two channels
    seen = palette[torch.tensor([[0, 1], [1, 0]])].permute(0, 2, 1).unsqueeze(2)  # (rows, channels, 1, 2)
    mixed = seen.clone()
    mixed[0, :, 0, 0] = torch.tensor([0.5, 0.0])
    assert unseen_share(seen.flip(0), seen, atom="channels").tolist() == [0, 0]
    assert unseen_share(mixed, seen, atom="channels").tolist() == [0.5, 0]
    table = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert unseen_share(torch.tensor([[0.0, 3.0], [1.0, 0.0]]), table, atom="column").tolist() == [0, 1]  # 1 and 0 stand in other columns
    assert unseen_share(torch.tensor([[[2.0, 3.0], [1.0, 0.0]]]), table.unsqueeze(0), atom="vector").tolist() == [0.5]


def test_a_colour_of_the_palette_stays_among_colours_and_blur_does_not():
    rows = (images() > 0.5).double()
    mask = torch.arange(36).view(1, 1, 6, 6).expand(rows.shape)
    jobs = Levels(rank=torch.arange(36).expand(3, 36), threshold=torch.full((3, 1), 18))

    def share(imputer):
        game = make_game(lambda x: x.flatten(1), rows, target=torch.zeros(3).long(), baseline=0 * rows, feature_mask=mask, imputer=imputer)
        return unseen(game, jobs, rows, atom="channels")

    assert share(keep_baseline).max() == 0
    assert share(blur(sigma=1.0, kernel=3)).min() > 0.2
    assert share(noisy_linear()).tolist() == pytest.approx([0.5] * 3, abs=CLOSE)


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInput, match="kernel odd"):
        blur(kernel=4)
    with pytest.raises(InvalidInput, match="tolerance positive"):
        noisy_linear(tolerance=0)
    with pytest.raises(InvalidInput, match="2 reference rows"):
        marginal(torch.zeros(1, 2), draw=1)
    table = torch.zeros(2, 3, dtype=torch.float64)
    for imputer in (blur(), noisy_linear(), drop_node()):
        with pytest.raises(NotApplicable):
            imputer.impute(table, table, table > 1, torch.arange(2))


def _table(function, inputs, **options):
    inputs = torch.as_tensor(inputs, dtype=torch.float64)
    return make_game(
        function,
        inputs,
        target=torch.zeros(len(inputs), dtype=torch.int64),
        baseline=torch.zeros_like(inputs),
        feature_mask=torch.arange(inputs.shape[1]).expand(inputs.shape),
        **options,
    )
