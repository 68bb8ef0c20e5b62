"""The page as a person meets it: consent first, then a call that shows what it hears, sees and decides."""

from __future__ import annotations

import pytest

from tests.web import scenes
from tests.web.browser import until, watch
from tests.web.conftest import Open
from tests.web.fake_server import FakeServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNT_CAPTURES = """
window.captures = [];
const real = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = function (wanted) {
  window.captures.push(wanted);
  return real.call(this, wanted);
};
"""
ALL_NAMES = ["asr", "expression", "face", "gaze", "gesture", "prosody", "scene", "turn", "vad", "voice", "words"]


def test_nothing_is_asked_or_sent_before_consent(visit: Open) -> None:
    v = visit(init=COUNT_CAPTURES)
    v.page.wait_for_timeout(400)
    assert v.page.evaluate("captures.length") == 0
    assert v.server.offers == []
    words = v.page.inner_text("#consent")
    for promise in (
        "an AI, not a person",
        "Words",
        "Tone of voice",
        "Facial expression",
        "Gaze",
        "Gestures",
        "People in view",
    ):
        assert promise in words
    assert v.server.url.split("/")[2] in words
    v.begin()
    v.server.wait(lambda: v.server.client_messages("consent"), "the consent")
    kinds = [m.get("type") if isinstance(m, dict) else "ping" for m in v.server.said]
    assert kinds[:4] == ["signalling", "signalling", "client-ready", "client-message"]
    assert v.server.client_messages("consent") == [
        {"version": 2, "senses": ALL_NAMES, "locale": "en", "recording": False}
    ]
    assert v.server.said[0]["message"] == {"type": "trackStatus", "receiver_index": 0, "enabled": True}
    assert v.server.said[1]["message"] == {"type": "trackStatus", "receiver_index": 1, "enabled": True}


def test_a_place_that_reads_no_feelings_and_keeps_words_if_asked(visit: Open, server: FakeServer) -> None:
    v = visit()
    assert not v.page.is_visible("#keep-words-row")
    server.privacy = {"affect": "off", "records": True, "notice": "https://example.org/privacy"}
    v.page.reload()
    v.page.wait_for_selector("#keep-words-row:visible")
    words = v.page.inner_text("#consent")
    assert "does not read feelings" in words
    assert "Tone of voice" not in words
    assert "Facial expression" not in words
    assert v.page.inner_text("#start") == "Allow all four and start"
    assert v.page.get_attribute("#notice-link", "href") == "https://example.org/privacy"
    assert not v.page.is_checked("#keep-words"), "never on by itself"
    v.page.check("#keep-words")
    v.begin()
    consent = v.server.wait(lambda: v.server.client_messages("consent"), "the consent")[0]
    assert consent["recording"] is True
    assert not {"voice", "expression", "prosody"} & set(consent["senses"])
    assert not v.page.is_visible("[data-sense=expression]")
    v.server.tell("note", at=1.0, event="consent_not_stored", level="error")
    until(v.page, "rapport.notices.includes('agreement')")
    assert "nothing is seen or heard" in v.page.inner_text("#notices")
    v.server.tell("note", at=1.0, event="consent_stored", level="info", scopes=["recording", "voice"])
    until(v.page, "rapport.keeping && !rapport.notices.includes('agreement')")
    v.page.click("#keeping")
    stop = v.server.wait(lambda: v.server.client_messages("senses"), "the withdrawal")[0]
    assert stop["recording"] is False
    assert stop["senses"] == consent["senses"]
    v.server.tell("note", at=1.0, event="consent_withdrawn", level="info", scopes=["voice"])
    until(v.page, "!rapport.keeping")
    assert not v.page.is_visible("#keeping")


def test_another_machine_that_thinks_is_named_before_consent(visit: Open, server: FakeServer) -> None:
    v = visit()
    assert v.page.is_visible("#fact-here")
    assert not v.page.is_visible("#fact-elsewhere")
    server.sends_to = ["gpu.example"]
    v.page.reload()
    v.page.wait_for_selector("#fact-elsewhere:visible")
    assert "are also sent to gpu.example" in v.page.inner_text("#consent")
    assert "Nothing goes anywhere else" not in v.page.inner_text("#consent")


