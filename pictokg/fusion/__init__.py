"""Fusion: from what is known about an entity (its row, its pictures, its words) to its vector."""
