"""Predicting text by counting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from pinnsuite.errors import OptionError
from pinnsuite.problem.signal import SignalProblem, other_task
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

MOST = 2**63
"""Contexts are kept as 64-bit integers."""


@dataclass(frozen=True)
class NGram:
    """Counts of characters after contexts, interpolated by Witten and Bell.

    With c(h, a) occurrences of character a after context h in the training text,
    n(h) = Σ_a c(h, a) and u(h) different characters after h,

        p(a | h) = (c(h, a) + u(h) p(a | h')) / (n(h) + u(h))

    where h' is h without its oldest character; the empty context falls back on equal
    probabilities, a context never seen on h' alone. Probabilities sum to 1 and none
    is 0.

    Source: I. H. Witten and T. C. Bell, IEEE Trans. Inf. Theory 37 (1991) 1085-1094,
    DOI 10.1109/18.87000, method C.

    Attributes
    ----------
    order
        Characters counted together, the predicted one included.
    """

    family: ClassVar[str] = "classical"

    order: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 9:
            raise OptionError(f"order is {self.order}; needed is 1 to 9.")

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no prediction of text, or has too many characters."""
        reason = other_task(problem, "language")
        if (
            reason is None
            and int(problem.given["num_codes"]) ** (self.order - 1) > MOST
        ):
            return "a context does not fit 63 bits; lower `order`"
        return reason

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return log₂ of the probability of every character at every test position."""
        require_supported(self, problem)
        clock = Clock()
        train, test = problem.given["codes_train"], problem.given["codes_test"]
        size = int(problem.given["num_codes"])
        probability = np.full((len(test), size), 1.0 / size)
        num_counts = 0
        for length in range(min(self.order, len(train), len(test))):
            with clock.phase("train"):
                known, counts = _count(train, length, size)
                num_counts += counts.nnz
            with clock.phase("infer"):
                wanted = _contexts(test, length, size)
                rows = np.searchsorted(known, wanted).clip(max=len(known) - 1)
                at = np.flatnonzero(known[rows] == wanted)
                here = counts[rows[at]].toarray()
                different = (here > 0).sum(axis=1, keepdims=True)
                # The first `length` positions have no context this long.
                probability[length + at] = (
                    here + different * probability[length + at]
                ) / (here.sum(axis=1, keepdims=True) + different)
            progress((length + 1) / self.order, f"contexts of {length}")
        return Solution(
            Grid(problem.coordinates),
            {"log2_probability": np.log2(probability)},
            cost=clock.cost(),
            details={"dofs": num_counts, "stop_reason": "counted"},
        )


def _contexts(codes: np.ndarray, length: int, size: int) -> np.ndarray:
    """Return the `length` codes before each position that has them, as one number."""
    number = np.zeros(len(codes) - length, dtype=np.int64)
    for k in range(length):
        number = number * size + codes[k : k + len(number)]
    return number


def _count(codes: np.ndarray, length: int, size: int) -> tuple[np.ndarray, csr_array]:
    """Return the contexts that occur, sorted, and the counts of codes after each."""
    known, row = np.unique(_contexts(codes, length, size), return_inverse=True)
    following = codes[length:]
    entries = (np.ones(len(row)), (row, following))
    return known, csr_array(entries, shape=(len(known), size))
