"""The parts of the visual workers that need no picture, or only one."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models import resolve
from perception.emotion import CLASSES, NEUTRAL, Expression, ExpressionFilter
from perception.eyes import BlinkDetector, GazeDetector, Sight, line_of_sight
from perception.facemesh import MOVEMENTS, FaceMesh, Movements, region_of
from perception.headpose import HeadPose, HeadPoser
from perception.litert import Floats, Network, read_bundle
from perception.nod import HeadGesture, NodDetector
from perception.pixels import Region, cut, letterbox, thumbnail
from perception.presence import Change, PresenceDetector
from perception.slots import Slots
from perception.ssd import FULL_RANGE_FACE, PALM, SHORT_RANGE_FACE, Detector, anchors, suppress
from perception.swings import swings
from perception.talking import TalkingDetector
from perception.timebase import MS, SECOND, Nanos, seconds
from tests.perception.seen import clip, noise

STEP: Nanos = 100 * MS


def wave(amplitude: float, hz: float, t: float) -> float:
    return amplitude * math.sin(2 * math.pi * hz * t)


class TestSwings:
    def test_a_wave_is_its_half_waves(self) -> None:
        found = swings([(i, wave(5, 1, i / 20)) for i in range(41)], 1.0)
        assert [round(s.size) for s in found] == [5, -10, 10, -10, 5]
        assert [(s.start, s.end) for s in found] == [(0, 5), (5, 15), (15, 25), (25, 35), (35, 40)]

    def test_what_is_smaller_is_noise(self) -> None:
        assert not swings([(i, (-1) ** i * 0.4) for i in range(20)], 1.0)
        assert not swings([], 1.0)
        assert not swings([(0, 3.0)], 1.0)

    @given(st.lists(st.floats(-50, 50), max_size=40), st.floats(0.1, 10))
    def test_swings_alternate_join_and_are_large_enough(self, values: list[float], least: float) -> None:
        found = swings(list(enumerate(values)), least)
        for before, after in pairwise(found):
            assert before.end == after.start
            assert before.size * after.size < 0
        assert all(abs(s.size) >= least and s.end > s.start for s in found)
        if values and max(values) - min(values) < least:
            assert not found


Path2 = Callable[[float], tuple[float, float]]


def head(path: Path2, length_s: float, hz: float = 10.0, jitter_deg: float = 0.0) -> list[HeadGesture]:
    detector, random = NodDetector(), np.random.default_rng(11)
    found = []
    for i in range(int(length_s * hz)):
        pitch, yaw = path(i / hz)
        pitch, yaw = pitch + jitter_deg * random.normal(), yaw + jitter_deg * random.normal()
        gesture = detector.step(round(i / hz * SECOND), HeadPose(yaw, pitch, 0.0))
        found += [gesture] if gesture else []
    return found


class TestNods:
    @pytest.mark.parametrize("hz", [1.2, 1.8, 2.5, 3.0])
    @pytest.mark.parametrize("rate_hz", [10.0, 15.0])
    def test_nods_and_shakes_of_every_pace(self, hz: float, rate_hz: float) -> None:
        def burst(t: float) -> float:
            return wave(8, hz, t - 1) if 1 <= t < 1 + 2 / hz else 0.0

        nods = head(lambda t: (burst(t), 0.1 * burst(t)), 4, rate_hz)
        shakes = head(lambda t: (0.1 * burst(t), burst(t)), 4, rate_hz)
        assert [g.label for g in nods] == ["nod"]
        assert [g.label for g in shakes] == ["head_shake"]
        assert all(seconds(0.8) <= g.start < g.end <= seconds(3.0) for g in (*nods, *shakes))

    @pytest.mark.parametrize(
        "path",
        [
            lambda t: (0.0, 0.0),
            lambda t: (wave(2, 2, t), wave(1.5, 1.7, t)),  # the tremor of a measurement
            lambda t: (15.0 if t > 2 else 0.0, 0.0),  # looks down, and stays there
            lambda t: (15.0 if 2 < t < 2.8 else 0.0, 0.0),  # looks at the keyboard
            lambda t: (0.0, 30.0 if 2 < t < 4 else 0.0),  # looks aside
            lambda t: (wave(10, 0.3, t), 0.0),  # sways
            lambda t: (wave(8, 2, t), wave(8, 2, t)),  # both at once
        ],
        ids=["still", "tremor", "down", "keyboard", "aside", "sway", "diagonal"],
    )
    def test_other_movements_are_neither(self, path: Path2) -> None:
        assert not head(path, 8)

    def test_jitter_neither_makes_nor_hides_a_nod(self) -> None:
        assert not head(lambda t: (0.0, 0.0), 60, jitter_deg=1.0)
        nods = head(lambda t: (wave(9, 2, t) if 1 < t < 2.5 else 0.0, 0.0), 4, jitter_deg=0.7)
        assert [g.label for g in nods] == ["nod"]

    def test_nodding_on_is_not_told_at_every_nod(self) -> None:
        nods = head(lambda t: (wave(8, 2, t), 0.0), 10)
        assert 4 <= len(nods) <= 7
        assert all(b.start >= a.end for a, b in pairwise(nods))

    def test_a_new_head_starts_afresh(self) -> None:
        detector = NodDetector()
        for i in range(5):
            detector.step(i * STEP, HeadPose(0, wave(8, 2, i / 10), 0))
        detector.lose()
        assert detector.step(5 * STEP, HeadPose(0, 8, 0)) is None
        assert detector.step(6 * STEP, HeadPose(0, -8, 0)) is None


def talks(gap: Callable[[float], float], length_s: float = 4.0) -> list[bool]:
    detector = TalkingDetector()
    return [detector.step(i * STEP, gap(i / 10)) for i in range(int(length_s * 10))]


class TestTalking:
    def test_a_mouth_that_opens_and_closes(self) -> None:
        told = talks(lambda t: 0.1 + wave(0.08, 2.2, t) if 1 < t < 3 else 0.02, 5)
        assert not any(told[:11])
        assert all(told[16:30])
        assert not any(told[46:])

    @pytest.mark.parametrize(
        "gap",
        [
            lambda t: 0.01,
            lambda t: 0.02 + 0.01 * (-1) ** round(t * 10),  # noise
            lambda t: 0.17 if t > 1 else 0.0,  # a smile begins
            lambda t: 0.5 if 1 < t < 2.5 else 0.0,  # a yawn
        ],
        ids=["shut", "noise", "smile", "yawn"],
    )
    def test_other_mouths(self, gap: Callable[[float], float]) -> None:
        assert not any(talks(gap))

    def test_losing_the_face_ends_it(self) -> None:
        detector = TalkingDetector()
        for i in range(20):
            detector.step(i * STEP, 0.1 + wave(0.08, 2.2, i / 10))
        assert detector.talking
        detector.lose()
        assert not detector.talking


class TestBlinks:
    def blinks(self, shut: list[float], step: Nanos = 33 * MS) -> list[tuple[int, int]]:
        detector = BlinkDetector()
        found = [detector.step(i * step, value) for i, value in enumerate(shut)]
        return [(b.start // step, b.end // step) for b in found if b]

    def test_a_blink_is_from_shut_to_open(self) -> None:
        assert self.blinks([0.1, 0.1, 0.6, 0.7, 0.1, 0.1]) == [(2, 4)]
        assert self.blinks([0.1, 0.6, 0.45, 0.4, 0.2]) == [(1, 4)]

    def test_long_closing_and_hanging_lids_are_none(self) -> None:
        assert not self.blinks([0.1] * 3 + [0.8] * 13 + [0.1] * 3)
        assert not self.blinks([0.6, 0.6, 0.1, 0.1]), "it was not seen to close"
        assert not self.blinks([0.45, 0.6, 0.45, 0.6, 0.45])

    def test_cast_down_after_400_ms(self) -> None:
        detector = BlinkDetector()
        told = []
        for i in range(8):
            detector.step(i * STEP, 0.7)
            told.append(detector.cast_down(i * STEP))
        assert told == [False] * 4 + [True] * 4
        detector.step(8 * STEP, 0.1)
        assert not detector.cast_down(8 * STEP)


class TestGaze:
    def looks(self, sights: Sequence[Sight | None], shut: bool = False) -> list[str]:
        detector = GazeDetector()
        return [detector.step(i * STEP, s, eyes_shut=shut) for i, s in enumerate(sights)]

    def test_towards_away_and_back(self) -> None:
        at, off = Sight(0, -5), Sight(30, -5)
        labels = self.looks([at] * 10 + [off] * 10 + [at] * 10)
        assert labels == ["uncertain"] + ["towards"] * 10 + ["away"] * 10 + ["towards"] * 9

    def test_one_glance_and_the_edge_change_nothing(self) -> None:
        labels = self.looks([Sight(0, -5)] * 10 + [Sight(40, -5)] + [Sight(0, -5)] * 5 + [Sight(17, -5)] * 10)
        assert set(labels[1:]) == {"towards"}
        labels = self.looks([Sight(40, -5)] * 5 + [Sight(17, -5)] * 10)
        assert set(labels[1:]) == {"away"}

    def test_a_person_whose_eyes_stand_askew_is_learnt(self) -> None:
        labels = self.looks([Sight(14, 4)] * 100)
        assert labels[-1] == "towards"
        beyond = self.looks([Sight(60, -5)] * 600)
        assert beyond[-1] == "away", "who never looks here is not taken for looking here"

    def test_shut_or_unseen_eyes(self) -> None:
        assert self.looks([Sight(0, -5)] * 3, shut=True)[-1] == "away"
        assert self.looks([Sight(0, -5)] * 3 + [None] * 2)[-1] == "uncertain"

    def test_confidence_is_a_belief(self) -> None:
        detector = GazeDetector()
        for off in (0, 10, 25, 40, 90, 0):
            detector.step(0, Sight(off, -5), eyes_shut=False)
            assert 0.0 <= detector.confidence <= 1.0


class TestPresence:
    def changes(self, counts: list[int]) -> list[Change]:
        detector = PresenceDetector()
        return [c for i, n in enumerate(counts) if (c := detector.step(i * STEP, n))]

    def test_come_and_go(self) -> None:
        found = self.changes([0] * 5 + [1] * 10 + [0] * 20)
        assert [(c.label, c.count, c.start) for c in found] == [("arrived", 1, 5 * STEP), ("left", 0, 15 * STEP)]

    def test_flicker_is_nothing(self) -> None:
        assert not self.changes([0, 1, 0, 0, 1, 1, 0, 0])
        assert len(self.changes([1] * 10 + [0] * 10 + [1] * 10 + [2] * 10 + [1] * 10)) == 1

    def test_company(self) -> None:
        found = self.changes([1] * 10 + [3] * 20 + [1] * 20)
        assert [(c.label, c.count) for c in found] == [("arrived", 1), ("arrived", 3), ("left", 1)]


def votes(**shares: float) -> Floats:
    values = np.array([shares.get(name, 0.0) for name in CLASSES], np.float32)
    values[NEUTRAL] += 1.0 - values.sum()
    return values


def tell(
    told: ExpressionFilter, at: Nanos, shares: Floats, *, resting: bool = False, reliable: bool = True
) -> Expression:
    return told.step(at, shares, least=0.5, resting=resting, reliable=reliable)


class TestExpressions:
    def test_one_odd_picture_does_not_turn_the_label(self) -> None:
        told = ExpressionFilter(700 * MS)
        for i in range(10):
            tell(told, i * 400 * MS, votes(happy=0.95))
        assert tell(told, 4 * SECOND, votes(sad=0.6, happy=0.3)).label == "happy"

    def test_a_split_vote_is_uncertain(self) -> None:
        found = tell(ExpressionFilter(700 * MS), 0, votes(sad=0.4, fear=0.4))
        assert found.label == "uncertain"
        assert found.confidence == pytest.approx(0.4)
        assert found.valence < -0.4

    def test_an_unreliable_view_tells_and_teaches_nothing(self) -> None:
        told = ExpressionFilter(700 * MS)
        tell(told, 0, votes(sad=0.9))
        found = tell(told, 400 * MS, votes(happy=1.0), reliable=False)
        assert (found.label, found.confidence) == ("uncertain", 0.0)
        assert tell(told, 800 * MS, votes(sad=0.9)).label == "sad"

    def test_a_face_that_looks_sad_at_rest_becomes_neutral(self) -> None:
        told = ExpressionFilter(700 * MS)
        labels = [tell(told, i * 400 * MS, votes(sad=0.65), resting=True).label for i in range(30)]
        assert labels[0] == "sad"
        assert labels[-1] == "neutral"
        sadder = [tell(told, (30 + i) * 400 * MS, votes(happy=0.9)) for i in range(5)]
        assert sadder[-1].label == "happy"

    def test_weeping_never_becomes_normal(self) -> None:
        told = ExpressionFilter(700 * MS)
        labels = [tell(told, i * 400 * MS, votes(sad=0.9)).label for i in range(750)]
        assert set(labels) == {"sad"}

    def test_another_person_has_another_rest(self) -> None:
        told = ExpressionFilter(700 * MS)
        for i in range(30):
            tell(told, i * 400 * MS, votes(sad=0.65), resting=True)
        told.lose()
        assert tell(told, 20 * SECOND, votes(sad=0.65)).label == "sad"

    @given(st.lists(st.tuples(st.lists(st.floats(0.01, 1), min_size=7, max_size=7), st.booleans(), st.booleans())))
    def test_what_comes_out_are_probabilities(self, steps: list[tuple[list[float], bool, bool]]) -> None:
        told = ExpressionFilter(700 * MS)
        for i, (values, resting, reliable) in enumerate(steps):
            given_votes = np.array(values, np.float32) / np.float32(sum(values))
            found = tell(told, i * 400 * MS, given_votes, resting=resting, reliable=reliable)
            assert sum(found.smoothed) == pytest.approx(1.0, abs=1e-3)
            assert min(found.smoothed) >= -1e-6
            assert 0.0 <= found.confidence <= 1.0


class TestSlots:
    @pytest.mark.parametrize("fps", [7, 10, 15, 24, 30, 60])
    def test_never_more_than_the_rate_and_never_less_than_the_camera(self, fps: int) -> None:
        slots = Slots(10.0)
        due = sum(slots.due(i * SECOND // fps) for i in range(fps * 10))
        assert due == min(fps, 10) * 10

    def test_time_that_stands_or_goes_back_is_not_due(self) -> None:
        slots = Slots(10.0, phase=0.5)
        assert [slots.due(at * MS) for at in (0, 0, 49, 50, 20, 149, 150)] == [
            True,
            False,
            False,
            True,
            False,
            False,
            True,
        ]


class TestPixels:
    def test_a_cut_out_is_the_region(self) -> None:
        picture = noise(1, (60, 80))[0]
        assert np.array_equal(cut(picture, Region(25, 35, 20), 20), picture[25:45, 15:35])

    def test_outside_is_black(self) -> None:
        assert not cut(noise(1, (60, 80))[0], Region(-100, -100, 20), 20).any()

    @pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 3.9, -5.0])
    def test_regions_without_content_are_not_usable(self, value: float) -> None:
        assert not Region(0, 0, value).usable
        assert Region(0, 0, 4.0).usable

    @pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (480, 640), (640, 480), (20, 20)])
    def test_every_picture_fits_the_box(self, size: tuple[int, int]) -> None:
        view = letterbox(np.full((*size, 3), 255, np.uint8), 128, -1.0, 1.0)
        assert view.values.shape == (1, 128, 128, 3)
        assert view.values.max() == 1.0
        height, width = round(size[0] * view.scale), round(size[1] * view.scale)
        assert max(height, width) == 128
        assert thumbnail(np.zeros((*size, 3), np.uint8), 80, 60).shape == (60, 80)


@pytest.mark.models
class TestNetworks:
    def test_a_bundle_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "x.task"
        path.write_bytes(b"no zip")
        with pytest.raises(ValueError, match=r"no \.task bundle"):
            read_bundle(path)

    def test_inner_bundles_are_opened(self, tmp_path: Path) -> None:
        inner, outer = tmp_path / "inner.task", tmp_path / "outer.task"
        with zipfile.ZipFile(inner, "w") as bundle:
            bundle.writestr("a.tflite", b"a")
        with zipfile.ZipFile(outer, "w") as bundle:
            bundle.write(inner, "inner.task")
            bundle.writestr("b.tflite", b"b")
        assert read_bundle(outer) == {"a.tflite": b"a", "b.tflite": b"b"}

    def test_weights_that_are_none(self) -> None:
        with pytest.raises(ValueError, match="odel"):
            Network(b"no network at all")

    def test_inputs_are_checked(self) -> None:
        network = Network(resolve("fer").read_bytes())
        with pytest.raises(ValueError, match="argument"):
            network()
        with pytest.raises(ValueError, match=r"[Dd]imension|shape"):
            network(np.zeros((1, 3), np.float32))

    def test_the_wrong_anatomy_is_noticed(self) -> None:
        with pytest.raises(ValueError, match="anchors"):
            Detector(resolve("face-detector-full").read_bytes(), SHORT_RANGE_FACE)

    def test_anchors_are_those_of_mediapipe(self) -> None:
        assert [len(anchors(a.cells)) for a in (SHORT_RANGE_FACE, FULL_RANGE_FACE, PALM)] == [896, 2304, 2016]
        some = anchors(SHORT_RANGE_FACE.cells)[[0, 1, 2, -1]] * 16
        assert some.tolist() == [[0.5, 0.5], [0.5, 0.5], [1.5, 0.5], [15.0, 15.0]]

    def test_overlapping_finds_are_one(self) -> None:
        boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [5, 5, 5, 5]], np.float32)
        scores = np.array([0.6, 0.9, 0.7, 0.55], np.float32)
        points = np.zeros((4, 2, 2), np.float32)
        found = suppress(boxes, scores, points)
        assert [round(f.score, 2) for f in found] == [0.9, 0.7, 0.55]
        np.testing.assert_allclose(found[0].box, [0.6, 0, 10.6, 10], atol=1e-5)

    def test_no_canonical_face(self) -> None:
        empty = {"geometry_pipeline_metadata_landmarks.binarypb": struct.pack("<BBB", 0x0A, 1, 0x08)}
        with pytest.raises((ValueError, IndexError)):
            HeadPoser(empty)

    @pytest.mark.slow
    def test_faces_in_a_group_look_into_the_camera(self) -> None:
        photo = clip("multi-face")[0].pixels
        bundle = read_bundle(resolve("face-landmarker"))
        mesh, poser = FaceMesh(bundle), HeadPoser(bundle)
        found = Detector(resolve("face-detector-full").read_bytes(), FULL_RANGE_FACE)(photo)
        assert len(found) == 5
        for detection in found:
            face = mesh.face(photo, region_of(detection))
            assert face is not None
            assert face.presence > 10
            assert abs(poser(face).yaw) < 15
            assert mesh.movements(face)["mouthSmile"] > 0.3

    @pytest.mark.slow
    def test_a_mirrored_face_is_the_mirror_of_the_face(self) -> None:
        picture = clip("single-face")[0].pixels
        bundle = read_bundle(resolve("face-landmarker"))
        mesh, poser = FaceMesh(bundle), HeadPoser(bundle)
        detect = Detector(resolve("face-detector-full").read_bytes(), FULL_RANGE_FACE)
        poses, sights = [], []
        for view in (picture, np.ascontiguousarray(picture[:, ::-1])):
            face = mesh.face(view, region_of(detect(view)[0]))
            for _ in range(3):
                assert face is not None
                face = mesh.face(view, face.region)
            assert face is not None
            poses.append(poser(face))
            sights.append(line_of_sight(face, poses[-1]))
        assert poses[0].yaw == pytest.approx(-poses[1].yaw, abs=3)
        assert poses[0].roll == pytest.approx(-poses[1].roll, abs=2)
        assert poses[0].pitch == pytest.approx(poses[1].pitch, abs=3)
        assert sights[0].across == pytest.approx(-sights[1].across, abs=7)

    @pytest.mark.slow
    def test_no_face_in_noise(self) -> None:
        mesh = FaceMesh(read_bundle(resolve("face-landmarker")))
        for picture in noise(3):
            assert mesh.face(picture, Region(160, 120, 150)) is None
        assert mesh.face(noise(1)[0], Region(math.nan, 0, 100)) is None

    def test_movements_have_sides_and_a_mean(self) -> None:
        values = np.linspace(0, 1, 52).astype(np.float32)
        moves = Movements(values)
        assert moves["jawOpen"] == pytest.approx(values[MOVEMENTS.index("jawOpen")])
        assert moves["mouthSmile"] == pytest.approx((moves["mouthSmileLeft"] + moves["mouthSmileRight"]) / 2)
        with pytest.raises(KeyError):
            moves["nothing"]
        with pytest.raises(ValueError, match="52"):
            Movements(values[:5])
