"""README's picture and figures, drawn from a run, and its table of what the kernels support."""

import re
from collections.abc import Iterator
from typing import Any

from fastlogit.benchmark.report import answers, charts
from fastlogit.benchmark.storage import StoredRun
from fastlogit.support import CLASSES, supports

PICTURE = "speedup.svg"
_MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_SUPPORT = re.compile(r"(<!-- support -->\n).*?(<!-- end of support -->)", re.DOTALL)
# What a row of the table of support is about: a class, and arguments by the words for them.
_ARGUMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "LogisticRegression": {
        "L2 penalty": {},
        "no penalty (`C=inf`)": {"C": float("inf")},
        "L1 (`l1_ratio=1`)": {"l1_ratio": 1},
        "elastic net": {"l1_ratio": 0.5},
        "`dual=True`": {"dual": True},
    },
    "MLPClassifier": {
        **{f"`{name}`": {"activation": name} for name in ("relu", "tanh", "logistic", "identity")},
        "several hidden layers": {"hidden_layer_sizes": (2, 2), "activation": "logistic"},
    },
}


def update(run: StoredRun, readme_text: str) -> str:
    """Return a README with the picture and the figures of a run between its marks.

    These are the lines ``<!-- table: ADDRESS -->``, of the run's directory, and ``<!-- end of table
    -->``. ValueError without them, or if the run is not complete or lacks the same estimator. The
    table of what the kernels support is written too, where there are marks for it.
    """
    table = support_table()
    readme_text = _SUPPORT.sub(lambda it: f"{it[1]}{table}\n{it[2]}", readme_text)
    if len(found := _MARKED.findall(readme_text)) != 1:
        marks = "'<!-- table: ADDRESS OF THE RUN -->' and '<!-- end of table -->'"
        raise ValueError(f"the README needs one pair of lines {marks}, to be written between")
    pairs = answers.pair_up(run)
    estimators = answers.cards(pairs, "same-estimator")
    if run.facts.get("status") != "complete" or not estimators:
        raise ValueError(f"{run.directory} is no complete run of fastlogit against scikit-learn")
    lines = [f"![fastlogit against scikit-learn]({found[0][1]}/{PICTURE})", ""]
    lines += ["| | fastlogit | scikit-learn | fastlogit is |", "|---|---:|---:|---|"]
    for model, cards in estimators.items():
        for card in cards:
            figures = f"{card['ours']} | {card['theirs']} | {card['words']}"
            lines.append(f"| {model}: {card['title']} | {figures} |")
    names = {"same-steps": "Same mini-batch steps", "any-algorithm": "Same loss by any solver"}
    for question, name in names.items():
        for cards in answers.cards(pairs, question).values():
            words = [(card.get("words", card["head"]), card["title"]) for card in cards]
            than = (f"{word} than {title.removeprefix('against ')}" for word, title in words)
            lines += ["", f"{name}: fastlogit is {', '.join(than)}."]
    return _MARKED.sub(lambda it: "\n".join([it[1] + lines[0], *lines[1:], it[3]]), readme_text)


def support_table() -> str:
    """Return the solvers whose fits the kernels run, for what the code decides by, in Markdown."""
    lines = ["| | | solvers, dense and sparse `X` |", "|---|---|---|"]
    for name, arguments in _ARGUMENTS.items():
        rows: dict[str, list[str]] = {}
        for words, given in arguments.items():
            rows.setdefault(_supported(name, given), []).append(words)
        for solvers, together in rows.items():
            lines.append(f"| `{name}` | {', '.join(together)} | {solvers} |")
    return "\n".join(lines)


def _supported(name: str, arguments: dict[str, Any]) -> str:
    """Return the solvers that the kernels support with these arguments, "all" or "none"."""
    known = sorted(set(_solvers(name)))
    runs = [solver for solver in known if _runs(CLASSES[name](solver=solver, **arguments))]
    return "all" if runs == known else ", ".join(f"`{solver}`" for solver in runs) or "none"


def _solvers(name: str) -> Iterator[str]:
    for constraint in CLASSES[name]._parameter_constraints["solver"]:
        yield from constraint.options


def _runs(estimator: Any) -> bool:
    try:
        return supports(estimator) is None
    except ValueError:  # arguments that no code runs
        return False


def picture(run: StoredRun) -> str:
    """Return an SVG picture of fastlogit against scikit-learn, for light and dark pages."""
    import vl_convert

    rows = [
        {"label": f"{model}.{card['task']}", "series": "fastlogit", "text": card["head"],
         "ratio": card["mean"].ratio, "low": card["mean"].low, "high": card["mean"].high}
        for model, cards in answers.cards(answers.pair_up(run), "same-estimator").items()
        for card in cards if card["task"] in ("fit", "predict_proba")
    ]  # fmt: skip
    spec = charts.speedups(rows, "scikit-learn, 95 % intervals", "")
    padding = {"left": 40, "right": 12, "top": 12, "bottom": 12}
    spec |= {"width": 640, "background": "var(--ground)", "padding": padding}
    svg = str(vl_convert.vegalite_to_svg(spec))
    return svg.replace(">", f"><style>{charts.css()}</style>", 1) + "\n"
