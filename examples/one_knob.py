"""One factor at a time: how far four methods are from the exact Shapley values as one knob of one network is turned.

The network counts the edges that join an a-node to a b-node, through a gate whose constant grows with the largest degree allowed. The
function stays the same, so methods that ask for values do not move; those that follow the path from baseline to input do.
"""

import sys

from matplotlib.figure import Figure

from attrlab import METRICS, find_method, measure, player_scores, prepare

METHODS = ("exact_integrated_gradients", "deeplift", "occlusion", "shapley")
DEGREES = (2, 3, 4, 5, 6)

distance = METRICS["relative_l1"]
curves = {name: [] for name in METHODS}
for degree in DEGREES:
    stage = prepare("edge-types-gate-features-v1", rows=64, degree=degree, edges=10)
    for name in METHODS:
        scores = player_scores(find_method(name), stage.case)
        curves[name].append(float(measure(distance, stage, scores).nanmean()))

print(f"{distance.formula} ({distance.direction} is better)")
print("degree".ljust(28), *(f"{degree:>6}" for degree in DEGREES))
for name, values in curves.items():
    print(name.ljust(28), *(f"{value:6.3f}" for value in values))

figure = Figure(figsize=(6, 3.6), layout="constrained")
axes = figure.subplots()
for name, values in curves.items():
    axes.plot(DEGREES, values, marker="o", label=name)
axes.set(xlabel="knob: largest degree D, gate constant 5D/4", ylabel="distance from exact Shapley (relative L1)")
axes.legend()
path = sys.argv[1] if len(sys.argv) > 1 else "one_knob.png"
figure.savefig(path, dpi=120)
print(f"figure: {path}")
