"""Samplers: wrong answers to learn from. One file a sampler; its file name is its name."""