def test_the_offer_is_the_wire_of_small_webrtc(visit: Open) -> None:
    v = visit()
    v.begin()
    offer = v.server.offers[0]
    assert (offer["type"], offer["pc_id"], offer["restart_pc"]) == ("offer", None, False)
    media = [line.split()[0] for line in offer["sdp"].splitlines() if line.startswith("m=")]
    assert media == ["m=audio", "m=video", "m=application"]
    v.server.wait(lambda: v.server.patches, "trickled candidates")
    patch = v.server.patches[0]
    assert patch["pc_id"] == v.page.evaluate("rapport.pcId")
    assert set(patch["candidates"][0]) == {"candidate", "sdp_mid", "sdp_mline_index"}
    v.server.wait(lambda: len(v.server.client_messages("ping")) >= 2, "two pings")


def test_a_refused_camera_is_never_opened(visit: Open) -> None:
    v = visit(init=COUNT_CAPTURES)
    for sense in ("expression", "gaze", "gesture", "scene"):
        v.page.uncheck(f"#allow-{sense}")
    assert v.page.inner_text("#start") == "Allow two of six and start"
    v.begin()
    wanted = v.page.evaluate("captures")
    assert len(wanted) == 1
    assert wanted[0]["video"] is False
    assert (wanted[0]["audio"]["echoCancellation"], wanted[0]["audio"]["noiseSuppression"]) == (True, False)
    v.server.wait(lambda: v.server.client_messages("consent"), "the consent")
    assert v.server.client_messages("consent")[0]["senses"] == ["asr", "prosody", "turn", "vad", "voice", "words"]
    assert v.server.said[1]["message"]["enabled"] is False
    assert v.page.evaluate("rapport.rows.expression") == {"state": "off", "text": "Off by you"}
    scenes.percept(v.server, "expression", "sad")
    v.page.wait_for_timeout(400)
    assert v.page.evaluate("rapport.rows.expression.state") == "off"


def test_typing_only_opens_no_device_and_still_talks(visit: Open) -> None:
    v = visit(init=COUNT_CAPTURES)
    v.page.click("#start-typing")
    until(v.page, "rapport.state === 'ready'")
    assert v.page.evaluate("captures.length") == 0
    v.page.fill("#words", "  hello there  ")
    v.page.press("#words", "Enter")
    sent = v.server.wait(
        lambda: [m for m in v.server.said if isinstance(m, dict) and m.get("type") == "send-text"], "the words"
    )
    assert sent[0]["data"]["content"] == "hello there"
    assert v.page.input_value("#words") == ""


def test_captions_follow_both_sides(visit: Open) -> None:
    v = visit()
    v.begin()
    tell = v.server.tell
    tell("caption", speaker="user", text="I lost", final=False)
    until(v.page, "part('#captions .user.open')")
    tell("caption", speaker="user", text="I lost my <b>dog</b> <img src=x onerror=alert(1)>", final=True)
    tell("caption", speaker="agent", text="I am so", final=False, reply=1)
    tell("caption", speaker="agent", text="I am so sorry. That is hard.", final=False, reply=1)
    tell("caption", speaker="agent", text="I am so sorry.", final=True, reply=1, cut=True)
    tell("caption", speaker="user", text="Wait", final=False)
    until(v.page, "rapport.captions.length === 3")
    shown = v.page.locator("#captions li")
    assert shown.nth(0).locator(".text").inner_text() == "I lost my <b>dog</b> <img src=x onerror=alert(1)>"
    assert v.page.locator("#captions img").count() == 0
    dash = "getComputedStyle(part('#captions .cut .text'), '::after').content"
    assert v.page.evaluate(dash) == '" —"', "broken off, and nobody is blamed for it"
    assert shown.nth(1).locator(".text").inner_text() == "I am so sorry."
    captions = v.page.evaluate("rapport.captions.map(({speaker, text, final, cut}) => [speaker, text, final, cut])")
    assert captions[1] == ["agent", "I am so sorry.", True, True]
    assert captions[2] == ["user", "Wait", False, False]
    v.page.click("#cc")
    assert not v.page.is_visible("#captions")


