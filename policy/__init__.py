"""THINK: what is known in, decisions out. Imports perception only."""
