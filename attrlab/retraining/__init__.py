"""Remove what a method calls important, train anew, and see what is lost: ROAR and KAR, on graphs RoLie and RoMie, beside their controls.

    from attrlab.retraining import Settings, find_data, retrain, sentences

    study = retrain(find_data("colour-dominant-v1"), ["integrated_gradients"], settings=Settings(seeds=5))
    for told in sentences(study):
        print(told)

Reference:
    Hooker, Erhan, Kindermans, Kim, "A benchmark for interpretability methods in deep neural networks", NeurIPS 2019.
"""

from attrlab.retraining.cells import Cell, Retraining
from attrlab.retraining.data import Data, arrays, world
from attrlab.retraining.files import find_data
from attrlab.retraining.jobs import KAR, ROAR, Protocol, romie_and_rolie
from attrlab.retraining.networks import Network, cnn, gin, mapped, mlp
from attrlab.retraining.retrain import retrain
from attrlab.retraining.settings import CONTROLS, FRACTIONS, Settings
from attrlab.retraining.stacked import Training
from attrlab.retraining.verdicts import areas, leaking, sentence, sentences, separated, telling

__all__ = [
    "CONTROLS",
    "FRACTIONS",
    "KAR",
    "ROAR",
    "Cell",
    "Data",
    "Network",
    "Protocol",
    "Retraining",
    "Settings",
    "Training",
    "areas",
    "arrays",
    "cnn",
    "find_data",
    "gin",
    "leaking",
    "mapped",
    "mlp",
    "retrain",
    "romie_and_rolie",
    "sentence",
    "sentences",
    "separated",
    "telling",
    "world",
]
