"""Training on a store: batches, the loop, checkpoints."""
