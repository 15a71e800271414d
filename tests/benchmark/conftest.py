"""The smallest case worth measuring, and implementations by their names."""

import misbehaving
import pytest
from small_cases import estimator_case, training_case

from fastlogit.benchmark.implementations import IMPLEMENTATIONS, Implementation


@pytest.fixture
def small_case():
    return training_case("softmax", "iris", epochs=2)


@pytest.fixture
def fit_case():
    return estimator_case()


@pytest.fixture
def kinds():
    """Implementations by their names, those that misbehave among them."""

    def find(*names, comparison="same-steps"):
        wrong = [
            each for each in vars(misbehaving).values()
            if isinstance(each, type) and issubclass(each, Implementation) and hasattr(each, "name")
        ]  # fmt: skip
        known = {each.name: each for each in wrong}
        others = [each for each in IMPLEMENTATIONS if each.comparison != "same-estimator"]
        same = [each for each in IMPLEMENTATIONS if each.comparison == comparison]
        known |= {each.name: each for each in [*others, *same]}
        return [known[name] for name in names]

    return find
