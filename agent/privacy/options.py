"""What the configuration says about privacy, and about the place where the agent works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONTEXTS: Final = ("personal", "kiosk", "care", "research", "workplace", "education")

NO_AFFECT: Final = frozenset({"workplace", "education"})
"""Contexts in which feelings may not be inferred from faces and voices: Regulation (EU) 2024/1689, Article 5(1)(f)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOptions:
    """Where the agent works.

    Attributes:
        context: one of :data:`CONTEXTS`; empty is ``personal``, and enough only where nobody but this machine can
            come in. In ``workplace`` and ``education`` nothing infers feelings from faces and voices.
        operator: name of whoever runs it, as the agent says it when somebody asks; empty: "whoever runs me".

    Raises:
        ValueError: there is no such context; the message names those that there are.
    """

    context: str = ""
    operator: str = ""

    def __post_init__(self) -> None:
        if self.context and self.context not in CONTEXTS:
            known = ", ".join(CONTEXTS)
            raise ValueError(f"deployment.context is {self.context!r}, expected one of {known}")

    @property
    def affect(self) -> bool:
        """Whether feelings may be inferred from faces and voices."""
        return self.context not in NO_AFFECT


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyOptions:
    """What is kept, and for how long.

    Attributes:
        directory: folder of the consent ledger; empty: ``rapport`` in the user's state folder.
        keep_words_days: days after which words and looks leave the journals; the rest of them stays.
        keep_journals_days: days after which a journal is deleted.
        keep_ledger_days: days after which what was agreed to is deleted.
        notice: address of the privacy notice, shown before anybody agrees.

    Raises:
        ValueError: a time is negative, or the notice is no address.
    """

    directory: str = ""
    keep_words_days: int = 1
    keep_journals_days: int = 30
    keep_ledger_days: int = 1095
    notice: str = ""

    def __post_init__(self) -> None:
        for name in ("keep_words_days", "keep_journals_days", "keep_ledger_days"):
            if getattr(self, name) < 0:
                raise ValueError(f"privacy.{name} is {getattr(self, name)}, expected 0 or more days")
        if self.notice and not self.notice.startswith(("https://", "http://")):
            raise ValueError(f"privacy.notice is {self.notice!r}, expected an https:// (or http://) address")
