"""The HTML representation names the package and links to the documentation of the class."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlogit.support import CLASSES

ROOT = Path(__file__).parents[2]
URL = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of LogisticRegressionCV's defaults
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("fitted", [False, True])
def test_names_the_package_and_links_to_the_class(name, fitted):
    estimator = CLASSES[name](max_iter=1000, tol=0.1)
    if fitted:
        estimator.fit(np.tile(np.eye(4), (5, 1)), np.tile([0, 1], 10))
    nested = make_pipeline(StandardScaler(), GridSearchCV(estimator, {}))
    for shown in (estimator, make_pipeline(StandardScaler(), estimator), nested):
        html = shown._repr_html_()
        assert html.count('<div class="caption">fastlogit</div>') == 1
        [file] = set(re.findall(rf'href="{URL}/blob/main/([^"#]*)["#]', html))
        assert f"class {name}(" in (ROOT / file).read_text()
        assert f"Documentation for {name}<" in html


def test_other_estimators_are_shown_as_ever():
    html = make_pipeline(RidgeClassifier())._repr_html_()
    assert "fastlogit" not in html
