"""How true a triple looks: one scoring function a file; the file name is its name."""
