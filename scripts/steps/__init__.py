"""The steps of scripts/setup.py and scripts/package.py, one job each."""
