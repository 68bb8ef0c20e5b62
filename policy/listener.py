"""What makes a small language model a listener: projectors for sound, face and voice, and rows that choose.

``Senses`` turns the pieces of :mod:`policy.script` that are no words into vectors of the width of the model's token
embeddings, as LLaVA (Liu et al. 2023) does with pictures: eight stacked encoder states become one token, a look or a
tone another. Strategies and display emotions have rows of their own beside the vocabulary: after the person's message
their scores are read off the last hidden state, and the rows of those that were chosen are what the reply is
written after. One more row scores how well a text fits the conversation in front of it.

An adapter is a folder: ``listener.json`` (format, base, names, widths), ``senses.safetensors``, and, from
`peft <https://huggingface.co/docs/peft>`_, ``adapter_config.json`` and ``adapter_model.safetensors`` with low-rank
updates (LoRA, Hu et al. 2021), which are added to the base's weights as they are loaded; or ``model.safetensors``
where all parameters were trained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from policy.decision import LEARNED_EMOTIONS
from policy.head import STRATEGY_NAMES
from policy.script import Look, Piece, Sound, Tone, Words
from policy.signals import LOOK, TONE
from policy.sound import WIDTH

FORMAT: Final = 1
ROWS: Final = (*STRATEGY_NAMES, *LEARNED_EMOTIONS, "fit")
FIT: Final = len(ROWS) - 1
CARD, SENSES, LORA, LORA_CONFIG, WHOLE = (
    "listener.json", "senses.safetensors", "adapter_model.safetensors", "adapter_config.json", "model.safetensors",
)  # fmt: skip

_WIDTH_SOUND, _WIDTH_NUMBERS = 512, 128
_PEFT_PREFIX: Final = "base_model.model."


class BaseMismatch(ValueError):
    """Weights belong to another base model than the one they are loaded into; the message names both."""


class AdapterError(ValueError):
    """A folder holds no adapter that this version can read; the message names it and what is wrong."""


@dataclass(frozen=True, slots=True)
class Felt:
    """A unit that is no token: one vector's worth of a look, a tone or sound, or a row. Equal if its content is.

    Attributes:
        kind: ``look``, ``tone``, ``sound`` or ``row``.
        key: digest of the numbers; of a row, its index.
        numbers: what is projected, shape ``(width,)``; ``None`` for a row.
    """

    kind: str
    key: bytes | int
    numbers: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Felt) and (self.kind, self.key) == (other.kind, other.key)

    def __hash__(self) -> int:
        return hash((self.kind, self.key))


Unit = int | Felt
"""A token id, or what is felt."""


def row(name: str) -> Felt:
    """Return the row of a strategy or a display emotion, to be read in front of a reply."""
    return Felt("row", ROWS.index(name))


def felt(piece: Look | Tone | Sound) -> list[Felt]:
    """Return a piece as units: one for a look or a tone, one for each token of sound."""
    if isinstance(piece, Sound):
        return [_felt("sound", state) for state in piece.states]
    return [_felt("look" if isinstance(piece, Look) else "tone", piece.numbers)]


def _felt(kind: str, numbers: Any) -> Felt:
    numbers = np.ascontiguousarray(numbers, np.float32)
    return Felt(kind, blake2b(numbers.tobytes(), digest_size=12).digest(), numbers)


def units(pieces: Sequence[Piece], encode: Any) -> list[Unit]:
    """Return pieces as units; each text is encoded by itself, so that what is appended never changes what was."""
    out: list[Unit] = []
    for piece in pieces:
        out.extend(encode(piece.text) if isinstance(piece, Words) else felt(piece))
    return out


class Senses(nn.Module):
    """Projectors and rows.

    Args:
        hidden: width of the language model.
        scale: mean length of its token embeddings, which projected vectors begin with.
    """

    def __init__(self, hidden: int, scale: float = 1.0) -> None:
        super().__init__()
        self.sound = _projector(WIDTH, min(_WIDTH_SOUND, 4 * hidden), hidden)
        self.look = _projector(LOOK, _WIDTH_NUMBERS, hidden)
        self.tone = _projector(TONE, _WIDTH_NUMBERS, hidden)
        self.scales = nn.Parameter(torch.full((3,), scale))
        self.rows_in = nn.Parameter(torch.randn(len(ROWS), hidden) * scale / hidden**0.5)
        self.rows_out = nn.Parameter(torch.zeros(len(ROWS), hidden))
        self.bias = nn.Parameter(torch.zeros(len(ROWS)))

    def place(self, embedded: torch.Tensor, batch: Sequence[Sequence[Unit]]) -> torch.Tensor:
        """Return ``embedded`` with the vectors of all that is felt put in.

        Args:
            embedded: token embeddings, shape ``(batch, length, hidden)``, whatever where something is felt.
            batch: units of each row of it, at most ``length``.
        """
        out = embedded
        for n, kind in enumerate(("sound", "look", "tone")):
            at = [(b, i, u.numbers) for b, row_ in enumerate(batch) for i, u in _felts(row_) if u.kind == kind]
            if at:
                numbers = torch.from_numpy(np.stack([a[2] for a in at]))
                vectors = getattr(self, kind)(numbers) * self.scales[n]
                out = _put(out, [(b, i) for b, i, _ in at], vectors)
        rows = [(b, i, u.key) for b, row_ in enumerate(batch) for i, u in _felts(row_) if u.kind == "row"]
        if rows:
            out = _put(out, [(b, i) for b, i, _ in rows], self.rows_in[[int(key) for _, _, key in rows]])
        return out

    def score(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the scores of all rows, shape ``(..., len(ROWS))``, for last hidden states ``(..., hidden)``."""
        out: torch.Tensor = hidden.float() @ self.rows_out.T + self.bias
        return out


