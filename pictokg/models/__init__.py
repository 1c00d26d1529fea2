"""Published models: fusion + scoring + their defaults + their paper. One file a model; its file name is its name."""
