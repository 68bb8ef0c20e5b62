"""SENSE: media in, percepts out. Synchronous; imports no asyncio, no clock, and nothing of agent or policy."""

import perception.offline  # noqa: F401  before any library that could report
