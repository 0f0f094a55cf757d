"""The parts of `benchmarks/gpu.py`: functions of a `Session`, which write rows as they go."""
