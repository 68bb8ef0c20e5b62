"""Qwen2.5-Omni in a call: a checkpoint, what it reads, and a key/value cache that grows while the person speaks."""
