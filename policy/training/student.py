"""What can be trained: a model with its adapter. The loops of :mod:`policy.training` know no other side of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from policy.listener import BaseMismatch

if TYPE_CHECKING:
    import torch

__all__ = ["BaseMismatch", "Sample", "Student"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer that a student gave while it was explored.

    Attributes:
        ids: what was chosen, step by step: token ids, as :meth:`Student.logprobs` takes them back.
        text: the answer as rewards read it.
        ended: whether it came to its end within the permitted length.
    """

    ids: tuple[int, ...]
    text: str
    ended: bool


class Student(Protocol):
    """A model that can be trained. An *example* is whatever the student's own reader of data makes."""

    @property
    def base(self) -> str:
        """Name of the base model, as checkpoints record it."""
        ...

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """Return what is trained, by name; the order and the objects are the same every time."""
        ...

    def loss(self, examples: Sequence[Any]) -> tuple[torch.Tensor, Mapping[str, float]]:
        """Return the supervised loss, a scalar with a gradient, and figures to record: means over the examples.

        What is random in it, such as dropout, is drawn from the global generators of PyTorch, NumPy or Python.
        """
        ...

    def sample(
        self, example: Any, count: int, *, generator: torch.Generator, temperature: float, most: int
    ) -> list[Sample]:
        """Return ``count`` answers to one example, at most ``most`` tokens each; without a gradient.

        Args:
            example: what is answered.
            count: of the answers.
            generator: on the CPU; nothing else decides what is drawn.
            temperature: divides the logits.
            most: tokens of an answer.
        """
        ...

    def logprobs(self, example: Any, samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log-probabilities of each step of ``samples`` and their mask, both ``(samples, steps)``.

        The first has a gradient, and is finite also where the mask is 0.
        """
        ...

    def reference(self) -> AbstractContextManager[None]:
        """Return a context in which :meth:`logprobs` are those of the reference model: as the student was when made.

        :meth:`load` does not move it: a run that goes on keeps the reference it began with. What an earlier stage
        learned is therefore given to the student where it is made.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what is trained into ``folder``, as safetensors and JSON, together with the name of the base.

        The names ``optimizer.safetensors`` and ``state.json`` are taken by the run.
        """
        ...

    def load(self, folder: Path) -> None:
        """Read what :meth:`save` wrote, into the parameters that are there.

        Raises:
            BaseMismatch: it belongs to another base.
        """
        ...
