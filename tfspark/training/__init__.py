"""Dataset → model version: `tfspark.training.train.train`. Ranks import this; so it is light."""
