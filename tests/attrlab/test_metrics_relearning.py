"""Label randomisation: trained networks have learnt what they are said to, and explanations that ignore them are found out."""

from __future__ import annotations

import pytest
import torch

from attrlab.errors import NotApplicable
from attrlab.metrics import METRICS
from attrlab.metrics.explainer import Explainer
from attrlab.metrics.label_randomisation import similarity_after_relearning
from attrlab.metrics.similarity import spearman
from attrlab.registry import find_method
from attrlab.retraining.relearning import SEED, _rows, learn
from attrlab.retraining.stacked import Training
from attrlab.study import load, measure, prepare

CLOSE = 1e-9  # correlations of ranks below 100, in float64
NAMES = [name for name in METRICS if name.startswith(("label_randomisation", "same_labels"))]


@pytest.fixture(scope="module")
def stage():
    return prepare("majority-v1", rows=8)


def inputs(case, *, model=None):
    del model
    return case.inputs


def gradient(case, *, model=None):
    with torch.enable_grad():
        point = case.inputs.clone().requires_grad_()
        (model or case.model)(point).gather(1, case.target.unsqueeze(1)).sum().backward()
    return point.grad


def test_each_network_gets_the_labels_right_that_it_was_told_and_permuted_ones_by_heart():
    world = load("majority-v1")
    rows, labels, _ = _rows(world, 128)
    permuted = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))]
    networks = learn(world)
    assert torch.unique(rows, dim=0).shape == rows.shape  # equal rows of unequal labels could not be learnt by heart
    assert (permuted != labels).double().mean() > 0.3
    for name, wanted in (("true", labels), ("same", labels), ("permuted", permuted)):
        assert (networks[name](rows).argmax(1) == wanted).double().mean() >= 0.95, name
    assert not torch.equal(networks["true"](rows), networks["same"](rows))


def test_what_was_not_learnt_is_refused_with_the_accuracy_that_was_reached():
    with pytest.raises(NotApplicable, match=r"did not learn its own training rows of majority-v1 \(got accuracy 0"):
        learn(load("majority-v1"), training=Training(epochs=1))
    with pytest.raises(NotApplicable, match="has one class"):
        learn(load("repeated-patch-v1"))


def test_a_map_that_ignores_what_was_learnt_is_as_similar_as_can_be_whatever_the_labels(stage):
    for name in NAMES:
        if not METRICS[name].modalities:
            found = METRICS[name].measure(Explainer(inputs), stage.case, stage.case.inputs)
            assert found[~found.isnan()].tolist() == pytest.approx([1.0] * int((~found.isnan()).sum()), abs=CLOSE)
            assert METRICS[name].ends == ((1.0, 0.0) if METRICS[name].direction == "lower" else (0.0, 1.0))


def test_a_gradient_follows_the_labels_and_agrees_better_where_they_are_the_same(stage):
    known = Explainer(gradient)
    permuted, same = (similarity_after_relearning(known, stage.case, labels=which).mean().item() for which in ("permuted", "same"))
    assert permuted < 0.5 < same


def test_the_class_that_is_explained_is_what_the_network_of_true_labels_predicts(stage):
    networks, case = stage.case.learnt(), stage.case
    target = networks["true"](case.inputs).argmax(1)
    assert len(target.unique()) > 1  # the world itself has one output
    expected = [
        torch.autograd.functional.jacobian(lambda x, n=n: networks[n](x).gather(1, target[:, None]).sum(), case.inputs)
        for n in ("true", "permuted")
    ]
    wanted = spearman(*expected, torch.ones_like(case.inputs, dtype=torch.bool))
    torch.testing.assert_close(similarity_after_relearning(gradient, case), wanted, atol=CLOSE, rtol=0)


def test_networks_are_trained_once_and_explained_once_for_all_metrics(stage):
    asked = []
    known = Explainer(lambda case, *, model=None: asked.append(model) or gradient(case, model=model))
    for name in NAMES:
        if not METRICS[name].modalities:
            METRICS[name].measure(known, stage.case, stage.case.inputs)
    assert asked == [stage.case.learnt()[name] for name in ("true", "permuted", "same")]


def test_maps_of_images_are_compared_by_structure_and_other_rows_have_none(stage):
    images = prepare("colour-count-v1", rows=2)
    method = find_method("gradient")
    for name in ("label_randomisation_ssim_absolute", "label_randomisation_hog_absolute"):
        found = measure(METRICS[name], images, images.scores_of(method)[0], method=method)
        assert (found < 0.9).all()
        with pytest.raises(NotApplicable, match="maps are those of images"):
            METRICS[name].measure(Explainer(gradient), stage.case, stage.case.inputs)


def test_a_case_without_trained_networks_says_so(stage):
    with pytest.raises(NotApplicable, match="the case has none"):
        similarity_after_relearning(gradient, stage.case.derived())
