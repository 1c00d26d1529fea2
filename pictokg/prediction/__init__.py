"""Prediction: questions by name, answers by name."""
