"""One model, one batch: sampling under a grammar, likelihoods, rankings."""
