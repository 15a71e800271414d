"""``fastlogit info``."""


def test_info_describes_the_machine(call):
    code, out, _ = call("info")
    assert code == 0
    for word in ("numba", "processor", "SIMD", "cores", "thread pool", "kernel cache"):
        assert f"\n{word} " in out
