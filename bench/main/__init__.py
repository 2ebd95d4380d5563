"""The main path: a raw table with a contract, prepared and scored."""
