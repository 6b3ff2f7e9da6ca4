"""The engine answers like a loop over rows and coalitions, and asks no question twice."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games import AllSubsets, Game, Levels, Masks, Policy, Subsets, Without, concatenate, constant, evaluate, make_game
from attrlab.games.evaluate import even_chunk
from tests import reference
from tests.attrlab.ragged_games import CLOSE, network, ragged


class Counting(nn.Module):
    """Passes rows on and remembers how many came, and in which chunks."""

    def __init__(self, inner: nn.Module, memory: int | None = None) -> None:
        super().__init__()
        self.inner, self.memory, self.chunks = inner, memory, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.memory is not None and len(x) > self.memory:
            raise RuntimeError("DefaultCPUAllocator: out of memory (planted)")
        self.chunks.append(x.clone())
        return self.inner(x)


def expected(game: Game, jobs) -> torch.Tensor:
    everything = torch.arange(len(jobs))
    kept, sample = jobs.keep(everything), jobs.sample
    answers = []
    for own, row in zip(kept, sample.tolist(), strict=True):
        players = own.nonzero().flatten().tolist()
        answers.append(reference.logits_of(game.model, game.inputs[row], game.baseline[row], game.feature_mask[row], players))
    return torch.stack(answers)


def plans(game: Game, seed: int) -> dict[str, object]:
    generator = torch.Generator().manual_seed(seed + 1)
    rows, players = len(game), game.players
    sample = torch.randint(0, rows, (9,), generator=generator)
    rank = torch.randint(0, players, (rows, players), generator=generator)
    threshold = torch.randint(0, players + 2, (rows, 4), generator=generator)
    members = torch.stack([torch.randperm(players, generator=generator)[:3] for _ in range(rows)])
    code = torch.randint(0, 8, (9,), generator=generator)
    return {
        "deletion": Levels(rank=rank, threshold=threshold),
        "insertion": Levels(rank=rank, threshold=threshold, mode="insertion"),
        "all subsets": AllSubsets(rows=torch.arange(rows), members=members, players=players),
        "subsets": Subsets(sample=sample, code=code, members=members, players=players),
        "no members": Subsets(sample=sample, code=code, members=torch.full_like(members, -1), players=players),
        "masks": Masks(sample=sample, mask=torch.rand(9, players, generator=generator) < 0.5),
        "without": Without(sample=sample, player=torch.randint(-1, players, (9,), generator=generator), players=players),
    }


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 4), players=st.integers(3, 6))
@settings(max_examples=25, deadline=None)
def test_every_plan_is_answered_as_by_a_loop_over_single_rows(seed, rows, players):
    game = ragged(seed, rows=rows, players=players)
    for name, jobs in plans(game, seed).items():
        torch.testing.assert_close(evaluate(game, jobs).logits, expected(game, jobs), atol=CLOSE, rtol=0, msg=name)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_each_distinct_input_goes_through_the_model_exactly_once(seed):
    model = Counting(network(8, seed=seed))
    game = ragged(seed, model=model)
    jobs = concatenate(*plans(game, seed).values())
    found = evaluate(game, jobs)
    seen = torch.cat(model.chunks).flatten(1)
    model.chunks.clear()
    expected(game, jobs)
    wanted = [torch.cat(model.chunks).flatten(1)[jobs.sample == row].unique(dim=0) for row in range(len(game))]
    assert len(seen) == found.forwards == sum(len(rows) for rows in wanted)


def test_repeated_jobs_get_bit_identical_answers():
    game = ragged(3)
    jobs = plans(game, 3)["deletion"]
    both = concatenate(jobs, jobs)
    first, second = both.split(evaluate(game, both).logits)
    assert torch.equal(first, second)  # one evaluation read twice, so equal to the bit


def test_keys_of_all_plans_agree_on_equal_kept_sets():
    game = ragged(5, players=4)
    numbers = torch.randint(-(2**63), 2**63 - 1, (3, 4), generator=torch.Generator().manual_seed(0))
    for name, jobs in plans(game, 5).items():
        kept = jobs.keep(torch.arange(len(jobs)))
        written_out = Masks(sample=jobs.sample, mask=kept)
        assert torch.equal(jobs.keys(numbers), written_out.keys(numbers)), name  # integers


@pytest.mark.parametrize("chunk_bytes", [1, 3000, None], ids=["smallest", "small", "default"])
def test_answers_do_not_depend_on_the_size_of_chunks(chunk_bytes):
    game = ragged(1, rows=4, policy=Policy(chunk_bytes=chunk_bytes))
    jobs = AllSubsets(rows=torch.arange(4), members=torch.arange(5).expand(4, 5), players=5)
    torch.testing.assert_close(evaluate(game, jobs).logits, expected(game, jobs), atol=CLOSE, rtol=0)


def test_an_answer_does_not_depend_on_the_other_rows():
    game = ragged(7, rows=6)
    threshold = torch.arange(6).expand(6, 6)
    rank = torch.arange(5).expand(6, 5)
    together = evaluate(game, Levels(rank=rank, threshold=threshold)).logits.view(6, 6, -1)
    for row in range(6):
        own = make_game(
            game.model,
            game.inputs[row : row + 1],
            target=game.target[row : row + 1],
            baseline=game.baseline[row : row + 1],
            feature_mask=game.feature_mask[row : row + 1],
            players=5,
        )
        alone = evaluate(own, Levels(rank=rank[:1], threshold=threshold[:1])).logits
        torch.testing.assert_close(together[row], alone, atol=CLOSE, rtol=0)


@given(total=st.integers(1, 5000), limit=st.integers(3, 200))
@settings(max_examples=100, deadline=None)
def test_chunks_are_full_and_at_the_end_even_and_no_row_is_left_alone(total, limit):
    sizes, remaining = [], total
    while remaining:
        sizes.append(even_chunk(remaining, limit))
        remaining -= sizes[-1]
    assert max(sizes) <= limit
    assert max(sizes[-4:]) - min(sizes[-4:]) <= 1
    assert all(size == limit for size in sizes[:-4])
    assert min(sizes) >= 2 or total == 1


def test_chunks_shrink_with_the_bytes_of_the_widest_layer():
    wide = nn.Sequential(nn.Flatten(), nn.Linear(8, 500), nn.ReLU(), nn.Linear(500, 3)).double().requires_grad_(False)
    model = Counting(wide)
    game = ragged(2, model=model, rows=4, policy=Policy(chunk_bytes=20 * 500 * 8 * 2))
    evaluate(game, AllSubsets(rows=torch.arange(4), members=torch.arange(5).expand(4, 5), players=5, distinct=True))
    sizes = [len(chunk) for chunk in model.chunks]
    # the largest pair is relu's 500 in and 500 out, 8 bytes each: 20 rows fit; the first 17 rows are the measurement
    assert sizes[0] == 17
    assert max(sizes[1:]) in (19, 20)


@pytest.mark.parametrize("memory", [1, 2, 5, 16])
def test_running_out_of_memory_halves_the_chunk_and_loses_nothing(memory):
    model = Counting(network(8), memory=memory)
    game = ragged(4, model=model, rows=4)
    jobs = AllSubsets(rows=torch.arange(4), members=torch.arange(5).expand(4, 5), players=5)
    answers = evaluate(game, jobs)
    assert max(len(chunk) for chunk in model.chunks) <= memory
    assert answers.forwards == sum(len(chunk) for chunk in model.chunks)
    model.memory = None
    torch.testing.assert_close(answers.logits, expected(game, jobs), atol=CLOSE, rtol=0)


def test_a_row_that_does_not_fit_says_what_to_write():
    game = ragged(4, model=Counting(network(8), memory=0))
    with pytest.raises(NotApplicable, match=r"a single row of shape \(2, 4\) does not fit .*Policy\(dtype=torch.float32\)"):
        evaluate(game, plans(game, 4)["masks"])


def test_an_error_of_the_model_is_passed_on_unchanged():
    game = ragged(4, model=nn.Linear(3, 2).double())
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        evaluate(game, plans(game, 4)["masks"])


@pytest.mark.parametrize("raises", [False, True])
def test_the_model_is_left_as_it_was_also_when_it_raises(raises):
    model = Counting(network(8), memory=0 if raises else None)
    model.train()
    before = copy.deepcopy(model.state_dict())
    game = ragged(4, model=model)
    if raises:
        with pytest.raises(NotApplicable):
            evaluate(game, plans(game, 4)["masks"])
    else:
        evaluate(game, plans(game, 4)["masks"])
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    assert not any(getattr(module, name) for module in model.modules() for name in hooks)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.overrides._get_current_function_mode() is None


def test_nothing_is_drawn_from_the_global_generator_and_inputs_stay():
    game = ragged(8)
    state, inputs = torch.get_rng_state(), game.inputs.clone()
    evaluate(game, plans(game, 8)["all subsets"])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(game.inputs, inputs)


def test_the_model_runs_without_gradients_and_under_the_policy_of_the_game():
    inner = network(8).requires_grad_(True)
    seen = []

    def watched(x):
        seen.append((torch.is_grad_enabled(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic))
        return inner(x)

    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    game = ragged(8, model=watched, policy=Policy(tf32=not before[0], deterministic=not before[1]))
    assert not evaluate(game, plans(game, 8)["masks"]).logits.requires_grad
    assert set(seen) == {(False, not before[0], not before[1])}
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before


def test_progress_counts_up_to_the_number_of_forwards():
    game, seen = ragged(6, rows=4, policy=Policy(chunk_bytes=1)), []
    jobs = AllSubsets(rows=torch.arange(4), members=torch.arange(5).expand(4, 5), players=5)
    found = evaluate(game, jobs, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (found.forwards, found.forwards)
    assert {total for _, total in seen} == {found.forwards}


def test_channels_last_changes_where_entries_lie_and_not_what_comes_out():
    conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 3 * 3, 3)).requires_grad_(False)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=torch.Generator().manual_seed(0)))
    seen = []
    conv[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].is_contiguous(memory_format=torch.channels_last)))
    inputs = torch.randint(-3, 4, (2, 3, 5, 5), generator=torch.Generator().manual_seed(1)).float()
    mask = torch.arange(25).view(1, 1, 5, 5).expand(2, 3, 5, 5)
    rank = torch.randperm(25, generator=torch.Generator().manual_seed(2))
    jobs = Levels(rank=rank.expand(2, 25), threshold=torch.arange(26).expand(2, 26))
    options = {"target": torch.zeros(2, dtype=torch.int64), "baseline": torch.zeros_like(inputs), "feature_mask": mask}
    answers = {}
    for layout in ("contiguous", "channels_last", "auto"):
        policy = Policy(dtype=torch.float32, memory_format=layout)
        answers[layout] = evaluate(make_game(conv, inputs, policy=policy, **options), jobs).logits
    assert seen == sorted(seen)
    assert any(seen)
    assert not all(seen)
    # integer weights and inputs: sums below 2^24 are exact in float32 in any order
    assert torch.equal(answers["contiguous"], answers["channels_last"])
    assert torch.equal(answers["contiguous"], answers["auto"])


def test_a_constant_imputer_ignores_the_baseline():
    game = ragged(9, imputer=constant(7.0))
    jobs = Masks(sample=torch.arange(3), mask=torch.zeros(3, 5, dtype=torch.bool))
    seven = torch.where(game.feature_mask < 0, game.inputs, 7.0)
    torch.testing.assert_close(evaluate(game, jobs).logits, game.model(seven), atol=CLOSE, rtol=0)


def test_a_target_out_of_range_names_its_row_and_the_range():
    game = ragged(1)
    high = torch.tensor([0, 3, 1])
    game = make_game(game.model, game.inputs, target=high, baseline=game.baseline, feature_mask=game.feature_mask)
    with pytest.raises(InvalidInput, match=r"target 3 of row 1, but the model has 3 output\(s\): write 0 or 1 or 2"):
        evaluate(game, plans(game, 1)["masks"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda out: out[:, 0], r"return output.unsqueeze\(1\) \(got \(\d+,\)"),
        (lambda out: out[:-1], "one row per row"),
        (lambda out: out.tolist(), r"must return a tensor .* \(got list\)"),
    ],
    ids=["one-dimensional", "a row short", "no tensor"],
)
def test_a_model_that_does_not_return_rows_of_outputs_is_told_how(change, message):
    inner = network(8)
    game = ragged(1, model=lambda x: change(inner(x)))
    with pytest.raises(InvalidInput, match=message):
        evaluate(game, plans(game, 1)["masks"])


def test_an_empty_plan_is_refused():
    game = ragged(1)
    with pytest.raises(InvalidInput, match="no jobs"):
        evaluate(game, Masks(sample=torch.zeros(0, dtype=torch.int64), mask=torch.zeros(0, 5, dtype=torch.bool)))


def test_nothing_to_join_is_refused():
    with pytest.raises(InvalidInput, match="nothing to join"):
        concatenate()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_a_cuda_device_gives_the_answers_of_the_cpu():
    here = ragged(3)
    there = ragged(3, model=copy.deepcopy(here.model).cuda(), policy=Policy(device="cuda"))
    for name, jobs in plans(here, 3).items():
        stated = {key: value for key, value in vars(jobs).items() if key != "distinct"}
        moved = type(jobs)(**{key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in stated.items()})
        torch.testing.assert_close(evaluate(there, moved).logits.cpu(), evaluate(here, jobs).logits, atol=CLOSE, rtol=0, msg=name)


def test_what_the_engine_found_out_is_not_carried_to_a_game_of_other_rows():
    game = ragged(3)
    jobs = Levels(rank=torch.arange(5).expand(len(game), 5), threshold=torch.arange(6).expand(len(game), 6))
    before = evaluate(game, jobs).logits
    assert game.found
    moved = replace(game, inputs=game.inputs + 1, baseline=game.baseline + 1)
    assert not moved.found
    assert not torch.equal(evaluate(moved, jobs).logits, before)
    assert torch.equal(evaluate(game, jobs).logits, before)
