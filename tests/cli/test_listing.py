"""``fastlogit bench list``."""

from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.models import MODELS


def test_list_names_everything(call, absent):
    code, out, _ = call("bench", "list")
    assert code == 0
    for name in (*MODELS, "iris", "blobs", "classification-<n>x<d>x<k>", *CONTENDERS):
        assert name in out
    assert "closed, present" in out
    assert "missing: the module a_module_that_nobody_has is not installed; install it with" in out