def test_the_panel_tells_known_unsure_lost_and_off_apart(visit: Open) -> None:
    v = visit()
    v.begin()
    scenes.percept(v.server, "expression", "sad", 0.78)
    until(v.page, "rapport.rows.expression.state === 'known'")
    assert v.page.evaluate("rapport.rows.expression.text") == "Sad"
    row = v.page.locator('[data-sense="expression"]')
    assert row.locator("[role=meter]").get_attribute("aria-valuenow") == "78"
    assert row.locator(".spark rect").count() == 1
    scenes.percept(v.server, "expression", "uncertain", 0.31)
    until(v.page, "rapport.rows.expression.state === 'unsure' && rapport.rows.expression.text === 'Unsure'")
    v.server.tell(
        "percept", at=2.0, kind="sense_lost", label="face", start=2, end=2, confidence=1, worker="face", data={}
    )
    until(v.page, "rapport.rows.expression.state === 'lost' && rapport.rows.gaze.state === 'lost'")
    assert v.page.evaluate("rapport.rows.words.state") != "lost"
    v.server.tell(
        "percept", at=3.0, kind="sense_back", label="face", start=3, end=3, confidence=1, worker="face", data={}
    )
    scenes.look(v.server, "happy", 0.9)
    until(v.page, "rapport.rows.expression.text === 'Happy' && rapport.rows.gaze.text === 'Towards me'")
    until(v.page, "rapport.rows.scene.text === 'One person'")
    v.page.uncheck("#flip-gaze")
    until(v.page, "rapport.rows.gaze.state === 'off'")
    sent = v.server.wait(lambda: v.server.client_messages("senses"), "the change of senses")
    assert "gaze" not in sent[0]["senses"]
    assert {"face", "expression"} <= set(sent[0]["senses"])
    until(v.page, "rapport.rows.expression.state === 'waiting'")


def test_refusing_every_camera_sense_gives_the_camera_back(visit: Open) -> None:
    v = visit()
    v.begin()
    until(v.page, "rapport.person.camera")
    for sense in ("expression", "gaze", "gesture", "scene"):
        v.page.uncheck(f"#flip-{sense}")
    until(v.page, "!rapport.person.camera")
    off = {"type": "trackStatus", "receiver_index": 1, "enabled": False}
    v.server.wait(lambda: off in [m.get("message") for m in v.server.said if isinstance(m, dict)], "camera off")
    v.page.check("#flip-gesture")
    until(v.page, "rapport.person.camera && rapport.person.cameraLive")


def test_why_shows_the_decision_its_reason_and_its_evidence(visit: Open) -> None:
    v = visit()
    v.begin()
    v.page.click("#inside > summary")
    scenes.distress(v.server)
    until(v.page, "rapport.lastDecision")
    shown = " ".join(v.page.inner_text("#why").split())
    for part in ("Spoke", "reflects the feeling", "concern", "stay with the feeling", "trembling 74%", "86% sure"):
        assert part in shown
    v.server.tell(
        "decision",
        at=9,
        cue="reflex",
        reply=0,
        action="wait",
        strategy=None,
        emotion=None,
        reason="They may go on.",
        confidence=1,
        evidence=[],
    )
    until(v.page, "rapport.lastDecision.action === 'wait'")
    assert "Waited" in v.page.locator("#why .line").first.inner_text()
    assert "stay with the feeling" in v.page.inner_text("#why .spoken")
    v.page.click("#why summary")
    assert "stay with the feeling" in v.page.inner_text("#why .earlier")


def test_who_speaks_is_told_and_a_fall_kindly(visit: Open) -> None:
    v = visit()
    v.begin()
    agent = {"policy": "omni", "minds": ["omni", "compact"], "speaks": "omni", "voice": "hibari", "workers": []}
    fields = {"call": "c1", "consent": True, "senses": None, "microphone": True, "camera": True, "push_to_talk": False}
    v.server.tell("state", **fields, agent=agent)

    def decide(reply: int, mind: str, text: str) -> None:
        because = {"reason": f"{mind} says so.", "confidence": 1, "evidence": [], "emotion": "warm", "mind": mind}
        more = {"action": "speak", "strategy": "other", "text": text, "tone": "soft"}
        v.server.tell("decision", at=reply, cue="end_of_turn", reply=reply, **because, **more)
        until(v.page, f"rapport.mind === '{mind}' && rapport.lastDecision.reply === {reply}")

    v.server.tell("thought", at=1, reply=1, mind="omni", text="They look <b>sad</b>.")
    v.server.tell("thought", at=1, reply=1, mind="omni", text="A loss.")
    decide(1, "omni", "I am sorry.")
    v.page.click("#inside > summary")
    assert v.page.inner_text("#why .badge.mind") == "mind: omni"
    v.page.click("#why .thought summary")
    assert v.page.inner_text("#why .thought p") == "They look <b>sad</b>. A loss."
    assert v.page.evaluate("[rapport.thoughts.length, rapport.decisions.length]") == [2, 1]
    assert v.page.evaluate("rapport.notices") == []

    decide(2, "compact", "I hear you.")
    assert v.page.inner_text("#why .line >> nth=0 >> .badge.mind") == "mind: compact"
    assert "Speaking with the small mind for now" in v.page.inner_text("#notices .notice.calm")
    until(v.page, "part('#announcer').textContent.includes('small mind')")
    assert v.page.evaluate("part('#alarm').textContent") == "", "nobody has to act"
    v.shot("another mind")
    v.page.click("#notices [aria-label=Dismiss]")
    decide(3, "compact", "Go on.")
    assert v.page.evaluate("rapport.notices") == [], "it is said once"
    decide(4, "omni", "I am back.")
    decide(5, "compact", "Again.")
    assert v.page.evaluate("rapport.notices") == ["mind"]
    decide(6, "omni", "I am back.")
    assert v.page.evaluate("rapport.notices") == []
    v.page.click("#settings-open")
    v.page.click("#made-of summary")
    about = " ".join(v.page.inner_text("#about").split())
    assert "Minds omni, compact" in about
    assert "Speaks omni" in about


