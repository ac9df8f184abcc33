"""Under which licence a data set is published: samples that are passed on go under it."""

NOT_STATED = "not known here; ask who made the data before passing samples on"
_UCI = "CC BY 4.0 (Alpaydin, Kaynak 1998, UCI Machine Learning Repository)"
_MNIST = "CC BY-SA 3.0 (LeCun, Cortes, Burges, MNIST)"
_NMNIST = "CC BY-SA 4.0 (Orchard, Jayawant, Cohen, Thakor 2015, N-MNIST)"
_CIFAR = "no formal licence; cite Krizhevsky 2009, Learning Multiple Layers of Features"

LICENCES: dict[str, str] = {
    "digits": _UCI,
    "mnist": _MNIST,
    "fashion-mnist": "MIT (Xiao, Rasul, Vollgraf 2017, Fashion-MNIST)",
    "cifar10": _CIFAR,
    "cifar100": _CIFAR,
    "nmnist": _NMNIST,
    "mnist-pairs": f"{_MNIST}; {_NMNIST}",
    "mnist-pairs-pictures": _MNIST,
    "mnist-pairs-recordings": _NMNIST,
    "cifar10-dvs": "CC BY 4.0 (Li, Liu, Ji, Li, Shi 2017, CIFAR10-DVS)",
    "dvs-gesture": "CC BY 4.0 (Amir et al. 2017, DVS128 Gesture)",
    "npz": NOT_STATED,
    "aedat": NOT_STATED,
}
"""By kind of a data SPEC."""
