"""Training: one loop for every model, sampler and loss."""
