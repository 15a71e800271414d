"""``fastlogit bench list``: what can be measured here, and what is missing and why."""

from fastlogit.cli.ending import consoles


def bench_list() -> None:
    """List models, data sets and implementations."""
    out, _ = consoles()
    out.print("models (-m)")
    from fastlogit import datasets
    from fastlogit.benchmark.cases import ESTIMATORS, TINY_ELEMENTS
    from fastlogit.benchmark.implementations import IMPLEMENTATIONS
    from fastlogit.models import MODELS

    for name, model in MODELS.items():
        classes = "two classes" if model.binary else "any number of classes"
        out.print(f"  {name:<26} {classes}, {'one' if model.has_hidden else 'no'} hidden layer")
    out.print("estimators, measured with the models of as many layers")
    for name, solvers in ESTIMATORS.items():
        out.print(f"  {name:<26} solvers {', '.join(solvers)}")
    out.print("data sets (-d)")
    for name in datasets.TOY_SETS:
        data = datasets.load(name)
        (n, d), note = data.X.shape, ", tiny" if data.X.size < TINY_ELEMENTS else ""
        out.print(f"  {name:<26} {n} rows, {d} features, {data.n_classes} classes{note}")
    out.print(f"  {datasets.GENERATED:<26} generated: n rows, d features, k classes")
    out.print("implementations (-i), and the questions that they take part in")
    for name in dict.fromkeys(each.name for each in IMPLEMENTATIONS):
        same = [each for each in IMPLEMENTATIONS if each.name == name]
        missing = same[0].missing()
        state = f"version {same[0].version()}" if missing is None else f"missing: {missing}"
        questions = ", ".join(each.comparison for each in same)
        out.print(f"  {name:<26} {questions}; {state}", soft_wrap=True)
