"""README's picture and figures, drawn from a run, and its table of what the kernels support."""

import re

from fastlogit.benchmark.report import answers, charts
from fastlogit.benchmark.storage import StoredRun
from fastlogit.support import support_table

PICTURE = "speedup.svg"
_MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_SUPPORT = re.compile(r"(<!-- support -->\n).*?(<!-- end of support -->)", re.DOTALL)


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
