"""What is wrong with a data folder: duplicates, leaks, unseen names, missing and broken pictures."""
