"""Benchmarks: each runs ours and something well known beside it, in turns on the same machine, and reports ratios. Called by scripts/bench."""
