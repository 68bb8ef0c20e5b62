"""What the configuration says about privacy, and about the place where the agent works."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.consent import APART
from agent.sense_map import GROUPS, SHIPPED

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


TAKEN: Final = frozenset(SHIPPED) | APART | GROUPS
"""Names that the page knows by itself."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def taken() -> str:
    """Return the names that the page knows by itself, to be told."""
    return ", ".join(sorted(TAKEN))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyOptions:
    """What is kept, and for how long.

    Attributes:
        directory: folder of the consent ledger; empty: ``rapport`` in the user's state folder.
        keep_words_days: days after which words and looks leave the journals; the rest of them stays.
        keep_journals_days: days after which a journal is deleted.
        keep_ledger_days: days after which what was agreed to is deleted.
        notice: address of the privacy notice, shown before anybody agrees.
        senses: what the page says of senses of one's own, by the name of the sense: ``title``, and ``what`` it notices.
            Nobody can allow in the page what is not described here.

    Raises:
        ValueError: a time is negative, the notice is no address, or a sense is not described in words.
    """

    directory: str = ""
    keep_words_days: int = 1
    keep_journals_days: int = 30
    keep_ledger_days: int = 1095
    notice: str = ""
    senses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("keep_words_days", "keep_journals_days", "keep_ledger_days"):
            if getattr(self, name) < 0:
                raise ValueError(f"privacy.{name} is {getattr(self, name)}, expected 0 or more days")
        if self.notice and not self.notice.startswith(("https://", "http://")):
            raise ValueError(f"privacy.notice is {self.notice!r}, expected an https:// (or http://) address")
        for sense, told in self.senses.items():
            where = f"privacy.senses.{sense}"
            if not _NAME.fullmatch(sense) or sense in TAKEN:
                raise ValueError(f"{where}: describe senses of your own; the page has words of its own for {taken()}")
            if not isinstance(told, dict) or set(told) != {"title", "what"}:
                raise ValueError(f'{where} needs title = "..." and what = "...", and nothing else')
            for key, most in (("title", 40), ("what", 200)):
                if not isinstance(told[key], str) or not 0 < len(told[key].strip()) <= most:
                    raise ValueError(f"{where}.{key} is {told[key]!r}, expected 1 to {most} characters")
