"""On a CUDA device the laboratory says what it says on the CPU: the same scores, the same verdicts, the same exact networks."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from inspect import signature
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attrlab.case import Case
from attrlab.contract import RULES
from attrlab.errors import AttrlabError, NotApplicable
from attrlab.games import Policy, applied
from attrlab.instruments import network_equals_its_specification
from attrlab.method import Method, player_scores
from attrlab.metrics import METRICS
from attrlab.registry import find_method, method_names
from attrlab.study import Stage, applies, measure, prepare
from synthetic import environment_ids, make_environment

pytestmark = pytest.mark.cuda

CLOSE = 1e-9
"""float64 rounding: the devices sum in different orders."""


def scored(method: Method, stage: Stage, case: Case | None = None) -> Tensor | str:
    """What a method says of a stage's rows, or of another case, on the CPU: its scores, or why it does not apply."""
    with applied(stage.policy):
        try:
            found = player_scores(method, case or stage.case, seed=stage.seed)
        except NotApplicable as refusal:
            return re.sub(r"-?\d+\.\d+(e-?\d+)?", "...", str(refusal))
    assert found.device.type == torch.device(stage.policy.device).type
    return found.cpu()


def unsteadiness(method: Method, stage: Stage, wanted: Tensor) -> float:
    """How far scores move on one device when every number that they are made from moves by four units in the last place.

    What trains or optimises divides gradients that are nothing but rounding by their own size, and so tells one rounding from another.
    """
    generator, worst = torch.Generator().manual_seed(0), 0.0

    def moved(numbers: Tensor) -> Tensor:
        return numbers * (1 + 2.0**-50 * (2 * torch.randint(2, numbers.shape, generator=generator) - 1))

    for _ in range(3):
        model, case = copy.deepcopy(stage.case.model), stage.case
        for parameter in model.parameters():
            parameter.data = moved(parameter.data)
        reference = None if case.reference is None else moved(case.reference)
        found = scored(method, stage, replace(case, model=model, inputs=moved(case.inputs), reference=reference))
        assert isinstance(found, Tensor)
        worst = max(worst, float((found - wanted).abs().max()))
    return worst


def differences(id: str, methods: Iterable[Method]) -> list[str]:
    """Where the two devices say different things of the same rows, a line for each method that does.

    What draws from a generator that lies on the device draws other numbers there: it must run, and is not compared.
    """
    here, there = (prepare(id, rows=3, seed=0, policy=Policy(device=device)) for device in ("cpu", "cuda"))
    lines = []
    for method in methods:
        try:
            wanted, found = scored(method, here), scored(method, there)
            if isinstance(found, str) or isinstance(wanted, str):
                assert found == wanted, f"{found} is not {wanted}"
            elif not (method.peer or "generator" in signature(method.attribute).parameters):
                try:
                    torch.testing.assert_close(found, wanted, atol=CLOSE, rtol=CLOSE)
                except AssertionError:
                    torch.testing.assert_close(found, wanted, atol=10 * unsteadiness(method, here, wanted), rtol=CLOSE)
        except (AssertionError, AttrlabError, RuntimeError) as difference:
            lines.append(f"{method.name}: {' '.join(str(difference).split())}")
    return lines


def applicable(id: str) -> list[Method]:
    """The registered methods of an environment's modality, in the registry's order."""
    environment = make_environment(id)
    return [method for method in map(find_method, method_names()) if applies(method, environment)]


@pytest.mark.parametrize("id", environment_ids())
def test_methods_score_alike_on_both_devices(id: str):
    """A dozen for each environment, others for the next one, so that each is asked about several worlds of its modality."""
    among, first = applicable(id), 12 * environment_ids().index(id)
    found = differences(id, [among[(first + step) % len(among)] for step in range(12)])
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("id", environment_ids())
def test_every_method_scores_alike_on_both_devices(id: str, part: int):
    found = differences(id, applicable(id)[part::3])
    assert not found, "\n".join(found)


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


COMMANDS = {
    "evaluate integrated_gradients --environment colour-or-v1 --environment additive-v1": 0,
    "evaluate shapley --environment edge-types-gate-features-v1": 0,
    "evaluate deeplift --claim implementation_invariance --environment colour-or-v1": 1,
    "refute deeplift --axiom symmetry --scope small --examples 20": 1,
    "refute occlusion --axiom dummy --scope tiny --examples 20": 0,
    "retrain occlusion --on digits --fraction 0.5 --seeds 2 --rows 200 --epochs 10": 0,
    "verify": 0,
}
"""What a user types, without `--device cuda`, and the exit status that it ends with on a CPU."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_on_cuda_as_on_a_cpu(command: str, tmp_path: Path):
    asked = [sys.executable, "-m", "attrlab", *command.split(), "--device", "cuda"]
    ran = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == COMMANDS[command], ran.stdout[-4000:] + ran.stderr[-4000:]


def test_the_records_of_a_run_say_that_it_was_on_cuda(tmp_path: Path):
    command = [sys.executable, "-m", "attrlab", "evaluate", "gradient", "--environment", "colour-or-v1"]
    command += ["--device", "cuda", "--json", "out.json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert json.loads((tmp_path / "out.json").read_text())["policy"]["device"] == "cuda"
