"""Preprocessing inside the graph: from a recipe, a contract and statistics to Keras tensors."""
