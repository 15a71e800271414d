import math

import numpy as np
import pytest

from fastlogit.benchmark.implementations.rules import ADAM, adam_rates
from fastlogit.functional import train


def test_the_settings_are_the_defaults_of_train():
    defaults = train.__kwdefaults__
    assert ADAM._asdict() == {name: defaults[name] for name in ADAM._fields}


def test_the_rates_follow_the_formula():
    rates = adam_rates(0.01, 500)
    assert rates.dtype == np.float64
    for t in (1, 2, 500):
        expected = 0.01 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        assert rates[t - 1] == pytest.approx(expected, rel=1e-14)
