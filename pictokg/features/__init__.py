"""Pictures, words and numbers in, rows aligned with entities out."""