def _projector(width: int, middle: int, hidden: int) -> nn.Sequential:
    last = nn.LayerNorm(hidden, elementwise_affine=False)
    first = nn.LayerNorm(width, elementwise_affine=False) if width == WIDTH else nn.Identity()
    return nn.Sequential(first, nn.Linear(width, middle), nn.GELU(), nn.Linear(middle, hidden), last, _Shrink(hidden))


class _Shrink(nn.Module):
    """Makes a vector of unit variance one of unit length."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self._by = float(hidden**-0.5)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = values * self._by
        return out


def _felts(found: Sequence[Unit]) -> list[tuple[int, Felt]]:
    return [(i, unit) for i, unit in enumerate(found) if isinstance(unit, Felt)]


def _put(out: torch.Tensor, at: Sequence[tuple[int, int]], vectors: torch.Tensor) -> torch.Tensor:
    places = tuple(torch.tensor(list(side)) for side in zip(*at, strict=True))
    return out.index_put(places, vectors.to(out.dtype))


def token_ids(found: Sequence[Unit]) -> list[int]:
    """Return token ids, 0 where something is felt."""
    return [unit if isinstance(unit, int) else 0 for unit in found]


def base_name(folder: Path, config: Any) -> str:
    """Return how a base model is called in adapters: the folder's name and the shape, which must both agree."""
    shape = (
        f"{config.model_type}, {config.num_hidden_layers} layers of {config.hidden_size}, {config.vocab_size} tokens"
    )
    return f"{folder.name} ({shape})"


def embedding_scale(model: Any) -> float:
    """Return the mean length of a model's token embeddings."""
    return float(model.get_input_embeddings().weight.detach().float().norm(dim=-1).mean())


def write_card(folder: Path, base: str) -> None:
    """Write ``listener.json``."""
    card = {"format": FORMAT, "base": base, "rows": list(ROWS), "look": LOOK, "tone": TONE, "sound": WIDTH}
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def check_card(folder: Path, base: str) -> None:
    """Check that an adapter is one of this version and for ``base``.

    Raises:
        AdapterError: it is not of this version, or none at all.
        BaseMismatch: it belongs to another base.
    """
    try:
        card: Any = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except OSError:
        raise AdapterError(
            f"{folder}: holds no {CARD}; name a folder that `agent train` or the package wrote"
        ) from None
    except ValueError as error:
        raise AdapterError(f"{folder / CARD}: is no JSON ({error}); copy the adapter anew") from None
    if not isinstance(card, dict):
        raise AdapterError(f"{folder / CARD}: is no JSON object; copy the adapter anew")
    if card.get("base") != base:
        raise BaseMismatch(f"{folder}: was trained on {card.get('base')!r}, and this base is {base!r}; use that base")
    wanted = {"format": FORMAT, "rows": list(ROWS), "look": LOOK, "tone": TONE, "sound": WIDTH}
    for key, value in wanted.items():
        if card.get(key) != value:
            raise AdapterError(f"{folder / CARD}: {key} is {card.get(key)!r}, and this version reads {value!r}")


def load_senses(folder: Path, hidden: int) -> Senses:
    """Read ``senses.safetensors``.

    Raises:
        AdapterError: a tensor is missing or of another shape.
    """
    senses = Senses(hidden)
    found = tensors(folder / SENSES)
    try:
        senses.load_state_dict({name: value.float() for name, value in found.items()})
    except RuntimeError as error:
        raise AdapterError(f"{folder / SENSES}: does not fit this version ({str(error).splitlines()[0]})") from None
    return senses


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of an adapter.

    Raises:
        AdapterError: it is missing or no safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path}: cannot be read ({error}); copy the adapter anew") from None


def merge(model: Any, folder: Path) -> None:
    """Add the low-rank updates of ``folder`` to the weights of ``model``, or replace them where all were trained.

    Raises:
        AdapterError: a file is missing or broken, or an update has no weight that it belongs to.
    """
    if (folder / WHOLE).exists():
        replace_weights(model, folder)
        return
    try:
        config = json.loads((folder / LORA_CONFIG).read_text(encoding="utf-8"))
        strength = float(config["lora_alpha"]) / float(config["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{folder / LORA_CONFIG}: cannot be read ({error!r}); copy the adapter anew") from None
    found = tensors(folder / LORA)
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, down in found.items():
            if ".lora_A." not in name:
                continue
            target = name.removeprefix(_PEFT_PREFIX).partition(".lora_A.")[0]
            up = found.get(name.replace(".lora_A.", ".lora_B."))
            if target not in modules:
                raise AdapterError(f"{folder / LORA}: {target} is no part of this base")
            weight = modules[target].weight
            if up is None or (len(up), down.shape[1]) != tuple(weight.shape):
                raise AdapterError(f"{folder / LORA}: the update of {target} does not fit its weight")
            weight += (strength * (up.float() @ down.float())).to(weight.dtype)


def replace_weights(model: Any, folder: Path) -> None:
    """Put the weights of an adapter of which all parameters were trained into ``model``.

    Raises:
        AdapterError: the file is missing or broken, or its weights are not those of the model.
    """
    found = tensors(folder / WHOLE)
    wanted = {name for name, _ in model.named_parameters()}
    if differing := sorted(wanted ^ found.keys()):
        raise AdapterError(f"{folder / WHOLE}: {differing[0]} is on one side only, in this file or in the base")
    try:
        model.load_state_dict(found, strict=False)
    except RuntimeError as error:
        raise AdapterError(f"{folder / WHOLE}: does not fit this base ({' '.join(str(error).split())})") from None
