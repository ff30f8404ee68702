"""What solvers return and what is kept of a run."""

from pinnsuite.solution.solution import Solution as Solution
from pinnsuite.solution.solution import Status as Status
