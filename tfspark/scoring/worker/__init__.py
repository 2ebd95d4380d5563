"""What runs in the process that scores."""
