"""Regularisers: what large vectors cost. One file each; its file name is its name."""
