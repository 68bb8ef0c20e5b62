"""What people say, type, hold into the camera or are called, made into data that a prompt cannot be broken out of.

Whatever reaches a model as text goes through one of these: :func:`quoted` where it stands inside a line of the context,
:func:`named` where a sense names something in it, :func:`unmarked` where it stands alone, as the words of the person in
a message of theirs. Questions of whoever runs the call are instructions and lose only the markers of the templates in
use (:func:`unopened`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MOST_NAMED: Final = 40
"""Characters of what a sense names."""

_JOINERS: Final = frozenset("\u200c\u200d")
_ANGLES: Final = str.maketrans({"\uff1c": "<", "\ufe64": "<", "\uff1e": ">", "\ufe65": ">"})
"""Wide and small forms of angle brackets, which some tokenizers fold into the plain ones."""

_OPENS: Final = re.compile(r"<(?=[|/!?_\uff5c\w])")
_CLOSES: Final = re.compile(r"(?<=[|/!?_\uff5c\w])>")
_INSIDE: Final = str.maketrans(
    {'"': "'", "[": "(", "]": ")"}
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u301d\u301e\uff02", "'")
    | dict.fromkeys("\uff3b\u3010\u27e6", "(")
    | dict.fromkeys("\uff3d\u3011\u27e7", ")")
)


def quoted(text: str) -> str:
    """Return ``text`` as one line of user data that nothing in it can leave.

    There are no line breaks, no markers of a chat template, no quotation marks but those around it, and no brackets,
    which the lines of the context begin with.
    """
    return '"' + " ".join(unmarked(text).split()).translate(_INSIDE) + '"'


def named(text: str) -> str:
    """Return what a sense named, which may be a name or a writing that it read: short, no brackets, no quotes."""
    return " ".join(unmarked(text[: 4 * MOST_NAMED]).split()).translate(_INSIDE)[:MOST_NAMED]


def unmarked(text: str) -> str:
    """Return ``text`` without the markers of any chat template, and without characters that nobody sees.

    A marker is taken apart by a space (``< |im_end| >``, ``< /s >``, ``< think >``), so that no tokenizer takes it for
    one. Invisible are format characters, which can carry whole sentences to a model (Unicode tags) or turn the order
    of what is read; joiners stay, for some scripts are not written without them.
    """
    seen = text
    if not text.isascii():
        seen = "".join(c for c in text if c in _JOINERS or unicodedata.category(c) != "Cf").translate(_ANGLES)
    return _CLOSES.sub(" >", _OPENS.sub("< ", seen))


def unopened(text: str) -> str:
    """Return a question of whoever runs the call without markers that open or close a message."""
    return text.replace("<|", "< |").replace("|>", "| >")
