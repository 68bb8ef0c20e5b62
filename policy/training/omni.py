"""Qwen2.5-Omni as a student: the thinker learns to answer questions about what it sees and hears.

Written out here rather than left to ``generate`` and ``forward`` of the library, for three reasons. The media of a
question go through the towers once, however many answers are explored. Logits are made where an answer stands and
nowhere else: at 16,384 tokens of prompt and 152,064 words those of a whole row would take 10 GB. And sampling draws
from a generator that is handed in, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from policy.training import omni_weights as weights
from policy.training.omni_example import OmniExample
from policy.training.omni_inputs import Inputs, Limits, Prompt
from policy.training.omni_weights import LoraRecipe
from policy.training.student import Sample

if TYPE_CHECKING:
    import torch

_LOGITS_AT_ONCE: Final = 512
"""Positions whose logits are in memory at the same time: 0.3 GB at 152,064 words."""


class OmniStudent:
    """A :class:`policy.training.student.Student`; see :meth:`open`.

    Args:
        thinker: ``Qwen2_5OmniThinkerForConditionalGeneration``, its trained parameters with a gradient.
        inputs: makes its prompts.
        base: name and fingerprint of the base model.
        lora: how the adapter in it was made; ``None`` where all parameters are trained.
        rows: answers that go through the model together.
    """

    def __init__(self, thinker: Any, inputs: Inputs, base: str, lora: LoraRecipe | None, rows: int) -> None:
        self._thinker = thinker
        self._inputs = inputs
        self._base = base
        self._lora = lora
        self._rows = rows
        self._parameters: dict[str, torch.nn.Parameter] = {
            name: parameter for name, parameter in thinker.named_parameters() if parameter.requires_grad
        }
        towers = ("model.audio_tower.", "model.visual.")
        self._towers_learn = any(name.startswith(towers) for name in self._parameters)
        self._origin: dict[str, torch.Tensor] | None = None
        if lora is None:
            self._remember()

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        lora: LoraRecipe | None,
        dtype: torch.dtype,
        device: str = "cpu",
        adapter: Path | None = None,
        towers: bool = True,
        checkpointing: bool = False,
        limits: Limits | None = None,
        rows: int = 8,
        attention: str = "sdpa",
        seed: int = 0,
    ) -> OmniStudent:
        """Load a base model to be trained.

        Args:
            folder: with the weights of the whole model, as published, or of its thinker alone.
            lora: trains an adapter; ``None`` trains all parameters.
            dtype: of the base; all parameters are trained in float32 only.
            device: where it computes.
            adapter: what an earlier stage has trained, to begin from; it is the reference from then on.
            towers: whether the towers learn too where all parameters do.
            checkpointing: whether activations are computed again for the gradient instead of kept.
            limits: how much of the media is read.
            rows: answers that go through the model together.
            attention: implementation, as transformers names it.
            seed: of the adapter's first values.

        Raises:
            FileNotFoundError: the folder lacks weights or ``tokenizer.json``.
            BaseMismatch: ``adapter`` belongs to another base.
            ValueError: a setting makes no sense.
        """
        import torch
        from transformers import Qwen2_5OmniThinkerForConditionalGeneration

        if rows < 1:
            raise ValueError(f"rows is {rows}; it is at least 1")
        if lora is None and dtype != torch.float32:
            raise ValueError(
                f"all parameters are to be trained in {dtype}, where steps of usual size are rounded away; "
                "use float32, or an adapter"
            )
        base = f"{folder.resolve().name}@{weights.fingerprint(folder)}"
        # Straight onto the device: eight processes that each held the weights in memory first would need 143 GB of it.
        thinker = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, local_files_only=True, attn_implementation=attention, device_map={"": device}
        )
        if lora is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                weights.inject(thinker, lora)
        elif not towers:
            thinker.model.audio_tower.requires_grad_(False)
            thinker.model.visual.requires_grad_(False)
        if checkpointing:
            thinker.activation_checkpointing_enable({"use_reentrant": False})
        student = cls(thinker, Inputs(folder, thinker, limits or Limits()), base, lora, rows)
        if adapter is not None:
            student.load(adapter)
            student._remember()
        return student

    @property
    def base(self) -> str:
        """Name of the base's folder and a fingerprint of its weights; for :meth:`load` only the latter has to agree."""
        return self._base

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """Return what is trained, by name."""
        return self._parameters

    def loss(self, examples: Sequence[OmniExample]) -> tuple[torch.Tensor, Mapping[str, float]]:
        """Return the cross-entropy on the targets, mean over the tokens of each, then over the examples.

        Figures: ``tokens`` of a target with its end, ``accuracy`` (share of tokens that are the likeliest) and
        ``thinned`` (frames that were left out), all as means over the examples.

        Raises:
            ValueError: there are no examples, or one cannot be used.
        """
        if not examples:
            raise ValueError("there are no examples to compute a loss of")
        self._mode(learning=True, dropout=True)
        prompts = [self._inputs.prompt(example) for example in examples]
        targets = [self._inputs.target(example.target) for example in examples]
        rows = [(prompt, self._embedded(prompt), ids) for prompt, ids in zip(prompts, targets, strict=True)]
        hidden, wanted, mask = self._hidden(rows)
        logprobs, right = self._scores(hidden, wanted, suppress=())
        counts = mask.sum(1)
        loss = -((logprobs * mask).sum(1) / counts).mean()
        accuracy = float(((right * mask).sum(1) / counts).mean())
        thinned = sum(prompt.thinned for prompt in prompts) / len(prompts)
        return loss, {"tokens": float(counts.mean()), "accuracy": accuracy, "thinned": thinned}

    def sample(
        self, example: OmniExample, count: int, *, generator: torch.Generator, temperature: float, most: int
    ) -> list[Sample]:
        """Return ``count`` answers to one example; placeholders of media are never among their tokens.

        Args:
            example: the question.
            count: how many answers.
            generator: what chance is drawn from.
            temperature: divides the logits; 0 takes the likeliest token each time.
            most: tokens of an answer, its end among them.
        """
        import torch
        from transformers import DynamicCache

        if count < 1 or most < 1 or temperature < 0:
            raise ValueError(f"count {count} and most {most} are at least 1, temperature {temperature} at least 0")
        self._mode(learning=False)
        with torch.no_grad():
            prompt = self._inputs.prompt(example)
            language = self._thinker.model.language_model
            cache = DynamicCache(config=self._thinker.config.get_text_config())
            place = prompt.positions.to(self._device)
            out = language(
                inputs_embeds=self._embedded(prompt)[None], position_ids=place[:, None], cache=cache, use_cache=True
            )
            last = out.last_hidden_state[:, -1].expand(count, -1)
            cache.batch_repeat_interleave(count)
            position = int(place.max()) + 1
            answers = [list[int]() for _ in range(count)]
            running = set(range(count))
            while running:
                ids = self._choose(last, generator, temperature)
                for row in sorted(running):
                    answers[row].append(ids[row])
                    if ids[row] == self._inputs.end or len(answers[row]) == most:
                        running.discard(row)
                if not running:
                    break
                out = language(
                    inputs_embeds=language.embed_tokens(torch.tensor(ids, device=self._device)[:, None]),
                    position_ids=torch.full((3, count, 1), position, device=self._device),
                    cache=cache,
                    use_cache=True,
                )
                last, position = out.last_hidden_state[:, -1], position + 1
        end, decode = self._inputs.end, self._inputs.decode
        return [Sample(ids=tuple(ids), text=decode(ids), ended=ids[-1] == end) for ids in answers]

    def logprobs(self, example: OmniExample, samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log-probabilities at temperature 1 and their mask, both float32 of shape ``(samples, steps)``.

        The probabilities are those that :meth:`sample` draws from: placeholders of media have none.
        """
        import torch

        if not samples or not all(sample.ids for sample in samples):
            raise ValueError(f"{example.id}: there is no sample, or one without tokens")
        self._mode(learning=torch.is_grad_enabled())
        prompt = self._inputs.prompt(example)
        embedded = self._embedded(prompt)
        steps = max(len(sample.ids) for sample in samples)
        found, masks = list[torch.Tensor](), list[torch.Tensor]()
        for start in range(0, len(samples), self._rows):
            rows = [(prompt, embedded, list(sample.ids)) for sample in samples[start : start + self._rows]]
            hidden, wanted, mask = self._hidden(rows)
            logprobs, _ = self._scores(hidden, wanted, suppress=self._inputs.placeholders)
            short = (0, steps - mask.shape[1])
            found.append(torch.nn.functional.pad(logprobs * mask, short))
            masks.append(torch.nn.functional.pad(mask, short))
        return torch.cat(found), torch.cat(masks)

    def reference(self) -> AbstractContextManager[None]:
        """Return a context in which the model answers as training began, without a gradient."""
        if self._origin is not None:
            return weights.instead(self._parameters, self._origin)
        return weights.without_adapter(self._thinker)

    def save(self, folder: Path) -> None:
        """Write what is trained, see :mod:`policy.training.omni_weights`."""
        weights.save(folder, self._base, self._lora, self._parameters)

    def load(self, folder: Path) -> None:
        """Read what :meth:`save` wrote; the reference stays what it is.

        Raises:
            FileNotFoundError: ``folder`` holds no student.
            BaseMismatch: it belongs to another base.
            ValueError: it was trained in another way, or its tensors are others.
        """
        weights.load(folder, self._base, self._lora, self._parameters)

    @property
    def _device(self) -> torch.device:
        device: torch.device = self._thinker.device
        return device

    def _remember(self) -> None:
        """Keep the trained parameters as they are now, in the computer's memory, as the reference."""
        self._origin = {name: p.detach().to("cpu", copy=True) for name, p in self._parameters.items()}

    def _mode(self, *, learning: bool, dropout: bool = False) -> None:
        """Set the modules for a step; checkpointing works only in training mode, dropout must not while exploring."""
        import torch

        self._thinker.train(learning)
        if learning and not dropout:
            for module in self._thinker.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.eval()

    def _embedded(self, prompt: Prompt) -> torch.Tensor:
        """Return what the language model reads, shape ``(T, hidden)``: words, and media in their places."""
        import torch

        model, device = self._thinker.model, self._device
        ids = prompt.ids.to(device)
        embedded: torch.Tensor = model.language_model.embed_tokens(ids)
        media = list[tuple[int, torch.Tensor]]()
        audio, _, video = self._inputs.placeholders
        with nullcontext() if self._towers_learn else torch.no_grad():
            if prompt.mel is not None:
                mask = torch.ones(1, prompt.mel.shape[-1], dtype=torch.long, device=device)
                heard = model.get_audio_features(prompt.mel.to(device), feature_attention_mask=mask)
                media.append((audio, heard.last_hidden_state))
            if prompt.patches is not None and prompt.grid is not None:
                seen = model.get_video_features(prompt.patches.to(device), prompt.grid.to(device))
                media.append((video, torch.cat(seen.pooler_output)))
        for token, features in media:
            embedded = embedded.masked_scatter((ids == token)[:, None], features.to(embedded.dtype))
        return embedded

    def _hidden(
        self, rows: Sequence[tuple[Prompt, torch.Tensor, Sequence[int]]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Read prompts with answers, padded on the right.

        Returns:
            States that foretell each token of the answers, ``(rows, steps, hidden)``; those tokens and their mask,
            ``(rows, steps)``.
        """
        import torch

        language, device = self._thinker.model.language_model, self._device
        pad = torch.nn.utils.rnn.pad_sequence
        embeds, places, wanted = list[torch.Tensor](), list[torch.Tensor](), list[torch.Tensor]()
        for prompt, embedded, answer in rows:
            ids = torch.tensor(list(answer), device=device)
            place = prompt.positions.to(device)
            after = place.max() + 1 + torch.arange(len(ids), device=device)
            embeds.append(torch.cat([embedded, language.embed_tokens(ids)]))
            places.append(torch.cat([place, after.expand(3, -1)], 1).T)
            wanted.append(ids)
        lengths = [len(row) for row in embeds]
        mask = pad([torch.ones(n, dtype=torch.long, device=device) for n in lengths], batch_first=True)
        out = language(
            inputs_embeds=pad(embeds, batch_first=True),
            attention_mask=mask,
            position_ids=pad(places, batch_first=True).permute(2, 0, 1),
            use_cache=False,
        ).last_hidden_state
        before = [row[n - len(ids) - 1 : n - 1] for row, n, ids in zip(out, lengths, wanted, strict=True)]
        steps = pad([torch.ones(len(ids), device=device) for ids in wanted], batch_first=True)
        return pad(before, batch_first=True), pad(wanted, batch_first=True), steps

    def _scores(
        self, hidden: torch.Tensor, wanted: torch.Tensor, suppress: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log-probabilities of the tokens ``wanted`` and whether each is the likeliest, ``(rows, steps)``."""
        import torch
        from torch.utils.checkpoint import checkpoint

        def part(states: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self._logits(states, suppress)
            chosen = logits.gather(-1, ids[:, None])[:, 0]
            return chosen - logits.logsumexp(-1), (logits.detach().argmax(-1) == ids).float()

        flat, ids = hidden.flatten(0, 1), wanted.flatten()
        parts = [
            checkpoint(part, states, some, use_reentrant=False)
            for states, some in zip(torch.split(flat, _LOGITS_AT_ONCE), torch.split(ids, _LOGITS_AT_ONCE), strict=True)
        ]
        logprobs, right = (torch.cat(values).view(wanted.shape) for values in zip(*parts, strict=True))
        return logprobs, right

    def _logits(self, states: torch.Tensor, suppress: Sequence[int]) -> torch.Tensor:
        """Return float32 logits, ``(n, words)``, those in ``suppress`` without a chance."""
        logits: torch.Tensor = self._thinker.lm_head(states).float()
        for token in suppress:
            logits[:, token] = -float("inf")
        return logits

    def _choose(self, states: torch.Tensor, generator: torch.Generator, temperature: float) -> list[int]:
        import torch

        logits = self._logits(states, self._inputs.placeholders)
        if temperature == 0:
            return [int(n) for n in logits.argmax(-1)]
        shares = (logits / temperature).softmax(-1).to(generator.device)
        return [int(n) for n in torch.multinomial(shares, 1, generator=generator)[:, 0]]
