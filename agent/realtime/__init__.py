"""Clients that speak OpenAI's Realtime API: their events to our messages and back. docs/stock-clients.md has the whole
list of what is understood.

Everything here is a translation in front of a call that is like any other: ``session.py`` knows the settings,
``replies.py`` and ``heard.py`` tell of what is said by the agent and by the person, ``dialect.py`` reads and writes
events, ``spool.py`` paces sound that comes faster than it is spoken, ``pipe.py`` and ``desk.py`` carry it over a
WebSocket.
"""
