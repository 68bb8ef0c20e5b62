"""Reading a table of a data file field by field, with errors that name file, entry and field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Fields:
    """One table, and where it stands. A kind of file is a subclass with its own error and whatever else it holds.

    Args:
        value: what stands there.
        where: file and entry, for errors.

    Raises:
        ValueError: it is no table; of the kind that :attr:`fault` names, as all errors here.
    """

    fault: ClassVar[type[ValueError]] = ValueError
    shape: ClassVar[str] = "table"

    def __init__(self, value: Any, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise self.fault(f"{where}: is no {self.shape}")
        self.value: Mapping[str, Any] = value

    def error(self, field: str, what: str) -> ValueError:
        """Return the error that ``field`` ``what``."""
        return self.fault(f"{self.where}: {field} {what}")

    def only(self, *known: str) -> None:
        """Refuse every field that is not ``known``."""
        for key in self.value:
            if key not in known:
                raise self.error(key, f"is not a field; known are {', '.join(known)}")

    def text(self, field: str) -> str:
        """Return a text that is not blank."""
        found = self.value.get(field)
        if not isinstance(found, str) or not found.strip():
            raise self.error(field, f"is {found!r}, expected a text")
        return found

    def name(self, field: str, known: Sequence[str]) -> str:
        """Return a text that is one of ``known``."""
        found = self.text(field)
        if found not in known:
            raise self.error(field, f"is {found!r}, expected one of {', '.join(known)}")
        return found
