"""What a person agreed to, beside the senses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

RECORDING: Final = "recording"

PERSON: Final = "person"
APPLICATION: Final = "application"

_SAFE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed to, beside the senses.

    Attributes:
        version: of the text that was shown.
        locale: language in which it was shown, as ``en`` or ``de-AT``.
        recording: whether the words may be written down.
        by: ``person``, who was asked; or ``application``, which says that it has asked.
    """

    version: str = ""
    locale: str = ""
    recording: bool = False
    by: str = PERSON

    def __post_init__(self) -> None:
        # These two come from a client and are stored: nothing that somebody could say fits into them.
        for name in ("version", "locale"):
            if getattr(self, name) and not _SAFE.fullmatch(getattr(self, name)):
                object.__setattr__(self, name, "unreadable")
