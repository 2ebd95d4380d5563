"""Plans: the ways by which rows reach the model and scores come back."""
