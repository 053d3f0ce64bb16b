"""The benchmarks: what of them is pure."""
