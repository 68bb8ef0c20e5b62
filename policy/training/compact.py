"""The student of the embedded mind: SmolLM2 with an adapter, and what it is taught at once.

From one forward pass over a conversation and its branches come four losses: which strategies and which display
emotions fit (binary cross-entropy over all of them, for several may), how a good reply goes on word by word, and which
of the branches fits best: the right option of a question, a good reply before a bad one.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn import functional

from policy.decision import LEARNED_EMOTIONS
from policy.head import STRATEGY_NAMES
from policy.listener import (
    FIT,
    LORA_CONFIG,
    SENSES,
    WHOLE,
    Senses,
    Unit,
    base_name,
    check_card,
    embedding_scale,
    load_senses,
    replace_weights,
    row,
    token_ids,
    units,
    write_card,
)
from policy.lm import END_OF_MESSAGE
from policy.script import Piece
from policy.training.examples import BAD, GOOD, OPTION, Example
from policy.training.student import Sample
from policy.training.trees import Batch, Tree, pack, tree_of
from policy.training.updates import load_updates

_EMOTION_FROM, _EMOTION_TO = len(STRATEGY_NAMES), len(STRATEGY_NAMES) + len(LEARNED_EMOTIONS)
_TARGETS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each loss counts.

    Attributes:
        choose: strategies and emotions.
        reply: words of good replies.
        fit: right option, and good reply before bad.
    """

    choose: float = 3.0
    reply: float = 1.0
    fit: float = 1.0

    def __post_init__(self) -> None:
        for name in ("choose", "reply", "fit"):
            if not 0.0 <= getattr(self, name) <= 100.0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected a number from 0 to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank updates of all linear layers.

    Attributes:
        rank: of each update.
        alpha: updates are scaled by ``alpha / rank``.
        dropout: share of inputs of the updates that are dropped, 0..1.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rank", "alpha"):
            if not 1 <= getattr(self, name) <= 1024:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected a whole number from 1 to 1024")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout!r}, expected a share from 0, less than 1")


