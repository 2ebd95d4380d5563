"""The parts of `bench/scoring.py`."""
