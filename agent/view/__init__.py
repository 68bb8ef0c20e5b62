"""``agent view``: the journal of a call as one HTML page to look into, or two of them beside each other."""

from __future__ import annotations


class ViewError(Exception):
    """A journal cannot be shown; the message names the file and the fix."""
