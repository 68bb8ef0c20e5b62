"""Join tokens and the key that they are signed with."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import cli, token
from agent.token import EVERYTHING, Claims, Spent, TokenError

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
NOW = 1_800_000_000.0


def mint(**more: object) -> str:
    options: dict[str, object] = {"ttl_s": 60, "at_s": NOW}
    return token.mint(KEY, **(options | more))  # type: ignore[arg-type]


def read(text: str, key: bytes = KEY, at_s: float = NOW, longest_s: int = 300) -> Claims:
    return token.read(key, text, longest_s=longest_s, at_s=at_s)


def test_a_token_says_what_it_was_made_for() -> None:
    claims = read(mint(grants=["video", "audio"], label="kiosk 3"))
    assert claims.grants == {"audio", "video"}
    assert (claims.label, claims.nbf, claims.exp) == ("kiosk 3", NOW, NOW + 60)
    assert len(claims.jti) >= 16
    assert read(mint()).grants == EVERYTHING
    assert read(mint()).jti != read(mint()).jti


def test_a_token_says_which_server_it_is_for_where_that_has_a_name() -> None:
    text = mint(aud="berlin-1")
    assert token.read(KEY, text, longest_s=300, at_s=NOW, name="berlin-1").aud == "berlin-1"
    with pytest.raises(TokenError, match="is for the server 'berlin-1', and this one is 'berlin-2'"):
        token.read(KEY, text, longest_s=300, at_s=NOW, name="berlin-2")
    with pytest.raises(TokenError, match=r"this one has no name; see server\.name"):
        read(text)
    with pytest.raises(TokenError, match="does not say which server it is for, and this one is 'berlin-1'"):
        token.read(KEY, mint(), longest_s=300, at_s=NOW, name="berlin-1")
    assert "aud" not in json.loads(base64.urlsafe_b64decode(mint().split(".")[1] + "=="))
    with pytest.raises(TokenError, match=r"'no name' is no name of a server"):
        mint(aud="no name")


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("https://kiosk.example", "https://kiosk.example/#token=r1.a.b"),
        ("https://kiosk.example/", "https://kiosk.example/#token=r1.a.b"),
        ("https://shop.example/talk.html", "https://shop.example/talk.html#token=r1.a.b"),
        ("https://shop.example/talk/?lang=en", "https://shop.example/talk/?lang=en#token=r1.a.b"),
    ],
)
def test_a_link_is_the_address_of_the_page_and_the_token(page: str, found: str) -> None:
    assert token.link(page, "r1.a.b") == found


@pytest.mark.parametrize("page", ["kiosk.example", "/talk.html", "ftp://kiosk.example", "https://", "http://[", ""])
def test_what_is_no_address_of_a_page_makes_no_link(page: str) -> None:
    with pytest.raises(TokenError, match=r"is no address of a page; expected one as https://kiosk\.example/"):
        token.link(page, "r1.a.b")


def test_a_page_that_has_a_fragment_makes_no_link() -> None:
    with pytest.raises(TokenError, match="has a fragment, which is where the token goes"):
        token.link("https://kiosk.example/#top", "r1.a.b")


def test_a_token_is_valid_for_its_time_only() -> None:
    text = mint()
    assert read(text, at_s=NOW - 4)
    with pytest.raises(TokenError, match="not valid yet"):
        read(text, at_s=NOW - 6)
    assert read(text, at_s=NOW + 59.9)
    with pytest.raises(TokenError, match="run out"):
        read(text, at_s=NOW + 60)
    with pytest.raises(TokenError, match=r"longer than 59 s; see server\.token_ttl"):
        read(text, longest_s=59)


def test_a_token_of_another_key_or_changed_is_not_taken() -> None:
    text = mint(grants=["observe"])
    with pytest.raises(TokenError, match="not made with the key"):
        read(text, OTHER)
    version, claims, signature = text.split(".")
    richer = json.loads(base64.urlsafe_b64decode(claims + "=="))
    richer["grants"] = ["audio", "video", "data", "observe"]
    forged = base64.urlsafe_b64encode(json.dumps(richer).encode()).rstrip(b"=").decode()
    with pytest.raises(TokenError, match="not made with the key"):
        read(f"{version}.{forged}.{signature}")
    for empty in (f"{version}.{claims}.", f"{version}.{claims}.{signature[:10]}", f"r2.{claims}.{signature}"):
        with pytest.raises(TokenError):
            read(empty)


@pytest.mark.parametrize("place", range(0, 200, 7))
def test_no_character_of_a_token_can_be_changed(place: int) -> None:
    text = mint()
    place %= len(text) - 1  # the last one carries bits that base64 does not use
    changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
    with pytest.raises(TokenError):
        read(changed)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"jti": "short", "nbf": NOW, "exp": NOW, "grants": ["audio"], "label": ""},
        {"jti": "x" * 20, "nbf": True, "exp": int(NOW) + 9, "grants": ["audio"], "label": ""},
        {"jti": "x" * 20, "nbf": 1e400, "exp": int(NOW) + 9, "grants": ["audio"], "label": ""},
        {"jti": "x" * 20, "nbf": int(NOW), "exp": int(NOW) + 9, "grants": ["root"], "label": ""},
        {"jti": "x" * 20, "nbf": int(NOW), "exp": int(NOW) + 9, "grants": [], "label": ""},
        {"jti": "x" * 20, "nbf": int(NOW), "exp": int(NOW) + 9, "grants": [[]], "label": ""},
        {"jti": "x" * 20, "nbf": int(NOW), "exp": int(NOW) + 9, "grants": ["audio"], "label": 5},
        {"jti": "x" * 20, "nbf": int(NOW), "exp": int(NOW) + 9, "grants": ["audio"], "label": "x" * 65},
        {"jti": "x" * 20, "nbf": int(NOW), "exp": int(NOW) + 9, "grants": ["audio"], "label": "", "aud": 5},
        {"jti": "x" * 20, "nbf": int(NOW), "exp": int(NOW) + 9, "grants": ["audio"], "label": "", "aud": "a b"},
        {"jti": "x" * 20, "nbf": int(NOW), "exp": int(NOW) + 9, "grants": ["audio"], "label": "", "aud": ["a"]},
        [],
        "text",
    ],
)
def test_claims_of_another_shape_are_not_taken_even_if_signed(claims: object) -> None:
    signed = f"r1.{token._encode(json.dumps(claims).encode())}"
    with pytest.raises(TokenError):
        read(f"{signed}.{token._encode(token._sign(KEY, signed))}")


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=300), st.from_regex(r"r1\.[A-Za-z0-9_=-]{0,80}\.[A-Za-z0-9_=-]{0,60}")))
def test_whatever_comes_is_no_token(text: str) -> None:
    with pytest.raises(TokenError):
        read(text)


@given(st.binary(max_size=80))
def test_signed_bytes_are_read_or_refused(raw: bytes) -> None:
    signed = f"r1.{token._encode(raw)}"
    with pytest.raises(TokenError):
        read(f"{signed}.{token._encode(token._sign(KEY, signed))}")


def test_what_cannot_be_minted() -> None:
    with pytest.raises(TokenError, match="unknown grant 'root'; a token grants some of audio, video, data, observe"):
        mint(grants=["root"])
    with pytest.raises(TokenError, match="no grant"):
        mint(grants=[])
    with pytest.raises(TokenError, match="label"):
        mint(label="x" * 65)
    with pytest.raises(TokenError, match="at least"):
        mint(ttl_s=0)


def test_a_token_is_spent_once_and_given_back_when_nothing_came_of_it() -> None:
    spent = Spent()
    claims = read(mint())
    spent.take(claims, NOW)
    with pytest.raises(TokenError, match="used before"):
        spent.take(claims, NOW)
    spent.give_back(claims)
    spent.take(claims, NOW)


def test_what_is_spent_is_forgotten_when_it_has_run_out_and_never_before() -> None:
    spent = Spent(capacity=2)
    first, second, third = (read(mint(ttl_s=ttl)) for ttl in (10, 60, 60))
    spent.take(first, NOW)
    spent.take(second, NOW)
    with pytest.raises(TokenError, match="too many"):
        spent.take(third, NOW + 5)
    spent.take(third, NOW + 11)
    with pytest.raises(TokenError, match="used before"):
        spent.take(second, NOW + 11)


def test_a_new_key_is_for_its_owner_only_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "rapport.key"
    token.new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = token.read_key(path)
    assert len(key) == 32
    with pytest.raises(TokenError, match="exists already"):
        token.new_key(path)
    assert token.read_key(path) == key
    with pytest.raises(TokenError, match="cannot be written"):
        token.new_key(tmp_path / "nowhere" / "rapport.key")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "0 bits"), (b"secret", "hexadecimal"), (b"ab" * 31, "248 bits"), (b"\xff" * 64, "hexadecimal")],
)
def test_a_bad_key_is_refused_with_the_way_to_a_good_one(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.key"
    path.write_bytes(content)
    with pytest.raises(TokenError, match=reason) as caught:
        token.read_key(path)
    assert "agent token --new-key" in str(caught.value)
    with pytest.raises(TokenError, match="cannot be read"):
        token.read_key(tmp_path / "none.key")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, config = tmp_path / "rapport.key", tmp_path / "street.toml"
    config.write_text(f'[server]\nhost = "0.0.0.0"\nkey_file = "{key}"\ntoken_ttl = 120\n')
    assert cli.main(["token", "--config", str(config)]) == cli.USAGE
    assert "agent token --new-key" in capsys.readouterr().err
    assert cli.main(["token", "--new-key", str(key)]) == 0
    capsys.readouterr()
    assert cli.main(["token", "--config", str(config), "--label", "desk", "--grants", "audio,data"]) == 0
    text = capsys.readouterr().out.strip()
    claims = token.read(token.read_key(key), text, longest_s=120, at_s=token.now_s())
    assert (claims.label, claims.exp - claims.nbf) == ("desk", 120)
    assert claims.grants == {"audio", "data"}
    assert cli.main(["token", "--key", str(key), "--ttl", "30", "--url", "https://kiosk.example/"]) == 0
    assert capsys.readouterr().out.startswith("https://kiosk.example/#token=r1.")
    assert cli.main(["token", "--key", str(key), "--url", "kiosk.example"]) == cli.USAGE
    assert "'kiosk.example' is no address of a page" in capsys.readouterr().err
    for wrong in (["--ttl", "121"], ["--grants", "root"], ["--label", "x" * 65]):
        assert cli.main(["token", "--config", str(config), *wrong]) == cli.USAGE
        assert capsys.readouterr().out == ""
    config.write_text(f'[server]\nkey_file = "{key}"\nname = "berlin-1"\n')
    for more, aud in (([], "berlin-1"), (["--server", "berlin-2"], "berlin-2"), (["--server", ""], "")):
        assert cli.main(["token", "--config", str(config), *more]) == 0
        text = capsys.readouterr().out.strip()
        assert token.read(token.read_key(key), text, longest_s=300, at_s=token.now_s(), name=aud).aud == aud
    assert cli.main(["token", "--config", str(config), "--server", "a b"]) == cli.USAGE
    assert "is no name of a server" in capsys.readouterr().err
    assert cli.main(["token"]) == cli.USAGE
    assert "server.key_file" in capsys.readouterr().err
