"""``fastlogit bench list``: what can be measured here, and what is missing and why."""

from __future__ import annotations

from rich.console import Console

__all__ = ["bench_list"]


def bench_list() -> None:
    """List models, data sets and implementations, and what is missing here and why."""
    out = Console(highlight=False, soft_wrap=True)
    out.print("models")
    from fastlogit import datasets
    from fastlogit.benchmark.cases import TINY_ELEMENTS
    from fastlogit.benchmark.contenders import CONTENDERS
    from fastlogit.models import MODELS

    for name, model in MODELS.items():
        classes = "two classes" if model.binary else "any number of classes"
        hidden = "one hidden layer" if model.has_hidden else "no hidden layer"
        out.print(f"  {name:<27} {classes}, {hidden}")
    out.print("data sets")
    for name in datasets.TOY_SETS:
        data = datasets.load(name)
        n, d = data.X.shape
        note = ", tiny" if data.X.size < TINY_ELEMENTS else ""
        out.print(f"  {name:<27} {n} rows, {d} features, {data.n_classes} classes{note}")
    out.print(f"  {datasets.GENERATED:<27} n rows, d features, k classes", markup=False)
    out.print("implementations")
    for name, kind in CONTENDERS.items():
        missing = kind.missing()
        state = f"present, {kind.version()}" if missing is None else f"missing: {missing}"
        out.print(f"  {name:<27} {kind.division}, {state}", markup=False)
