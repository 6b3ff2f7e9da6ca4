"""One image, one network, three exact truths: why a single ground-truth mask is not enough.

The network answers "is there any red or green pixel?". Every one of them is as good as another, so Shapley and the path integral
share the answer among them; but take one away and nothing changes, because the others still answer. A mask says which
pixels matter, and cannot say which of the two numbers a method should return.
"""

import torch

from synthetic import make_environment


def main() -> None:
    environment = make_environment("colour-or-v1")
    batch = environment.sample(1, torch.Generator().manual_seed(0))
    image, truth = batch.inputs[0], batch.truth
    colours = {"background": (0, 0, 0), "red": (2, 0, 0), "green": (0, 2, 0), "blue": (0, 0, 2)}
    counts = {name: int((image == torch.tensor(rgb)[:, None, None]).all(0).sum()) for name, rgb in colours.items()}

    print(environment.formula)
    print("pixels:  ", ", ".join(f"{count} {name}" for name, count in counts.items()))
    print("output:  ", f"{environment.model(batch.inputs).item():g}, baseline {environment.model(batch.baseline).item():g}")
    print("support: ", f"{int(truth.support.sum())} pixels, the red and the green")

    pixel = int(truth.support[0].int().argmax())
    print(f"\n{'convention':<20} {f'pixel {pixel}':>9} {'all pixels':>13}")
    for convention, scores in truth.attributions.items():
        print(f"{convention:<20} {scores[0, pixel].item():>9.4f} {scores[0].sum().item():>13.4f}")


if __name__ == "__main__":
    main()
