"""Fields that are one network in each window of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pinnsuite.neural.trial import Trial


@dataclass(frozen=True, eq=False)
class Piece:
    """A trained trial and the time up to which it holds.

    Attributes
    ----------
    trial, weights
        The fields and their parameters.
    end
        Last time; infinite without time.
    """

    trial: Trial
    weights: torch.Tensor
    end: float


@dataclass(frozen=True, eq=False)
class Piecewise:
    """The fields of pieces that follow each other in time.

    A joint belongs to the piece that ends there; the next one starts from its values.
    """

    pieces: Sequence[Piece]

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return the fields at `points` (n, coordinates): (n, fields)."""
        if len(self.pieces) == 1:
            (piece,) = self.pieces
            return piece.trial(piece.weights, points)
        ends = points.new_tensor([p.end for p in self.pieces[:-1]])
        number = torch.bucketize(points[:, 0].contiguous(), ends)
        width = self.pieces[0].trial.network.sizes[-1]
        values = points.new_empty(len(points), width)
        for k, piece in enumerate(self.pieces):
            here = number == k
            if here.any():
                values[here] = piece.trial(piece.weights, points[here])
        return values
