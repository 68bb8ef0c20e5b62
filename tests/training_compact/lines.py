"""Examples small enough for the tiny base: a word or two of text, a look, a tone, a little sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from policy.script import Look, Piece, Sound, Tone, Words, answering
from policy.signals import LOOK, TONE
from policy.training.examples import BAD, GOOD, OPTION, Branch, Example


def look(seed: int = 0) -> Look:
    return Look(np.random.default_rng(seed).random(LOOK).astype(np.float32))


def tone(seed: int = 0) -> Tone:
    return Tone(np.random.default_rng(seed + 100).random(TONE).astype(np.float32))


def sound(seed: int = 0, tokens: int = 2) -> Sound:
    return Sound(np.random.default_rng(seed + 200).standard_normal((tokens, 3072)).astype(np.float32))


def told(words: str = "My dog died.", *felt: Piece) -> tuple[Piece, ...]:
    felt = felt or (look(), sound(), tone())
    return (Words("<|im_start|>user\n"), *felt, Words(f"{words}\n"), answering())


def situation(seed: int = 0) -> Example:
    return Example(
        id=f"s-{seed}",
        pieces=told("My dog died.", look(seed), sound(seed), tone(seed)),
        branches=(
            Branch(text="I am so sorry.", role=GOOD, strategy="affirmation", emotion="sad"),
            Branch(text="What was his name?", role=GOOD, strategy="question", emotion="sad"),
            Branch(text="Cheer up!", role=BAD, strategy="affirmation", emotion="sad"),
        ),
        strategies=("affirmation", "question"),
        emotions=("sad", "concern"),
        words="My dog died.",
        mood="grief",
    )


def question(answer: int = 1) -> Example:
    options = ("joy", "grief", "anger")
    return Example(
        id="q-0",
        pieces=told("He was ten.", look(3), tone(3)),
        branches=tuple(Branch(text=option, role=OPTION) for option in options),
        answer=answer,
        words="He was ten.",
    )


def with_pieces(example: Example, *pieces: Piece) -> Example:
    return replace(example, pieces=pieces)


def pair() -> list[Example]:
    return [situation(), question()]


def draws(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
