"""Triples in, questions out."""
