"""One run as one JSON document; tables, verdicts and reports are made from these."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinnsuite.errors import DataError
from pinnsuite.solution.solution import Status

SCHEMA = 1
"""Version of the record; readers refuse a newer one."""


class Part(BaseModel):
    """A part of the record: unknown keys are refused, NaN is written as null."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")


class ProblemPart(Part):
    """Which problem: its name, hash of the mathematics, parameters, task and tags."""

    id: str
    kind: Literal["pde", "dynamics", "signal"]
    definition_hash: str
    parameters: dict[str, Any] = {}
    task: str = "forward"
    dimension: int = 0
    statement: str = ""
    equations: list[str] = []
    source: str = ""
    tags: list[str] = []


class Rung(Part):
    """One step of a convergence study."""

    label: str
    dofs: int
    error: float | None
    cpu_s: float


class CrossCheckPart(Part):
    """How far a second classical solver is from a reference, by field (relative L2).

    `error_estimate` is the second solver's own.
    """

    solver: str
    difference: dict[str, float]
    error_estimate: dict[str, float]
    reference_estimate: dict[str, float]
    cpu_s: float


class ReferencePart(Part):
    """The truth that a run was judged by, with its own error.

    `kind` is exact, evaluated, ladder, data (held-out measurements) or fit (the
    converged least-squares fit of an inverse problem).
    """

    id: str
    kind: Literal["exact", "evaluated", "ladder", "data", "fit"]
    hash: str
    error_estimate: dict[str, float]
    observed_order: float | None = None
    expected_order: float | None = None
    gci: float | None = None
    dtype: str = "float64"
    cost: float = 0.0
    description: str = ""
    rungs: list[Rung] = []
    cross_check: CrossCheckPart | None = None


class SolverPart(Part):
    """Which solver: name, family, version of what does the work, all options."""

    id: str
    family: Literal["classical", "pinn", "operator", "neural-de", "signal"]
    version: str
    options: dict[str, Any]
    repr: str
    dofs: int | None = None
    expected_order: float | None = None
    observed_order: float | None = None


class PrecisionPart(Part):
    """Number formats of parameters and arithmetic."""

    parameters: str = "float64"
    compute: str = "float64"
    tf32: bool = False
    deterministic: bool = True


class SeedPart(Part):
    """What the seed moved; all None for a deterministic method."""

    init: int | None = None
    sampling: int | None = None
    data: int | None = None


class EffortPart(Part):
    """Tuning that was done before this run, on either side."""

    trials: int = 1
    space: str = ""
    selector: str = "none"
    selector_used_reference: bool = False


class MachinePart(Part):
    """Where it ran, and how busy the machine was before and after."""

    cpu: str
    cores: int
    threads: int
    gpu: str | None = None
    ram_gib: float
    load_before: float
    load_after: float
    versions: dict[str, str] = {}


class CostPart(Part):
    """Seconds and memory of one phase."""

    wall_s: float
    cpu_s: float
    peak_rss: int = 0
    repeats: int = 1
    min: float
    median: float


class FieldError(Part):
    """Errors of one field, formulas in `compare.metrics`."""

    relative_l2: float | None
    relative_l1: float | None = None
    max: float | None


class ErrorPart(Part):
    """How far from the reference.

    `metric` says what `value` is (smaller is better); `relative_l2` and `max` are the
    worst over the fields.
    """

    metric: str = "relative_l2"
    formula: str = ""
    value: float | None = None
    relative_l2: float | None = None
    max: float | None = None
    per_field: dict[str, FieldError] = {}
    quantities: dict[str, float | None] = {}
    coefficients: dict[str, dict[str, float | None]] = {}
    invariant_drift: dict[str, float | None] = {}
    boundary_violation: float | None = None


class AmortisedPart(Part):
    """Many-query costs: once for all members, and for one further member."""

    data_s: float = 0.0
    train_s: float = 0.0
    infer_s: float
    members: int


class Record(Part):
    """All that made a result; everything else is computed from records."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    run_id: str
    utc: str
    commit: str = ""
    command: str = ""
    problem: ProblemPart
    reference: ReferencePart | None = None
    solver: SolverPart
    precision: PrecisionPart = PrecisionPart()
    seed: SeedPart = SeedPart()
    effort: EffortPart = EffortPart()
    machine: MachinePart
    cost: dict[str, CostPart] = {}
    amortised: AmortisedPart | None = None
    error: ErrorPart = ErrorPart()
    residual: float | None = None
    trace: list[tuple[float, float, float | None, float | None]] = []
    details: dict[str, Any] = {}
    status: Status
    sentence: str

    model_config = ConfigDict(
        extra="forbid", ser_json_inf_nan="null", populate_by_name=True
    )

    @property
    def compared_s(self) -> float:
        """CPU seconds that count: all phases but symbolic, compile and evaluate."""
        apart = ("symbolic", "compile", "evaluate")
        return sum((c.min for n, c in self.cost.items() if n not in apart), 0.0)

    def to_json(self) -> str:
        """Return the record as indented JSON."""
        return self.model_dump_json(by_alias=True, indent=1)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Read a `run.json`.

        Raises
        ------
        DataError
            If the file is missing, damaged, or of a newer schema.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as a record: {error}.") from error
        version = content.get("schema") if isinstance(content, dict) else None
        if isinstance(version, int) and version > SCHEMA:
            raise DataError(
                f"{path} has schema {version}, newer than this release's {SCHEMA}; "
                "upgrade pinnsuite to read it."
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise DataError(
                f"{path} is no valid record: {key}: {first['msg']}."
            ) from error


def finite(value: float | None) -> float | None:
    """Return the number, or None for NaN and infinity, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None
