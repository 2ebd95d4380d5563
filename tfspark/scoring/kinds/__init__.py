"""What is scored: one model, several side by side, or a model for each segment."""
