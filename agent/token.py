"""Who may come in: short-lived join tokens, signed with a key that only the operator has.

A token is ``r1.CLAIMS.SIGNATURE``: claims as compact JSON and the HMAC-SHA256 of ``r1.CLAIMS`` under the key, both in
base64url without padding. The claims are

==========  =========================================================================================
``nbf``     not valid before, seconds since 1970
``exp``     not valid from here on
``jti``     its name, random; a token opens one call and is then spent
``grants``  what the call may do: ``audio`` and ``video`` (send them), ``data`` (type words),
            ``observe`` (see what the agent perceives and decides)
``label``   who it was made for, as the operator calls them; calls are capped by it
``aud``     the server that it is for, by ``server.name``; left out where the server has no name
==========  =========================================================================================

This is not JWT: one algorithm, no header to choose another, and nothing to get wrong. See RFC 8725 for what is avoided.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import structlog

from agent.clock import timestamp

log = structlog.get_logger(__name__)

GRANTS: Final = ("audio", "video", "data", "observe")
EVERYTHING: Final = frozenset(GRANTS)
LONGEST: Final = 2048
"""Characters of a token, more than any that is made here."""

NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Of a server."""

_VERSION: Final = "r1"
_LABEL: Final = 64
_EARLY_S: Final = 5
"""How far the clock of the machine that made a token may be ahead of this one."""


class TokenError(Exception):
    """A token or a key that cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says.

    Attributes:
        jti: its name.
        nbf: not valid before, seconds since 1970.
        exp: not valid from here on.
        grants: what the call may do.
        label: who it was made for.
        aud: the server that it is for; empty for one without a name.
    """

    jti: str
    nbf: int
    exp: int
    grants: frozenset[str] = EVERYTHING
    label: str = ""
    aud: str = ""


def now_s() -> float:
    """Return the time of day in seconds since 1970."""
    return datetime.fromisoformat(timestamp()).timestamp()


