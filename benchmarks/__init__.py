"""Measurements, never tests: ratios of medians, side by side in one run."""
