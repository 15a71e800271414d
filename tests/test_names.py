import pytest

from fastlogit.names import check_name


def test_a_known_name_passes():
    check_name("model", "softmax", ["logistic", "softmax"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("softmx", r"no model 'softmx' \(did you mean 'softmax'\?\); there are logistic, softmax"),
        ("SOFTMAX", r"no model 'SOFTMAX' \(did you mean 'softmax'\?\)"),
        ("tree", r"no model 'tree'; there are logistic, softmax"),
        (None, r"no model None; there are logistic, softmax"),
        (["softmax"], r"no model \['softmax'\] .*; there are logistic, softmax"),
    ],
)
def test_an_unknown_name_says_what_exists(name, message):
    with pytest.raises(ValueError, match=message):
        check_name("model", name, {"logistic": 1, "softmax": 2})


def test_of_many_names_the_first_are_listed():
    with pytest.raises(ValueError, match=r"there are g0, g1, .*, g29 and 20,501 more$"):
        check_name("column", "age", [f"g{i}" for i in range(20_531)])
