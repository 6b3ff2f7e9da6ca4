"""One function, two networks: on graphs nobody can tell them apart, between graphs the path integral can.

Both count the edges that join an a-node and a b-node, and agree on every graph and every coalition of nodes, so the Shapley values
agree. Integrated gradients walk through features that are no graph's, where the two networks differ.
"""

from __future__ import annotations

import torch

from synthetic import make_environment

WORLDS = {"message": "edge-types-features-v1", "gate": "edge-types-gate-features-v1"}


def main() -> None:
    worlds = {name: make_environment(id, nodes=(6, 6)) for name, id in WORLDS.items()}
    batches = {name: world.sample(1, torch.Generator().manual_seed(4)) for name, world in worlds.items()}
    row = batches["gate"].inputs[0]
    adjacency, features = row[:, :6], row[:, 6:]
    colours = ["ab-"[int(colour)] for colour in features.argmax(1)]
    edges = [f"{u}{colours[u]}~{v}{colours[v]}" for u, v in adjacency.triu().nonzero().tolist()]
    print("nodes:", "  ".join(f"{node}{colour}" for node, colour in enumerate(colours)))
    print("edges:", "  ".join(edges))
    for name, world in worlds.items():
        print(f"{name:>8} network: {world.model(row.unsqueeze(0)).item():.0f} a-b edges")

    print(f"\n{'node':>8} {'Shapley':>9} {'IG, message':>12} {'IG, gate':>9}")
    truth = {name: batch.truth.attributions for name, batch in batches.items()}
    columns = (truth["gate"]["shapley"], truth["message"]["integrated_gradients"], truth["gate"]["integrated_gradients"])
    for node, colour in enumerate(colours):
        shapley, message, gate = (column[0, node].item() for column in columns)
        print(f"{node:>7}{colour} {shapley:>9.3f} {message:>12.3f} {gate:>9.3f}")
    print(f"{'sum':>8} " + " ".join(f"{column.sum():>{width}.3f}" for column, width in zip(columns, (9, 12, 9), strict=True)))


if __name__ == "__main__":
    main()
