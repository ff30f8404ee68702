"""Records as runs write them, made up for tests of what is computed from records."""

from pinnsuite.solution.record import (
    CostPart,
    ErrorPart,
    MachinePart,
    ProblemPart,
    Record,
    ReferencePart,
    SeedPart,
    SolverPart,
)
from pinnsuite.solution.solution import Status

MACHINE = MachinePart(
    cpu="Test CPU @ 2 GHz",
    cores=2,
    threads=1,
    ram_gib=8.0,
    load_before=0.4,
    load_after=0.9,
    versions={"python": "3.11.7", "pinnsuite": "0.1.0"},
)

PROBLEM = ProblemPart(
    id="burgers",
    kind="pde",
    definition_hash="ab" * 32,
    dimension=1,
    statement="t ∈ [0, 1], x ∈ [-1, 1]",
    equations=["∂u/∂t + u ∂u/∂x - 0.01/π ∂²u/∂x² = 0"],
)

REFERENCE = ReferencePart(
    id="burgers",
    kind="evaluated",
    hash="cd" * 32,
    error_estimate={"relative_l2": 1e-10},
    description="Cole-Hopf integral",
)


def cost(cpu_s, phase="solve", **more):
    part = CostPart(wall_s=1.1 * cpu_s, cpu_s=cpu_s, min=cpu_s, median=cpu_s)
    return {phase: part, **{k: cost(v, k)[k] for k, v in more.items()}}


def record(
    solver="lines",
    family="classical",
    error=1e-4,
    cpu_s=0.1,
    *,
    status=Status.OK,
    options=None,
    seed=None,
    metric="relative_l2",
    expected_order=None,
    observed_order=None,
    dofs=None,
    **more,
):
    """One run; `more` are parts of the record as they are."""
    options = dict(options or {})
    if seed is not None:
        options["seed"] = seed
    values = {
        "run_id": f"{solver}-{sorted(options.items(), key=str)}",
        "utc": "2025-01-02T03:04:05Z",
        "problem": PROBLEM,
        "reference": REFERENCE,
        "solver": SolverPart(
            id=solver,
            family=family,
            version="1.0",
            options=options,
            repr=f"{solver}({options})",
            dofs=dofs,
            expected_order=expected_order,
            observed_order=observed_order,
        ),
        "seed": SeedPart(init=seed, sampling=seed, data=None),
        "machine": MACHINE,
        "cost": cost(cpu_s, "train" if family != "classical" else "solve"),
        "error": ErrorPart(metric=metric, value=error, relative_l2=error),
        "status": status,
        "sentence": status.sentence,
    }
    return Record(**(values | more))


def lines(*errors_and_times, **more):
    """Classical runs of order 2, one a resolution."""
    return [
        record(
            error=e,
            cpu_s=s,
            options={"num_points": 32 * 2**k},
            dofs=32 * 2**k,
            **({"expected_order": 2.0, "observed_order": 1.98} | more),
        )
        for k, (e, s) in enumerate(errors_and_times)
    ]


def pinn(errors, cpu_s=60.0, spread=0.1, **more):
    """One run a seed, the seconds spread a little."""
    return [
        record("pinn", "pinn", e, cpu_s * (1 + spread * k), seed=k, **more)
        for k, e in enumerate(errors)
    ]
