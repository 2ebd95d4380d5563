"""Days of Delta tables made of files that tasks wrote: one commit, made by deltalake."""
