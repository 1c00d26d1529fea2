"""Datasets: a graph with its pictures, words and feature tables."""
