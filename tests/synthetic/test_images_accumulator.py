"""An accumulator adds every pixel of every colour exactly once, whatever its hidden sums look like."""

import pytest
import torch

from synthetic.gadgets import least_preactivation
from synthetic.images.accumulator import OFFSET, accumulator, irregular_weights

KINDS = pytest.mark.parametrize("irregular", [False, True], ids=["uniform", "irregular"])


@KINDS
@pytest.mark.parametrize("size", [3, 4, 8, 9, 10])
def test_every_pixel_is_added_once_to_its_own_colour(size, irregular):
    pixels = 2 * size**2
    marks = torch.eye(pixels, dtype=torch.float64).view(pixels, 2, size, size)
    counts = accumulator(2, size, irregular=irregular)(marks).flatten(1) - OFFSET
    colour = torch.arange(pixels) // size**2
    assert torch.equal(counts, torch.nn.functional.one_hot(colour, 2).double())  # dyadic weights: exact


@KINDS
@pytest.mark.parametrize("size", [9, 27])
def test_counting_is_exact_in_float32_up_to_the_full_image(size, irregular):
    generator = torch.Generator().manual_seed(0)
    share = torch.tensor([0.0, 0.1, 0.9, 1.0])[:, None, None, None]
    marks = (torch.rand(4, 3, size, size, generator=generator) < share).float()
    counts = accumulator(3, size, irregular=irregular).float()(marks).flatten(1) - OFFSET
    assert torch.equal(counts, marks.sum((2, 3)))


@KINDS
def test_no_stage_comes_closer_than_a_quarter_to_a_kink(irregular):
    marks = torch.rand(20, 2, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    marks[0] = 0
    assert least_preactivation(accumulator(2, 9, irregular=irregular), marks) >= 0.25


@KINDS
def test_the_accumulator_is_linear_in_non_negative_marks(irregular):
    marks = torch.rand(20, 2, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    counts = accumulator(2, 9, irregular=irregular)(marks).flatten(1) - OFFSET
    assert torch.allclose(counts, marks.sum((2, 3)), rtol=0, atol=1e-12)  # sums of 81 numbers below 1 in float64


def test_irregular_kernels_differ_and_contract_to_all_ones():
    expand, contract = irregular_weights()
    assert torch.equal(torch.einsum("e,ehw->hw", contract, expand), torch.ones(3, 3, dtype=torch.float64))
    assert (expand >= 0).all()
    assert len({tuple(kernel.flatten().tolist()) for kernel in expand}) == len(expand)
    assert all(kernel.unique().numel() > 1 for kernel in expand)


@pytest.mark.parametrize("size", [0, 1, 2, 9.0, "9", None], ids=repr)
def test_sizes_without_a_stage_are_refused(size):
    with pytest.raises(ValueError, match="at least 3 such as 9"):
        accumulator(1, size)
