"""From a table nobody has described to a contract and a recipe: `tfspark init`."""
