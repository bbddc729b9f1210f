"""Learning from a store: batches, the loop, checkpoints."""
