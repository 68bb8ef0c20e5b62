"""The encoder's states: shape, alignment, and what it does with too little and too much sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.models import resolve
from perception.media import RATE_HZ
from policy.sound import LONGEST, MODEL, TOKEN, TOKENS_PER_S, WIDTH, Ears, tokens
from tests.speech_samples import SENTENCES, say, silence


@pytest.fixture(scope="module")
def ears() -> Ears:
    return Ears(resolve(MODEL))


def test_a_second_has_six_and_a_quarter_tokens(ears: Ears) -> None:
    sound = say(SENTENCES[0])
    states = ears.states(sound)
    assert states.dtype == np.float32
    assert states.shape == (tokens(len(sound)), WIDTH)
    assert abs(len(states) - len(sound) / RATE_HZ * TOKENS_PER_S) <= 0.5


def test_the_same_sound_gives_the_same_states(ears: Ears) -> None:
    sound = say(SENTENCES[1])
    np.testing.assert_array_equal(ears.states(sound), ears.states(sound.copy()))


def test_other_words_give_other_states(ears: Ears) -> None:
    a, b = (ears.states(say(SENTENCES[n])[: 2 * RATE_HZ]) for n in (0, 1))
    assert np.abs(a - b).mean() > 0.2


@pytest.mark.parametrize(
    ("samples", "count"),
    [(0, 0), (TOKEN // 2 - 1, 0), (TOKEN // 2, 1), (TOKEN, 1), (3 * TOKEN // 2, 2), (TOKEN + 1, 1)],
)
def test_half_a_token_counts_and_less_does_not(ears: Ears, samples: int, count: int) -> None:
    assert ears.states(silence(1.0)[:samples]).shape == (count, WIDTH)


def test_the_rest_of_a_begun_token_is_zeros(ears: Ears) -> None:
    last = ears.states(say(SENTENCES[2])[: TOKEN + 5 * TOKEN // 8])[-1].reshape(8, -1)
    assert np.abs(last[:5]).min(axis=0).max() > 0
    assert not last[5:].any()


def test_tokens_stand_where_the_sound_is(ears: Ears) -> None:
    """Speech after a second of silence: the states of the silence move less than those of the speech."""
    quiet = silence(2 * TOKEN / RATE_HZ * 4)
    speech = say(SENTENCES[3])[: 8 * TOKEN]
    first = ears.states(np.concatenate([quiet, speech]))
    second = ears.states(np.concatenate([quiet, speech[::-1]]))
    moved = np.abs(first - second).mean(axis=1)
    assert moved[10:].mean() > 2 * moved[:6].mean()


def test_silence_is_finite_and_even(ears: Ears) -> None:
    states = ears.states(np.zeros(2 * RATE_HZ, np.float32))
    assert np.isfinite(states).all()


def test_long_sound_is_encoded_piece_by_piece(ears: Ears) -> None:
    sound = np.resize(say(SENTENCES[4]), LONGEST + 2 * RATE_HZ)
    states = ears.states(sound)
    np.testing.assert_array_equal(states[:187], ears.states(sound[:LONGEST]))
    np.testing.assert_array_equal(states[187:], ears.states(sound[LONGEST:]))


def test_what_is_no_sound_is_refused(ears: Ears) -> None:
    with pytest.raises(ValueError, match=r"shape \(n,\)"):
        ears.states(np.zeros((2, 100), np.float32))


def test_a_folder_without_a_model_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model\.bin in .*agent models fetch whisper-tiny-en"):
        Ears(tmp_path)


def test_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="states of 512 numbers, not 384; it has to be 'whisper-tiny-en'"):
        Ears(resolve("whisper-base")).states(silence(1.0))
