"""What evaluations cost beside the forward passes they cannot avoid, and beside peers: `python tests/benchmarks/evaluations.py`.

Measured as in `engine.py`: one process, one thread, random order in every round, median of paired ratios beside the ratio of minima.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import torch
from captum.metrics import infidelity as captums_infidelity
from engine import bounds
from networks import images
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve
from scipy.stats import spearmanr
from side_by_side import Row, Work, compare
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from attrlab.games.imputers_images import harmonic
from attrlab.metrics import METRICS
from attrlab.metrics.answers import Answers
from attrlab.metrics.orders import mean_curve
from attrlab.metrics.soundness_completeness import REMOVED, completeness_curve, soundness_curve
from attrlab.metrics.subsets import infidelity

TOLERANCE = 4e-6
"""Of the residual: values are then within 1e-5 of the sparse solve, where half of the pixels are kept."""


def sparse_solve(image: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """One image by one factorisation, as peers do, with the matrix assembled by shifted indices."""
    height, width = kept.shape
    place = np.full((height + 2, width + 2), -1)
    inner = place[1:-1, 1:-1]
    inner[~kept] = np.arange((~kept).sum())
    values = np.zeros((height + 2, width + 2, image.shape[0]))
    values[1:-1, 1:-1] = np.where(kept[..., None], image.transpose(1, 2, 0), 0)
    inside = np.pad(np.ones_like(kept), 1)
    rows, columns, entries, diagonal = [], [], [], np.zeros((~kept).sum())
    right = np.zeros((len(diagonal), image.shape[0]))
    for di, dj in ((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j):
        shifted = (slice(1 + di, height + 1 + di), slice(1 + dj, width + 1 + dj))
        weight = 1 / 12 if di and dj else 1 / 6
        near, there = place[shifted][~kept], inside[shifted][~kept]
        diagonal += weight * there
        right += weight * values[shifted][~kept]
        missing = near >= 0
        rows.append(np.flatnonzero(missing))
        columns.append(near[missing])
        entries.append(np.full(missing.sum(), -weight))
    rows.append(np.arange(len(diagonal)))
    columns.append(np.arange(len(diagonal)))
    entries.append(diagonal)
    system = csr_matrix((np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))))
    filled = image.copy()
    filled[:, ~kept] = spsolve(system, right).reshape(-1, image.shape[0]).T
    return filled


def imputation(rows: int) -> tuple[Work, Work, Tensor, Tensor]:
    """Half of the pixels of 3 x 32 x 32 images, at random: ours, the peer's, and what either makes."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(rows, 3, 32, 32, generator=generator)
    kept = (torch.rand(rows, 1, 32, 32, generator=generator) < 0.5).expand(rows, 3, 32, 32)
    ours = partial(harmonic, pictures, 0 * pictures, kept, tolerance=TOLERANCE)

    def theirs() -> np.ndarray:
        return np.stack([sparse_solve(image.numpy(), hole[0].numpy()) for image, hole in zip(pictures, kept, strict=True)])

    return ours, theirs, ours(), torch.from_numpy(theirs())


def curves(rows: int) -> tuple[Row, Row]:
    """Deletion and insertion in 64 steps, and soundness with completeness, against the bare forwards."""
    model, game, scores = images(rows, "cpu")

    def both() -> None:
        known = Answers(game)
        for mode in ("deletion", "insertion"):
            mean_curve(known, scores, mode=mode, steps=64, value="probability")  # type: ignore[arg-type]

    def pair() -> None:
        known = Answers(game)
        soundness_curve(known, scores)
        completeness_curve(known, scores)

    total, levels = rows * 128, rows * (len(REMOVED) + 10)
    return (
        Row(name="deletion + insertion, 64 steps", work=both, bounds=bounds(model, game.inputs, total, (32, 64)), target="<= 1.15"),
        Row(name="soundness + completeness", work=pair, bounds=bounds(model, game.inputs, levels, (32, 64)), target="<= 1.15"),
    )


def infidelities(rows: int, draws: int = 64) -> Row:
    """Infidelity of maps of 1024 pixels over as many random sets, against Captum's, which is told the best of three batch sizes."""
    model, game, scores = images(rows, "cpu")
    slopes = (scores.view(rows, 1, 32, 32) / game.inputs).contiguous()  # Captum multiplies an attribution by what is taken away

    def removed(inputs: Tensor) -> tuple[Tensor, Tensor]:
        chosen = (torch.rand(len(inputs), 1, 32, 32) < 0.5).to(inputs.dtype)
        return inputs * chosen, inputs * (1 - chosen)

    def theirs(batch: int) -> Tensor:
        with torch.no_grad():
            found: Tensor = captums_infidelity(
                model, removed, game.inputs, slopes, target=0, n_perturb_samples=draws, max_examples_per_batch=batch
            )
        return found

    return Row(
        name="infidelity, 64 sets",
        work=lambda: infidelity(Answers(game), scores, draws=draws),
        bounds=tuple(partial(theirs, rows * times) for times in (1, 2, 8)),
        target="<= 0.55 of Captum's",
    )


def alignment(rows: int) -> Row:
    """AUROC, AUPRC and rank correlation of maps of 1024 players, against scikit-learn and scipy."""
    generator = torch.Generator().manual_seed(0)
    scores, truth = (torch.randn(rows, 1024, generator=generator, dtype=torch.float64) for _ in range(2))
    support, present = truth > 1, torch.ones(rows, 1024, dtype=torch.bool)

    def ours() -> None:
        for name in ("support_auroc", "support_auprc", "rank_correlation"):
            METRICS[name].measure(scores, truth=truth, support=support, present=present)

    def theirs() -> None:
        for score, exact, mask in zip(scores.numpy(), truth.numpy(), support.numpy(), strict=True):
            roc_auc_score(mask, np.abs(score))
            average_precision_score(mask, np.abs(score))
            spearmanr(score, exact)

    return Row(name="alignment scores", work=ours, bounds=(theirs,), target="<= 0.1 of scikit-learn + scipy")


def main() -> None:
    """Print one line per row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ours, theirs, made, expected = imputation(options.rows)
    print(f"ROAD imputation, largest difference from the sparse solve: {(made - expected).abs().max():.1e}")
    road = Row(name="ROAD imputation", work=ours, bounds=(theirs,), target="<= 0.125 of a sparse solve")
    rows = [*curves(options.rows), road, infidelities(options.rows), alignment(options.rows)]
    for row in rows:
        ratio, least, seconds = compare(row, rounds=options.rounds)
        print(f"{row.name:34s} median {ratio:6.3f}  minima {least:6.3f}  {seconds * 1e3:9.1f} ms   target {row.target}")


if __name__ == "__main__":
    main()
