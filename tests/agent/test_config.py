from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agent.config import BENCH_WORKERS, Config, ConfigError, Use, for_bench, for_replay, load, override_server, parse
from perception.timebase import MS, SECOND

CONFIGS = sorted((Path(__file__).parent.parent.parent / "configs").glob("*.toml"))


def text(toml: str) -> Config:
    return parse(tomllib.loads(toml), "x.toml")


def test_nothing_is_the_default() -> None:
    assert text("") == Config()


def test_the_default_file_says_what_is_built_in() -> None:
    default = next(p for p in CONFIGS if p.name == "default.toml")
    assert load(default) == Config()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_every_shipped_file_is_valid(path: Path) -> None:
    load(path)


def test_the_file_for_benchmarks_says_what_is_built_in() -> None:
    bench = load(next(p for p in CONFIGS if p.name == "bench.toml"))
    assert bench.workers == BENCH_WORKERS
    assert for_bench(bench) == for_bench(Config())


def test_people_write_seconds() -> None:
    config = text("[call.turns]\npatience = 1.5\n[replay]\ntail = 2")
    assert config.call.turns.patience == 1500 * MS
    assert config.replay.tail == 2 * SECOND


def test_parts_are_names_or_tables() -> None:
    config = text('workers = ["vad", {use = "face", mesh_hz = 5}]\npolicy = "scripted"')
    assert config.workers == (Use("vad"), Use("face", {"mesh_hz": 5}))
    assert config.policy == Use("scripted")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("sever = 1", r"x\.toml: unknown key sever; did you mean server\?"),
        ("[server]\nprot = 1", r"x\.toml: unknown key server\.prot; did you mean server\.port\?"),
        ("[call.turns]\npatiance = 1", r"did you mean call\.turns\.patience\?"),
        ('[server]\nport = "80"', r"server\.port is '80', expected a whole number"),
        ("[server]\nport = 99999", r"server\.port is 99999, expected 0 to 65535"),
        ("[server]\nport = true", r"server\.port is True, expected a whole number"),
        ("[server]\nmax_calls = 0", r"server\.max_calls is 0"),
        ('[server]\nconsent = "no"', r"expected 'required' or 'given'"),
        ('[call.turns]\npatience = "long"', r"expected a number of seconds"),
        ('[call]\ngreeting = "yes"', r"call\.greeting is 'yes', expected true or false"),
        ("server = 1", r"server is 1, expected a table"),
        ('workers = "vad"', r"workers is 'vad', expected a list"),
        ('workers = ["vad", "vad"]', r"'vad' is listed twice"),
        ("policy = {x = 1}", r'policy needs use = "NAME"'),
        ("policy = 3", r"policy is 3"),
        ('fallback = "compact"', r"fallback is 'compact', expected a list"),
        ('fallback = ["compact"]', r"fallback names 'compact' again with the same options"),
        ("[call]\nmind_stall = 0", r"call\.mind_stall is 0, expected more than 0"),
        (
            'fallback = ["scripted"]\n[call]\nmind_think = 3.6',
            r"call\.reply\.first_decision is 6 s, and 2 minds may take 6\.1 s .* longer of call\.mind_patience",
        ),
        (
            'fallback = ["scripted"]\n[call]\nmind_stall = 4',
            r"call\.reply\.next_decision is 6 s, and 2 minds may take 6\.5 s .* lower call\.mind_stall",
        ),
        (
            'policy = "omni"\nfallback = ["compact", "scripted"]',
            r"first_decision is 6 s, and 3 minds may take 9\.5 s",
        ),
        (
            "[safety]\nenabled = false",
            r'safety\.enabled is false.*safety\.acknowledge = "I run without the safety lane"',
        ),
        ('[safety]\nenabled = false\nacknowledge = "yes"', r"safety\.enabled is false"),
        ('[safety]\nlocale = "XX"', r"safety\.locale is 'XX', expected one of AT, AU, .*US.*, or nothing"),
        ('[safety]\nwebhook = "example.org"', r"safety\.webhook is 'example\.org', expected an https:// "),
        ('[safety]\nwebhook_key_file = "k"', r"safety\.webhook_key_file is set without safety\.webhook"),
        ("[safety]\nfollow = 0", r"x\.toml: safety\.follow is 0, expected 1 or more"),
        ("[safety]\npatience = 0", r"safety\.patience is 0 s, expected more than 0"),
        ("[safety.sensitivity]\nhint = 2", r"safety\.sensitivity\.hint is 2\.0, expected 0 to 1"),
        ("[safety.sensitivity]\nheavy = 0.9", r"heavy is 0\.9, expected less than hint"),
        ("[call.initiative]\nmost = 0", r"initiative\.most is 0, expected 1 or more"),
        ("[call.disclosure]\nevery = 0", r"disclosure\.every is 0 s, expected more than 0"),
    ],
)
def test_a_mistake_is_named_with_its_place(toml: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        text(toml)


def test_minds_stand_behind_one_another_each_with_a_name() -> None:
    config = text(
        'policy = {use = "openai_api", url = "a"}\nfallback = [{use = "openai_api", url = "b"}, "compact"]\n'
        "[call]\nmind_think = 4\n[call.reply]\nfirst_decision = 11\nnext_decision = 10"
    )
    assert config.minds() == [
        ("openai_api", Use("openai_api", {"url": "a"})),
        ("openai_api 2", Use("openai_api", {"url": "b"})),
        ("compact", Use("compact")),
    ]
    assert Config().minds() == [("compact", Use("compact"))]


def test_patience_without_a_fallback_is_bound_by_nothing() -> None:
    assert text("[call]\nmind_think = 60").call.mind_think == 60 * SECOND


def test_a_benchmark_marks_one_policy_and_nobody_answers_for_it() -> None:
    assert for_bench(text('policy = "scripted"\nfallback = ["compact"]')).fallback == ()


def test_the_safety_lane_is_off_only_where_that_is_acknowledged() -> None:
    off = text('[safety]\nenabled = false\nacknowledge = "I run without the safety lane"')
    assert not off.safety.enabled
    assert Config().safety.enabled
    assert not for_bench(Config()).safety.enabled
    assert for_replay(Config()).safety == Config().safety


def test_nobody_speaks_up_unasked_in_a_replay() -> None:
    assert Config().call.initiative.enabled
    assert not for_replay(Config()).call.initiative.enabled
    assert not text("[call.initiative]\nenabled = false").call.initiative.enabled


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read"):
        load(tmp_path / "nothing.toml")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("= 1")
    with pytest.raises(ConfigError, match=r"bad\.toml: is no valid TOML"):
        load(path)


def test_the_environment_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[server]\nport = 9000")
    monkeypatch.setenv("RAPPORT_CONFIG", str(path))
    assert load().server.port == 9000


def test_the_command_line_wins() -> None:
    config = override_server(Config(), host="0.0.0.0", port=1)
    assert (config.server.host, config.server.port) == ("0.0.0.0", 1)
    with pytest.raises(ConfigError, match="--port is -1"):
        override_server(Config(), port=-1)
