"""Evaluation and gate."""
