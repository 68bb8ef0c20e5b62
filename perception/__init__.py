"""SENSE: media in, percepts out. Synchronous; imports no asyncio, no clock, and nothing of agent or policy."""
