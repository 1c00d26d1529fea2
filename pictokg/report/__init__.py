"""Results on one self-contained page: figures, plots and new facts with their pictures."""
