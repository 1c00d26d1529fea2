"""Answers over HTTP, and the page that asks for them; read-only, from runs that are loaded once."""
