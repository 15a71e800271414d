"""How kernels are compiled: SIMD, register tiles, linking, the cache."""
