"""How good a model is: the ranks of the answers, and whether triples are called true or false rightly."""
