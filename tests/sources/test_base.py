"""Partitions' sizes, and how they are read ahead."""

import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

import fastlogit
from fastlogit.sources.base import cut_rows, default_partition_rows, read_ahead


def test_partitions_take_a_few_megabytes():
    assert default_partition_rows(30, np.float32) == 65_536
    assert default_partition_rows(30, np.float64) == 32_768
    assert default_partition_rows(10**7, np.float64) == 256
    assert default_partition_rows(50_000, np.float64, row_bytes=1000) == 8192


def test_rows_are_cut_into_equal_parts_and_a_rest():
    assert cut_rows(5, 2) == [range(2), range(2, 4), range(4, 5)]
    assert cut_rows(4, 2) == [range(2), range(2, 4)]


def test_a_source_is_no_array_of_one_object():
    source = fastlogit.scan(np.ones((4, 2)))
    for make_array in (np.asarray, StandardScaler().fit, pd.DataFrame):
        with pytest.raises(TypeError, match=r"of 4 rows x 2 features.* is no array"):
            make_array(source)
    with pytest.raises(TypeError, match=r"cross-validation, .* do not: load its rows, or a sample"):
        cross_val_score(fastlogit.LogisticRegression(), source)


def test_another_thread_makes_a_few_items_ahead():
    made, threads = [], set()

    def items():
        for number in range(10):
            made.append(number)
            threads.add(threading.current_thread())
            yield number

    ahead = read_ahead(items())
    assert next(ahead) == 0
    ahead.close()
    assert len(made) <= 4
    assert threading.current_thread() not in threads


def test_an_error_in_the_thread_reaches_the_reader():
    def items():
        yield 1
        raise OSError("the disk is gone")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)
