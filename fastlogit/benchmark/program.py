"""The program of the advice: it reads a user's file, trains, and prints the test accuracy.

The advice runs the very lines that it prints, so that what it promises is what they reach.
"""

import re
from typing import Any

from fastlogit.benchmark.data_file import DataFile
from fastlogit.benchmark.data_file.formats import kind_of, query, read_arrays
from fastlogit.benchmark.data_file.loading import numeric

# The benchmark's own division, so that the test rows are the same.
_SPLIT = """
from sklearn.model_selection import train_test_split
split = train_test_split(X, y, test_size={n_test}, random_state=0, stratify=y)
X_train, X_test, y_train, y_test = split
"""
_NUMBERS = """
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
imputer = SimpleImputer(add_indicator=True, keep_empty_features=True)
model = make_pipeline({first}imputer, StandardScaler(), {call})
"""
# Of two values skrub keeps one column, and scikit-learn then warns of any third one.
_MIXED = """
from skrub import tabular_pipeline
model = tabular_pipeline({call})
# No warning for values not seen in training, and texts encoded alike in every run.
model.set_params(
    tablevectorizer__low_cardinality__drop=None, tablevectorizer__high_cardinality__random_state=0
)
"""
_MANY_COLUMNS = 1000  # for which skrub takes seconds, even if they are numbers
_WIDE = """
from sklearn.compose import make_column_selector, make_column_transformer
from skrub import StringEncoder, TableVectorizer
texts = TableVectorizer(high_cardinality=StringEncoder(random_state=0))
texts.set_params(low_cardinality__drop=None)  # no warning for values not seen in training
no_numbers = make_column_selector(dtype_exclude="number")
encoder = make_column_transformer((texts, no_numbers), remainder="passthrough")
"""
FIT = """\
model.fit(X_train, y_train)
print(f"Test accuracy: {100 * model.score(X_test, y_test):.1f} %")
"""


def assemble(*parts: str) -> str:
    """Return the source text of a program of several parts, its imports first."""
    lines = "".join(parts).splitlines()
    imports = {line for line in lines if line.startswith(("import ", "from "))}
    ordered = sorted(imports, key=lambda line: (line.startswith("from"), line))
    return "\n".join([*ordered, "", *(line for line in lines if line not in imports), ""])


def spelled(name: str, arguments: dict[str, Any]) -> str:
    """Return a call, such as ``"LogisticRegression(C=0.1)"``."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def reading(file: DataFile, path: str) -> str:
    """Return what makes X_train, X_test, y_train and y_test of a file that lies at a path."""
    kind, arguments, target = kind_of(file.path), dict(file.arguments), file.target
    lines = [f"# To be run in the folder of {file.path.name!r}."]
    if kind == "csv":
        words = "".join(f", {key}={value!r}" for key, value in arguments.items())
        prefix = ".add_prefix('column')" if "header" in arguments else ""
        lines += ["import pandas as pd", f"X = pd.read_csv({path!r}{words}){prefix}"]
    elif kind == "parquet":
        sample, lines = arguments.get("sample"), [*lines, "import duckdb"]
        if sample:
            lines += ["duckdb.sql('SET threads = 1')  # for the same rows in every run"]
        lines += [f"X = duckdb.sql({query(path, sample)!r}).df()"]
    elif kind == "svm":
        lines += ["from sklearn.datasets import load_svmlight_file"]
        lines += [f"X, y = load_svmlight_file({path!r})", "X = X.toarray()"]
    else:
        X, y = read_arrays(file.path, target)
        lines += ["import numpy as np", f"with np.load({path!r}) as arrays:"]
        lines += [f"    X, y = arrays[{X!r}], arrays[{y!r}]"]
    if kind in ("svm", "npz"):
        lines += ["import pandas as pd", "X = pd.DataFrame(X).add_prefix('column')"]
        lines += [f"X[{target!r}] = y"]
    lines += [f"X = X.dropna(subset=[{target!r}])"]
    if file.drop_single:
        lines += [f"X = X[X.groupby({target!r})[{target!r}].transform('size') > 1]"]
    lines += [f"y = X.pop({target!r}).astype({file.target_dtype!r}).to_numpy()"]
    if file.left_out:
        lines += [f"X = X.drop(columns={[*file.left_out]!r})"]
    if names := [*file.as_numbers]:
        mark = re.escape(arguments.get("decimal", "."))
        lines += [f"numbers = X[{names!r}].replace({mark!r}, '.', regex=True).astype(float)"]
        lines += ["X = X.assign(**numbers)"]
    return "\n".join(lines) + _SPLIT.format(n_test=file.n_test)


def pipeline(name: str, arguments: dict[str, Any], X: Any) -> str:
    """Return what makes `model`, a pipeline that suits the columns of X."""
    if numeric(X).all():
        text = _NUMBERS.replace("{first}", "")
    elif X.shape[1] > _MANY_COLUMNS:
        text = _WIDE + _NUMBERS.replace("{first}", "encoder, ")
    else:
        text = _MIXED
    return f"from fastlogit import {name}" + text.replace("{call}", spelled(name, arguments))
