"""Hostile models that are named one by one: `spec/hostile.yaml` has what is said of each."""

from tests.registry import hostile_bytes, hostile_graphs, hostile_old, hostile_tables

CASES = hostile_bytes.CASES | hostile_graphs.CASES | hostile_tables.CASES | hostile_old.CASES
