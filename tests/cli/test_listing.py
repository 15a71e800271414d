"""``fastlogit bench list``."""

from fastlogit.benchmark.cases import ESTIMATORS
from fastlogit.benchmark.implementations import IMPLEMENTATIONS
from fastlogit.models import MODELS


def test_list_names_everything(call, monkeypatch):
    torch = next(each for each in IMPLEMENTATIONS if each.name == "torch")
    monkeypatch.setattr(torch, "module", "a_module_that_nobody_has")
    code, out, _ = call("bench", "list")
    assert code == 0
    names = [each.name for each in IMPLEMENTATIONS]
    for name in (*MODELS, *ESTIMATORS, "iris", "blobs", "classification-<n>x<d>x<k>", *names):
        assert f"  {name} " in out
    assert "same-estimator, same-steps; version" in out
    missing = "missing: the module a_module_that_nobody_has is not installed"
    assert f"{missing}; install it with: {torch.install}" in out
