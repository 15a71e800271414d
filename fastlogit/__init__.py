"""Logistic, softmax and one-hidden-layer models, trained at the speed of the hardware.

``from fastlogit import LogisticRegression, MLPClassifier`` gives scikit-learn's estimators on
jitted kernels; :func:`train`, :func:`loss_and_gradient` and :func:`predict_proba` are the four
models as functions of plain arrays. :func:`patch_sklearn` and ``python -m fastlogit script.py``
put the estimators in scikit-learn's place where imports stay as they are. Names are imported when
they are first used.
"""

import gc
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastlogit.estimators import (
        LogisticRegression,
        LogisticRegressionCV,
        MLPClassifier,
        to_onnx,
    )
    from fastlogit.functional import loss_and_gradient, predict_proba, train, warmup
    from fastlogit.patching import patch_sklearn, unpatch_sklearn
    from fastlogit.sources import scan
    from fastlogit.support import supports
    from fastlogit.training.trainer import DivergenceError, TrainResult

__version__ = "0.1.0"

__all__ = [
    "DivergenceError", "LogisticRegression", "LogisticRegressionCV", "MLPClassifier", "TrainResult",
    "loss_and_gradient", "patch_sklearn", "predict_proba", "scan", "supports", "to_onnx", "train",
    "unpatch_sklearn", "warmup",
]  # fmt: skip

_HOMES = {
    "estimators": {"LogisticRegression", "LogisticRegressionCV", "MLPClassifier", "to_onnx"},
    "patching": {"patch_sklearn", "unpatch_sklearn"},
    "sources": {"scan"},
    "support": {"supports"},
    "training.trainer": {"DivergenceError", "TrainResult"},
    "functional": {"loss_and_gradient", "predict_proba", "train", "warmup"},
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(_imported(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    if name == "dask":  # a package of its own, which needs Dask
        return _imported(f"{__name__}.dask")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _imported(module: str) -> Any:
    """Return a module, imported with the garbage collector paused: what it defines stays.

    The collector would look three times through all that scikit-learn's modules and ours define,
    for 0.1 to 0.2 s.
    """
    if not gc.isenabled():
        return importlib.import_module(module)
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        if gc.get_freeze_count() == 0:  # together they make what there is old, at no cost
            gc.freeze()
            gc.unfreeze()
        gc.enable()


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
