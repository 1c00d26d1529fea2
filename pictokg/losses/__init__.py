"""Losses: how wrong the scores of an answer and of its negatives are. One file a loss; its file name is its name."""