class CompactStudent:
    """SmolLM2 with an adapter in training; see :class:`policy.training.student.Student`.

    Args:
        base: folder of the base model.
        lora: ``None`` trains all parameters.
        weights: of the losses.
        bf16: whether the base is kept, and matrices are multiplied, in bfloat16.
        seed: of the initial adapter.
    """

    def __init__(
        self,
        base: Path,
        *,
        lora: Lora | None = None,
        weights: Weights | None = None,
        bf16: bool = False,
        seed: int = 0,
    ) -> None:
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        dtype = torch.bfloat16 if bf16 and lora is not None else torch.float32
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, local_files_only=True)
        self._base = base_name(base, model.config)
        self._tokenizer: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
        self._weights, self._bf16, self._lora = weights or Weights(), bf16, lora
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.senses = Senses(model.config.hidden_size, embedding_scale(model))
            self._name_rows(model)
            if lora is not None:
                from peft import LoraConfig, get_peft_model

                config = LoraConfig(
                    r=lora.rank,
                    lora_alpha=lora.alpha,
                    lora_dropout=lora.dropout,
                    target_modules=list(_TARGETS),
                    bias="none",
                    task_type="CAUSAL_LM",
                )
                with warnings.catch_warnings():
                    # The library asks for a property that transformers has given another name.
                    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
                    model = get_peft_model(model, config)
        self._model: Any = model
        self._inner: Any = model.get_base_model() if lora is not None else model
        self._kept: dict[str, torch.Tensor] | None = None
        self._end: Any = self._tokenizer.token_to_id(END_OF_MESSAGE)
        self.train(False)

    def _name_rows(self, model: Any) -> None:
        """Let each row begin as its own name reads, in front of a reply and behind a message."""
        embeddings = model.get_input_embeddings().weight.detach().float()
        with torch.no_grad():
            for place, name in enumerate((*STRATEGY_NAMES, *LEARNED_EMOTIONS)):
                mean = embeddings[self.encode(f" {name}")].mean(0)
                self.senses.rows_in[place] = mean
                self.senses.rows_out[place] = 0.1 * mean

    @property
    def base(self) -> str:
        """Name of the base model."""
        return self._base

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``; markers of the chat template count as such."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """Return what is trained: the adapter as ``model.*``, projectors and rows as ``senses.*``."""
        found = {f"model.{name}": p for name, p in self._model.named_parameters() if p.requires_grad}
        return found | {f"senses.{name}": p for name, p in self.senses.named_parameters()}

    def train(self, on: bool = True) -> None:
        """Turn dropout on or off."""
        self._model.train(on)

    def loss(self, examples: Sequence[Example]) -> tuple[torch.Tensor, Mapping[str, float]]:
        """Return the weighted sum of the losses that the examples allow, and each of them."""
        self.train()
        try:
            return self._losses(examples)
        finally:
            self.train(False)

    def _losses(self, examples: Sequence[Example]) -> tuple[torch.Tensor, Mapping[str, float]]:
        batch = pack([tree_of(example, self.encode) for example in examples])
        hidden = self._hidden(batch)
        parts: dict[str, list[torch.Tensor]] = {"choose": [], "reply": [], "fit": []}
        picked: list[tuple[int, int]] = []
        targets: list[int] = []
        for b, example in enumerate(examples):
            if example.strategies:
                parts["choose"].append(_choosing(self.senses.score(hidden[b, batch.trunk_ends[b]]), example))
            if example.branches:
                ends = hidden[b, [stop - 1 for stop in batch.stops[b]]]
                fitting = self.senses.score(ends)[:, FIT]
                parts["fit"].append(_fitting(fitting, example))
            for n, branch in enumerate(example.branches):
                if branch.role == GOOD:
                    first, stop = batch.starts[b][n] + 2, batch.stops[b][n]
                    picked += [(b, place - 1) for place in range(first, stop)]
                    targets += [int(unit) for unit in batch.units[b][first:stop] if isinstance(unit, int)]
        if picked:
            rows, places = (list(side) for side in zip(*picked, strict=True))
            logits = self._logits(hidden[rows, places])
            parts["reply"].append(functional.cross_entropy(logits.float(), torch.tensor(targets)))
        means = {name: torch.stack(values).mean() for name, values in parts.items() if values}
        total = sum((getattr(self._weights, name) * value for name, value in means.items()), torch.zeros(()))
        return total, {name: float(value.detach()) for name, value in means.items()}

    def scores(self, examples: Sequence[Example]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return, for each example, the scores of all rows after the conversation, and the fit of each branch."""
        with torch.no_grad():
            batch = pack([tree_of(example, self.encode) for example in examples])
            hidden = self._hidden(batch)
            out = []
            for b in range(len(examples)):
                ends = hidden[b, [stop - 1 for stop in batch.stops[b]]]
                out.append((self.senses.score(hidden[b, batch.trunk_ends[b]]), self.senses.score(ends)[..., FIT]))
            return out

    def likelihoods(self, items: Sequence[tuple[Sequence[Piece], Sequence[str]]]) -> list[list[float]]:
        """Return, for each conversation, the mean log-likelihood per token of each text that may follow it."""
        with torch.no_grad():
            found = [
                Tree(tuple(units(pieces, self.encode)), tuple(tuple(self.encode(text)) for text in texts))
                for pieces, texts in items
            ]
            batch = pack(found)
            hidden = self._hidden(batch)
            out: list[list[float]] = []
            for b, tree in enumerate(found):
                out.append([])
                for start, branch in zip(batch.starts[b], tree.branches, strict=True):
                    places = [batch.trunk_ends[b], *range(start, start + len(branch) - 1)]
                    scores = self._logits(hidden[b, places]).float().log_softmax(-1)
                    out[-1].append(float(scores.gather(-1, torch.tensor(token_ids(branch))[:, None]).mean()))
            return out

    def sample(
        self, example: Example, count: int, *, generator: torch.Generator, temperature: float, most: int
    ) -> list[Sample]:
        """Draw a strategy and an emotion, then a reply, ``count`` times; ``temperature`` 0 takes the likeliest."""
        from transformers import DynamicCache

        def draw(logits: torch.Tensor) -> torch.Tensor:
            if temperature <= 0:
                return logits.argmax(-1)
            return torch.multinomial((logits.float() / temperature).softmax(-1), 1, generator=generator)[:, 0]

        with torch.no_grad(), self._precision():
            trunk = tree_of(example, self.encode).trunk
            cache = DynamicCache(config=self._inner.config)
            hidden = self._forward([trunk], cache=cache)[:, -1]
            scores = self.senses.score(hidden).expand(count, -1)
            strategy = draw(scores[:, :_EMOTION_FROM])
            emotion = draw(scores[:, _EMOTION_FROM:_EMOTION_TO])
            names = [(STRATEGY_NAMES[int(s)], LEARNED_EMOTIONS[int(e)]) for s, e in zip(strategy, emotion, strict=True)]
            cache.batch_repeat_interleave(count)
            hidden = self._forward([[row(s), row(e)] for s, e in names], cache=cache)[:, -1]
            written: list[list[int]] = [[] for _ in range(count)]
            open_ = [True] * count
            while any(open_) and max(map(len, written)) < most:
                tokens = draw(self._logits(hidden))
                for n, token in enumerate(map(int, tokens)):
                    if open_[n]:
                        written[n].append(token)
                        open_[n] = token != self._end
                hidden = self._forward([[int(token)] for token in tokens], cache=cache)[:, -1]
        out = []
        for n, ids in enumerate(written):
            reply = self._tokenizer.decode([i for i in ids if i != self._end], skip_special_tokens=False).strip()
            lead = (int(strategy[n]), int(emotion[n]))
            out.append(Sample((*lead, *ids), f"{names[n][0]} {names[n][1]} | {reply}", ended=not open_[n]))
        return out

    def logprobs(self, example: Example, samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log-probabilities of strategy, emotion and each token of ``samples``, and their mask."""
        trunk = tree_of(example, self.encode).trunk
        leads = [(row(STRATEGY_NAMES[s.ids[0]]), row(LEARNED_EMOTIONS[s.ids[1]])) for s in samples]
        branches: list[tuple[Unit, ...]] = [(*lead, *s.ids[2:]) for lead, s in zip(leads, samples, strict=True)]
        batch = pack([Tree(trunk, tuple(branches))])
        hidden = self._hidden(batch)[0]
        scores = self.senses.score(hidden[batch.trunk_ends[0]])
        strategy = scores[:_EMOTION_FROM].log_softmax(-1)
        emotion = scores[_EMOTION_FROM:_EMOTION_TO].log_softmax(-1)
        longest = max(len(s.ids) for s in samples)
        values, mask = [], torch.zeros(len(samples), longest)
        for n, sample in enumerate(samples):
            first, stop = batch.starts[0][n] + 2, batch.stops[0][n]
            logits = self._logits(hidden[first - 1 : stop - 1]).float().log_softmax(-1)
            told = logits.gather(-1, torch.tensor(sample.ids[2:])[:, None])[:, 0]
            found = torch.cat([strategy[sample.ids[0]][None], emotion[sample.ids[1]][None], told])
            values.append(functional.pad(found, (0, longest - len(found))))
            mask[n, : len(found)] = 1.0
        return torch.stack(values), mask

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Let :meth:`logprobs` be those of the weights that :meth:`keep_reference` took last, or the first ones."""
        if self._kept is None:
            self.keep_reference()
        assert self._kept is not None
        before = {name: p.data for name, p in self.parameters().items()}
        try:
            for name, p in self.parameters().items():
                p.data = self._kept[name]
            with torch.no_grad():
                yield
        finally:
            for name, p in self.parameters().items():
                p.data = before[name]

    def keep_reference(self) -> None:
        """Take the present weights as the reference."""
        self._kept = {name: p.detach().clone() for name, p in self.parameters().items()}

    def save(self, folder: Path) -> None:
        """Write the adapter; see :mod:`policy.listener`."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        if self._lora is not None:
            self._model.save_pretrained(folder, save_embedding_layers=False)
            (folder / "README.md").unlink(missing_ok=True)
            # The library writes the path of this machine, and the modules in no order.
            config = json.loads((folder / LORA_CONFIG).read_text(encoding="utf-8"))
            config |= {"base_model_name_or_path": self.base, "target_modules": sorted(config["target_modules"])}
            (folder / LORA_CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        else:
            weights = {name: p.detach().contiguous() for name, p in self._model.named_parameters()}
            save_file(weights, folder / WHOLE)
        save_file({name: value.contiguous() for name, value in self.senses.state_dict().items()}, folder / SENSES)
        write_card(folder, self.base)

    def load(self, folder: Path) -> None:
        """Read what :meth:`save` wrote. The reference stays what it was before.

        Raises:
            BaseMismatch: it belongs to another base.
            AdapterError: it cannot be read, or updates other weights than this student, or at another rank.
        """
        check_card(folder, self.base)
        senses = load_senses(folder, self._inner.config.hidden_size)
        if self._kept is None:
            self.keep_reference()
        if self._lora is not None:
            load_updates(self._model, folder)
        else:
            replace_weights(self._model, folder)
        self.senses.load_state_dict(senses.state_dict())

    def _precision(self) -> Any:
        return torch.autocast("cpu", torch.bfloat16) if self._bf16 else nullcontext()

    def _forward(self, found: Sequence[Sequence[Any]], **more: Any) -> torch.Tensor:
        ids = torch.tensor([token_ids(row_) for row_ in found])
        embedded = self.senses.place(self._inner.get_input_embeddings()(ids), found)
        out: torch.Tensor = self._inner.model(inputs_embeds=embedded, use_cache=True, **more).last_hidden_state
        return out

    def _hidden(self, batch: Batch) -> torch.Tensor:
        with self._precision():
            embedded = self.senses.place(self._inner.get_input_embeddings()(batch.ids), batch.units)
            out: torch.Tensor = self._inner.model(
                inputs_embeds=embedded,
                attention_mask=batch.mask.to(embedded.dtype),
                position_ids=batch.positions,
                use_cache=False,
            ).last_hidden_state
            return out

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        with self._precision():
            out: torch.Tensor = self._inner.lm_head(hidden)
            return out


def _choosing(scores: torch.Tensor, example: Example) -> torch.Tensor:
    strategies = torch.tensor([float(name in example.strategies) for name in STRATEGY_NAMES])
    emotions = torch.tensor([float(name in example.emotions) for name in LEARNED_EMOTIONS])
    first = functional.binary_cross_entropy_with_logits(scores[:_EMOTION_FROM], strategies)
    second = functional.binary_cross_entropy_with_logits(scores[_EMOTION_FROM:_EMOTION_TO], emotions)
    return first + second


def _fitting(scores: torch.Tensor, example: Example) -> torch.Tensor:
    """Return the loss of choosing among branches: cross-entropy of a question, good before bad of a situation."""
    if example.answer >= 0:
        return functional.cross_entropy(scores[None], torch.tensor([example.answer]))
    good = torch.stack([s for s, b in zip(scores, example.branches, strict=True) if b.role == GOOD])
    bad = torch.stack([s for s, b in zip(scores, example.branches, strict=True) if b.role == BAD])
    assert all(branch.role != OPTION for branch in example.branches)
    return functional.softplus(bad[None, :] - good[:, None]).mean()
