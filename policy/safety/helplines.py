"""Who can help in danger, by country, from ``policy/data/resources.toml``; what is wrong in the file is named."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from policy.safety.detector import KINDS
from policy.words import load_table

EVERYWHERE: Final = "international"
"""The entry for where the country is not known."""

_FILE: Final = "policy/data/resources.toml"
_NUMBER: Final = re.compile(r"^\+?[\d][\d -]*$")
_DIGITS: Final = re.compile(r"\b\d(?:,? \d)+\b")
_KEYS: Final = frozenset({"name", "for", "number", "text", "url", "hours", "note"})
_FIELDS: Final = frozenset({"name", "emergency", "emergency_spoken", "help_spoken", "contact"})


class ResourceError(ValueError):
    """The file breaks its schema; the message names file, entry and field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody to turn to; at least one of ``number``, ``text`` and ``url`` is there."""

    name: str
    kinds: frozenset[str]
    number: str = ""
    text: str = ""
    url: str = ""
    hours: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """The help of one country.

    Attributes:
        code: two letters, or :data:`EVERYWHERE`.
        name: in English.
        emergency: the number to call when it is urgent.
        emergency_spoken: the same as it is said.
        help_spoken: what is said where no contact with a number fits; ``""`` for a word of the emergency number.
        contacts: in the order of the file.
    """

    code: str
    name: str
    emergency: str
    emergency_spoken: str
    help_spoken: str
    contacts: tuple[Contact, ...]

    def help(self, kind: str) -> tuple[Contact, ...]:
        """Return who can help with a danger, the emergency number first where every minute counts."""
        urgent = Contact(name="Emergency", kinds=frozenset(KINDS), number=self.emergency)
        found = tuple(c for c in self.contacts if kind in c.kinds)
        if self.code == EVERYWHERE:
            return found
        return (urgent, *found) if kind in ("medical", "harm_others") else (*found, urgent)


def countries() -> tuple[str, ...]:
    """Return the codes of all countries that there are, sorted."""
    return tuple(sorted(code for code in _table() if code != EVERYWHERE))


def country(code: str = "") -> Country:
    """Return the help of a country; what is there everywhere for ``""``.

    Raises:
        KeyError: there is no such country.
    """
    return _table()[code or EVERYWHERE]


def speaks_english(code: str) -> bool:
    """Tell whether English is what most people of a country would say danger in; unknown countries count."""
    return not code or code in _ENGLISH


ONLY_ENGLISH: Final = (
    "hints of danger are found in English alone, and plain danger in the languages of docs/empathy.md; "
    "have somebody near who speaks the language of the place"
)

_ENGLISH: Final = frozenset({"AU", "CA", "GB", "IE", "IN", "NZ", "US", "ZA"})


def reviewed() -> datetime.date:
    """Return the day on which the file was last looked through."""
    found = load_table("resources").get("reviewed")
    if not isinstance(found, datetime.date):
        raise ResourceError(f"{_FILE}: reviewed is {found!r}, expected a date such as 2026-01-31")
    return found


@cache
def _table() -> Mapping[str, Country]:
    reviewed()
    return read(load_table("resources"))


def read(table: Mapping[str, Any]) -> Mapping[str, Country]:
    """Read all countries of the file.

    Raises:
        ResourceError: it breaks the schema.
    """
    found = {k: parse(k, entry) for k, entry in table.items() if k != "reviewed"}
    if EVERYWHERE not in found:
        raise ResourceError(f"{_FILE}: [{EVERYWHERE}] is missing")
    return found


def parse(code: str, entry: Mapping[str, Any]) -> Country:
    """Read one country.

    Raises:
        ResourceError: it breaks the schema.
    """
    where = f"{_FILE}: [{code}]"
    if code != EVERYWHERE and not re.fullmatch("[A-Z]{2}", code):
        raise ResourceError(f"{where}: a country is two capital letters")
    if not isinstance(entry, Mapping):
        raise ResourceError(f"{where}: is {entry!r}, expected a table")
    for key in entry:
        if key not in _FIELDS:
            raise ResourceError(f"{where}: unknown field {key}")
    listed = entry.get("contact", [])
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise ResourceError(f"{where}: contact is {listed!r}, expected [[{code}.contact]] tables")
    contacts = tuple(_contact(f"{where} contact {n}", each) for n, each in enumerate(listed, 1))
    for kind in ("self_harm", "abuse"):
        if code == EVERYWHERE and not any(kind in c.kinds for c in contacts):
            raise ResourceError(f"{where}: nobody is there for {kind}")
    emergency = _string(entry, "emergency", where)
    if not _NUMBER.match(emergency):
        raise ResourceError(f"{where}: emergency is {emergency!r}, expected digits")
    return Country(
        code=code,
        name=_string(entry, "name", where),
        emergency=emergency,
        emergency_spoken=_string(entry, "emergency_spoken", where) if "emergency_spoken" in entry else said(emergency),
        help_spoken=_string(entry, "help_spoken", where) if "help_spoken" in entry else "",
        contacts=contacts,
    )


def _contact(where: str, entry: Mapping[str, Any]) -> Contact:
    for key in entry:
        if key not in _KEYS:
            raise ResourceError(f"{where}: unknown field {key}")
    given = entry.get("for")
    if not isinstance(given, list) or not given or not all(kind in KINDS for kind in given):
        raise ResourceError(f"{where}: for is {given!r}, expected some of {', '.join(KINDS)}")
    for key in ("number", "text"):
        if key in entry and not _NUMBER.match(str(entry[key])):
            raise ResourceError(f"{where}: {key} is {entry[key]!r}, expected digits, blanks and hyphens")
    if not any(entry.get(key) for key in ("number", "text", "url")):
        raise ResourceError(f"{where}: number, text or url is needed")
    more = {key: _string(entry, key, where) for key in ("number", "text", "url", "hours", "note") if key in entry}
    return Contact(name=_string(entry, "name", where), kinds=frozenset(given), **more)


def _string(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ResourceError(f"{where}: {key} is {value!r}, expected text")
    return value


def written(text: str) -> str:
    """Return a reply as it is read: numbers and addresses of helplines that it says are put as one writes them.

    ``You can call 9 8 8`` becomes ``You can call 988``; other digits stay as they are.
    """
    numbers, sites = _known()
    text = _DIGITS.sub(lambda m: numbers.get(m.group(), m.group()), text)
    return (
        sites.sub(lambda m: re.sub(r"\s+dot\s+", ".", m.group()).replace(" ", ""), text) if sites is not None else text
    )


@cache
def _known() -> tuple[Mapping[str, str], re.Pattern[str] | None]:
    """Return all numbers by how they are said, and a pattern of all hosts as they are said."""
    contacts = [contact for country in _table().values() for contact in country.contacts]
    numbers = {country.emergency for country in _table().values()}
    numbers.update(number for contact in contacts for number in (contact.number, contact.text) if number)
    hosts = {host for contact in contacts if (host := urlsplit(contact.url).hostname)}
    spelled = [r"\s+dot\s+".join(r"\s?".join(part) for part in host.removeprefix("www.").split(".")) for host in hosts]
    pattern = re.compile(rf"\b(?:{'|'.join(sorted(spelled, key=len, reverse=True))})\b", re.IGNORECASE)
    return {said(number): number for number in numbers}, pattern if spelled else None


def said(number: str) -> str:
    """Return a number as it is said, digit by digit: ``116 123`` as ``1 1 6, 1 2 3``."""
    groups = re.split(r"[ -]+", number.lstrip("+"))
    return ", ".join(" ".join(group) for group in groups)