def test_timing_splits_the_way_to_the_first_sound(visit: Open) -> None:
    v = visit()
    v.begin()
    scenes.metrics(v.server, 3, end_of_turn=0.25, words=0.15, decide=0.1, voice=0.25, voice_to_voice=0.7)
    until(v.page, "rapport.timing.totals.length === 1")
    v.page.click("#inside > summary")
    assert v.page.inner_text("#timing .total b") == "700 ms"
    cells = v.page.inner_text("#timing .key").replace("\n", " ")
    for part in ("Sure you were done 250 ms", "Your words 150 ms", "Decision 100 ms", "Voice 150 ms", "Rest 50 ms"):
        assert part in cells
    until(v.page, "rapport.timing.roundtrip > 0 && rapport.timing.roundtrip < 2")


def test_the_agent_is_heard_and_its_mouth_moves(visit: Open) -> None:
    v = visit()
    v.begin()
    opening = "part('#stage .av-inside').getBBox().height"
    v.page.wait_for_timeout(800)
    closed = v.page.evaluate(opening)
    v.server.speak(3)
    until(v.page, "rapport.audio.heardMs > 600")
    widest = max(watch(v.page, opening, 40))
    assert widest > closed + 5
    assert v.page.evaluate("rapport.audio.peak") > 0.05
    until(v.page, "performance.now() - rapport.audio.lastHeardAt > 700")
    assert v.page.evaluate(opening) == pytest.approx(closed, abs=2)


def test_the_face_shows_emotions_and_drops_what_is_stale(visit: Open) -> None:
    v = visit()
    v.begin()
    for k, emotion in enumerate(
        ("neutral", "warm", "happy", "concern", "sad", "surprise", "curious", "tender", "calm"), 2
    ):
        v.server.tell("display", emotion=emotion, gesture="none", intensity=0.9, reply=k)
        until(v.page, f"rapport.emotion === '{emotion}'")
    v.server.tell("display", emotion="happy", gesture="nod", intensity=0.9, reply=4)
    v.server.tell("note", at=1, event="state", level="info", state="thinking")
    until(v.page, "rapport.mood === 'thinking'")
    assert v.page.evaluate("rapport.emotion") == "calm"
    assert v.page.evaluate("rapport.display.length") == 9
    assert v.page.get_attribute("#stage .avatar", "aria-label") == "The agent’s face: calm, thinking"


def test_leaving_says_goodbye(visit: Open) -> None:
    v = visit()
    v.begin()
    pc_id = v.page.evaluate("rapport.pcId")
    v.page.goto("about:blank")
    assert v.server.wait(lambda: v.server.byes, "the goodbye") == [{"pc_id": pc_id, "may_return": True}]


def test_hanging_up_ends_the_call_and_calls_again(visit: Open) -> None:
    v = visit()
    v.begin()
    v.page.click("#hangup")
    assert v.page.evaluate("rapport.cover") == "ended"
    v.server.wait(
        lambda: [m for m in v.server.said if isinstance(m, dict) and m.get("type") == "disconnect-bot"], "the hang-up"
    )
    assert v.page.evaluate("rapport.person.mic") is False
    assert not v.page.is_visible("#dock .controls")
    until(v.page, "rapport.rows.words.text === 'Not in a call'")
    v.page.click("text=Talk again")
    until(v.page, "rapport.state === 'ready'")
    assert v.server.offers[1]["pc_id"] is None
