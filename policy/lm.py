"""The language model of the embedded mind: SmolLM2-135M on the CPU, with or without an adapter.

With an adapter (:mod:`policy.listener`) it reads looks, tones and sound beside words, and scores strategies, display
emotions and the fit of a text.

One token costs about as much as reading all weights once, so they are kept as eight-bit integers with one scale for
each output (weight-only quantisation, as LLM.int8(), Dettmers et al. 2022, without its outliers; activations stay
bfloat16) where ``int8`` asks for it: a quarter of the memory of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from policy.listener import Unit

END_OF_MESSAGE: Final = "<|im_end|>"

ADAPTER: Final = Path(__file__).parent / "data" / "listener"
"""The adapter that ships."""


class LanguageModel:
    """Weights, shared by all calls. Its methods are pure but for the cache that they are given.

    Args:
        path: folder with the weights (safetensors) and ``tokenizer.json``.
        adapter: folder of an adapter, or ``None``.
        int8: whether the matrices are kept as eight-bit integers.

    Raises:
        AdapterError: the adapter cannot be read by this version.
        BaseMismatch: it belongs to another base.
    """

    def __init__(self, path: Path, adapter: Path | None = None, *, int8: bool = False) -> None:
        import torch
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._tokenizer: Any = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True).eval()
        self.end: Any = self._tokenizer.token_to_id(END_OF_MESSAGE)
        self._senses: Any = None
        if adapter is not None:
            from policy import listener

            listener.check_card(adapter, listener.base_name(path, self._model.config))
            listener.merge(self._model, adapter)
            self._senses = listener.load_senses(adapter, self._model.config.hidden_size).eval()
        if int8:
            from policy.int8 import quantise

            quantise(self._model)

    @property
    def listens(self) -> bool:
        """Whether an adapter is loaded."""
        return self._senses is not None

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``; markers of the chat template count as such."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def new_cache(self) -> Any:
        """Return an empty key/value cache."""
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def read(self, units: Sequence[Unit], cache: Any) -> Any:
        """Read ``units`` after ``cache``; return the last hidden states, shape ``(len(units), hidden)``."""
        import torch

        with torch.no_grad():
            felt = any(not isinstance(unit, int) for unit in units)
            ids = torch.tensor([[unit if isinstance(unit, int) else 0 for unit in units]])
            embedded = self._model.get_input_embeddings()(ids)
            if felt:
                embedded = self._senses.place(embedded, [units])
            out = self._model.model(inputs_embeds=embedded, cache=cache, use_cache=True)
        return out.last_hidden_state[0]

    def logits(self, hidden: Any) -> Any:
        """Return the scores of all tokens, float32 of shape ``(..., vocabulary)``, for hidden states."""
        import torch

        with torch.no_grad():
            return self._model.lm_head(hidden).float()

    def rows(self, hidden: Any) -> Any:
        """Return the scores of the adapter's rows, float32 of shape ``(..., rows)``."""
        import torch

        with torch.no_grad():
            return self._senses.score(hidden)