def new_key(path: Path) -> None:
    """Write a new key of 256 bits to a file that only its owner can read.

    Raises:
        TokenError: the file exists or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise TokenError(f"{path} exists already; name a new file, tokens of the old key would no longer fit") from None
    except OSError as error:
        raise TokenError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32) + "\n")


def read_key(path: Path) -> bytes:
    """Return the key in a file.

    Raises:
        TokenError: it cannot be read, or is shorter than 256 bits of hexadecimal digits.
    """
    hint = "make one with `agent token --new-key FILE`"
    try:
        text = path.read_text(encoding="ascii").strip()
        open_to_all = bool(path.stat().st_mode & stat.S_IROTH)
    except OSError as error:
        raise TokenError(f"the key file {path} cannot be read ({error.strerror}); {hint}") from None
    except UnicodeDecodeError:
        raise TokenError(f"the key file {path} is not made of hexadecimal digits; {hint}") from None
    try:
        key = bytes.fromhex(text)
    except ValueError:
        raise TokenError(f"the key file {path} is not made of hexadecimal digits; {hint}") from None
    if len(key) < 32:
        raise TokenError(f"the key in {path} has {8 * len(key)} bits, at least 256 are needed; {hint}")
    if open_to_all:
        log.warning("key_file_readable_by_all", file=str(path), fix=f"chmod 600 {path}")
    return key


def mint(
    key: bytes,
    *,
    ttl_s: int,
    grants: Iterable[str] = GRANTS,
    label: str = "",
    aud: str = "",
    at_s: float | None = None,
) -> str:
    """Make a token.

    Args:
        key: of the server.
        ttl_s: how long it is valid, seconds.
        grants: what the call may do.
        label: who it is for.
        aud: ``server.name`` of the server that it is for; empty where that has none.
        at_s: from when on it is valid; now by default.

    Raises:
        TokenError: a grant is not known, there is none, or the label, the server or the time is out of range.
    """
    begins = int(now_s() if at_s is None else at_s)
    wanted = frozenset(grants)
    _check(wanted, label, aud)
    if ttl_s < 1:
        raise TokenError(f"a token is valid for 1 s at least, not {ttl_s}")
    ordered = [grant for grant in GRANTS if grant in wanted]
    claims: dict[str, Any] = {"nbf": begins, "exp": begins + ttl_s, "jti": secrets.token_urlsafe(16)}
    claims |= {"grants": ordered, "label": label}
    if aud:
        claims["aud"] = aud
    signed = f"{_VERSION}.{_encode(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{signed}.{_encode(_sign(key, signed))}"


def link(page: str, text: str) -> str:
    """Return the address of a page with a token behind ``#``, where browsers keep it to themselves.

    Args:
        page: address of the page, with ``http://`` or ``https://``.
        text: the token.

    Raises:
        TokenError: it is no such address, or has a fragment already.
    """
    try:
        parts = urlsplit(page)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise TokenError(f"{page!r} is no address of a page; expected one as https://kiosk.example/")
    if "#" in page:
        raise TokenError(f"{page!r} has a fragment, which is where the token goes; name the page without it")
    return urlunsplit(parts._replace(path=parts.path or "/", fragment=f"token={text}"))


def read(key: bytes, text: str, *, longest_s: int, at_s: float, name: str = "") -> Claims:
    """Return what a token says, if it is genuine and valid now.

    Args:
        key: of the server.
        text: the token.
        longest_s: a token that is valid for longer than this is not taken.
        at_s: seconds since 1970.
        name: of the server that reads it; only a token that is for it is taken.

    Raises:
        TokenError: it is not so. Nothing else is raised, whatever the text.
    """
    parts = text.split(".") if len(text) <= LONGEST and text.isascii() else []
    if len(parts) != 3 or parts[0] != _VERSION:
        raise TokenError("that is no join token of this server")
    signed, signature = f"{parts[0]}.{parts[1]}", _decode(parts[2])
    if not hmac.compare_digest(_sign(key, signed), signature):
        raise TokenError("the join token was not made with the key of this server")
    claims = _claims(_decode(parts[1]))
    if claims.aud != name:
        raise TokenError(_elsewhere(claims.aud, name))
    if at_s >= claims.exp:
        raise TokenError("the join token has run out; ask for a new one")
    if at_s < claims.nbf - _EARLY_S:
        raise TokenError("the join token is not valid yet; see that the clocks agree")
    if claims.exp - claims.nbf > longest_s:
        raise TokenError(f"the join token is valid for longer than {longest_s} s; see server.token_ttl")
    return claims


def _elsewhere(aud: str, name: str) -> str:
    """Say why a token for ``aud`` is not taken by the server ``name``; either may be empty."""
    made = "make it with the configuration of this server, or `agent token --server NAME`"
    if not aud:
        return f"the join token does not say which server it is for, and this one is {name!r}; {made}"
    if not name:
        return f"the join token is for the server {aud!r}, and this one has no name; see server.name"
    return f"the join token is for the server {aud!r}, and this one is {name!r}; {made}"


class Spent:
    """The tokens that have opened a call, as long as they would be valid. In memory only.

    Args:
        capacity: names that are kept; beyond it no token is taken, rather than one twice.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._until: dict[str, int] = {}

    def take(self, claims: Claims, at_s: float) -> None:
        """Spend a token.

        Raises:
            TokenError: it is spent already, or there is no room to remember it.
        """
        if claims.jti in self._until:
            raise TokenError("the join token was used before; ask for a new one")
        if len(self._until) >= self._capacity:
            self._until = {jti: exp for jti, exp in self._until.items() if exp > at_s}
            if len(self._until) >= self._capacity:
                raise TokenError("too many join tokens are in use; try again when some have run out")
        self._until[claims.jti] = claims.exp

    def give_back(self, claims: Claims) -> None:
        """Let a token be used again: the call that it was taken for has not come about."""
        self._until.pop(claims.jti, None)


def _check(grants: frozenset[str], label: str, aud: str) -> None:
    unknown = sorted(grants - EVERYTHING)
    if unknown or not grants:
        what = f"unknown grant {unknown[0]!r}" if unknown else "no grant"
        raise TokenError(f"{what}; a token grants some of {', '.join(GRANTS)}")
    if len(label) > _LABEL or not label.isprintable():
        raise TokenError(f"a label is printable and has at most {_LABEL} characters")
    if aud and not NAME.fullmatch(aud):
        raise TokenError(f"{aud[:64]!r} is no name of a server; it has 1 to 64 of letters, digits and ._-")


def _claims(raw: bytes) -> Claims:
    """Read claims whose signature is genuine; they may still come from another version of this program."""
    try:
        found: Any = json.loads(raw)
        granted, aud = frozenset(found["grants"]), found.get("aud", "")
        claims = Claims(found["jti"], found["nbf"], found["exp"], granted, found["label"], aud)
        whole = all(type(n) is int and 0 <= n < 1 << 40 for n in (claims.nbf, claims.exp))
        words = all(isinstance(word, str) for word in (claims.jti, claims.label, claims.aud, *claims.grants))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TokenError("the join token does not say what a token has to") from None
    if not whole or not words or not 16 <= len(claims.jti) <= 64:
        raise TokenError("the join token does not say what a token has to")
    _check(claims.grants, claims.label, claims.aud)
    return claims


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
