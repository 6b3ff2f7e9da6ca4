"""On a CUDA device the laboratory says what it says on the CPU: the same scores, the same verdicts, the same exact networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attrlab.contract import RULES
from attrlab.errors import NotApplicable
from attrlab.games import Policy, applied
from attrlab.instruments import network_equals_its_specification
from attrlab.method import player_scores
from attrlab.metrics import METRICS
from attrlab.registry import find_method, method_names
from attrlab.study import measure, prepare
from synthetic import environment_ids

pytestmark = pytest.mark.cuda

CLOSE = 1e-9
"""float64 rounding: the devices sum in different orders."""


@pytest.mark.parametrize("id", environment_ids())
def test_every_method_scores_alike_on_both_devices(id: str):
    here, there = (prepare(id, rows=6, seed=0, policy=Policy(device=device)) for device in ("cpu", "cuda"))
    for name in method_names():
        method = find_method(name)
        with applied(there.policy):
            found = player_scores(method, there.case)
        assert found.device.type == "cuda"
        wanted = player_scores(method, here.case)
        torch.testing.assert_close(found.cpu(), wanted, atol=CLOSE, rtol=CLOSE)


@pytest.mark.parametrize("id", ["colour-and-v1", "additive-v1", "edge-types-gate-features-v1"])
@pytest.mark.parametrize("metric", [m for m in METRICS.values() if m.name != "seconds_per_row"], ids=lambda metric: metric.name)
def test_every_metric_measures_alike_on_both_devices(id: str, metric):
    here, there = (prepare(id, rows=6, seed=0, policy=Policy(device=device)) for device in ("cpu", "cuda"))
    method, values = find_method("occlusion"), []
    for stage in (here, there):
        try:
            values.append(measure(metric, stage, stage.floor, method=method).cpu())
        except NotApplicable as reason:
            values.append(str(reason))
    if isinstance(values[0], str):
        assert values[1] == values[0]
    else:
        torch.testing.assert_close(values[1], values[0], atol=CLOSE, rtol=CLOSE, equal_nan=True)


@pytest.mark.parametrize("id", environment_ids())
def test_every_network_equals_its_specification_on_cuda_in_both_precisions(id: str):
    stage = prepare(id, rows=6, seed=0, policy=Policy(device="cuda"))
    with applied(stage.policy):
        assert network_equals_its_specification(stage)[0] == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("name", ["exact_integrated_gradients", "integrated_gradients", "deeplift", "shapley", "occlusion", "random"])
def test_the_contract_is_kept_on_cuda(rule, name: str):
    stage = prepare("colour-or-v1", rows=6, seed=0, policy=Policy(device="cuda"))
    with applied(stage.policy):
        try:
            measured, bound = rule.check(find_method(name), stage.case)
        except NotApplicable as refusal:
            pytest.fail(f"{name} refuses on CUDA what it takes on the CPU: {refusal}")
    assert measured <= bound


def test_the_whole_of_it_runs_on_cuda(tmp_path: Path):
    command = [sys.executable, "-m", "pytest", "--pyargs", "evaluations", "-q", "-p", "no:cacheprovider", "--attrlab-device", "cuda"]
    command += ["--attrlab-examples", "20", "--attrlab-json", "out.json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert json.loads((tmp_path / "out.json").read_text())["policy"]["device"] == "cuda"
