"""A folder of results as a suite writes it, made up: every kind of problem once."""

import numpy as np

from pinnsuite.problem.definition import coordinates
from pinnsuite.problem.domain import Box, Disk
from pinnsuite.solution.hdf5 import save
from pinnsuite.solution.record import (
    AmortisedPart,
    ErrorPart,
    FieldError,
    ProblemPart,
    ReferencePart,
    Rung,
)
from pinnsuite.solution.solution import Solution, Status
from pinnsuite.solution.support import Grid, MeshNodes
from tests.records import cost, record

RUNGS = [
    Rung(label=f"n = {n}", dofs=n, error=e, cpu_s=s)
    for n, e, s in [(64, 2e-3, 0.1), (128, 4.6e-4, 0.3), (256, 1.1e-4, 1.0)]
]


def reference(name, error, kind="ladder", **more):
    """A reference part; its hash names the file in references/."""
    letters = "".join(f"{ord(c):x}" for c in name)
    return ReferencePart(
        id=name,
        kind=kind,
        hash=f"{letters:0<64}"[:64],
        error_estimate={"relative_l2": error},
        **more,
    )


def errors(solution, truth, metric="relative_l2"):
    """The error part of fields beside their truth, unweighted."""
    parts = {
        name: FieldError(
            relative_l2=float(np.linalg.norm(v - truth[name]) / np.linalg.norm(v)),
            max=float(np.abs(v - truth[name]).max()),
        )
        for name, v in solution.items()
    }
    value = max(p.relative_l2 for p in parts.values())
    return ErrorPart(
        metric=metric,
        formula="‖u − v‖ / ‖v‖",
        value=value,
        relative_l2=value,
        max=max(p.max for p in parts.values()),
        per_field=parts,
        boundary_violation=0.3 * value,
        invariant_drift={"mass": 0.1 * value},
    )


class Folder:
    """Writes runs where a suite would put them."""

    def __init__(self, root):
        self.root = root
        self.count = 0

    def add(self, run, support=None, fields=None, attempt=1):
        self.count += 1
        folder = self.root / f"task-{self.count:02d}" / f"attempt-{attempt}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(run.to_json(), encoding="utf-8")
        if fields is not None:
            save(Solution(support, fields), folder / "fields.h5")
        return folder

    def keep(self, part, support, fields):
        save(Solution(support, fields), self.root / "references" / f"{part.hash}.h5")


def perturbed(truth, support, size, seed):
    """The truth with a smooth error of relative size `size`."""
    generator = np.random.default_rng(seed)
    points = support.points
    points = (points - points.min(0)) / np.ptp(points, axis=0)
    found = {}
    for name, values in truth.items():
        k = generator.integers(1, 4, (6, points.shape[1]))
        phase = generator.uniform(0, 6, 6)
        wave = sum(np.sin(np.pi * points @ k[i] + phase[i]) for i in range(6)) / 6
        wave = wave.reshape(values.shape)
        found[name] = values + size * np.linalg.norm(values) * wave / np.linalg.norm(
            wave
        )
    return found


def learning(end_s, end_error, seed):
    """A trace that falls from 1 to the end, with bumps."""
    generator = np.random.default_rng(seed)
    t = np.geomspace(end_s / 200, end_s, 14)
    fall = (t / end_s) ** (np.log(end_error) / np.log(200))
    fall = end_error * (end_s / t) ** (-np.log(end_error) / np.log(200))
    fall *= np.exp(0.25 * generator.normal(size=len(t)))
    fall[-1] = end_error
    return [
        (float(a), float(1.05 * a), float(b**1.5), float(b))
        for a, b in zip(t, fall, strict=True)
    ]


def add_burgers(folder):
    t, x = np.linspace(0, 1, 41), np.linspace(-1, 1, 257)
    support = Grid({"t": t, "x": x})
    width = 0.02 + 0.6 * np.exp(-5 * t[:, None])
    truth = {"u": -np.tanh(x / width) * (1 - x**2) * np.exp(-0.3 * t[:, None])}
    problem = ProblemPart(
        id="burgers",
        kind="pde",
        definition_hash="b" * 64,
        parameters={"viscosity": 0.003183},
        dimension=1,
        statement="Viscous Burgers equation: a sine wave steepens into a shock.\n"
        "t ∈ [0, 1], x ∈ [−1, 1], u = 0 at both ends, u(0, x) = −sin πx.",
        equations=["u*u_x + u_t - 0.00318*u_xx = 0"],
        source="C. Basdevant et al., Comput. Fluids 14 (1986) 23-41, "
        "doi:10.1016/0045-7930(86)90036-8",
    )
    part = reference(
        "burgers",
        2e-7,
        description="Method of lines, refined",
        observed_order=3.97,
        expected_order=4.0,
        gci=2.5e-7,
        rungs=RUNGS,
    )
    folder.keep(part, support, truth)
    common = {"problem": problem, "reference": part}
    for k, (e, s) in enumerate(
        [(4e-2, 0.012), (9e-3, 0.03), (6e-4, 0.09), (4e-5, 0.31), (2.4e-6, 1.2)]
    ):
        fields = perturbed(truth, support, e, 1)
        run = record(
            "lines",
            cpu_s=s,
            options={"num_points": 32 * 2**k, "order": 4, "method": "BDF"},
            dofs=32 * 2**k,
            expected_order=4.0,
            observed_order=3.96,
            **common,
        )
        run.error = errors(fields, truth)
        run.cost = cost(0.02, "symbolic", setup=0.2 * s, solve=0.8 * s)
        folder.add(run, support, fields)
    for name, size, seconds in [("pinn", 3e-3, 62.0), ("deepxde", 1.4e-2, 140.0)]:
        for seed in range(5):
            generator = np.random.default_rng([seed, len(name)])
            e = size * np.exp(0.6 * generator.normal())
            s = seconds * np.exp(0.08 * generator.normal())
            fields = perturbed(truth, support, e, 10 + seed)
            run = record(name, "pinn", seed=seed, options={"width": 20}, **common)
            run.error = errors(fields, truth)
            run.cost = cost(0.03 * s, "compile", setup=0.1, train=s)
            run.trace = learning(s, run.error.value, seed)
            if name == "deepxde" and seed == 4:
                run.status = Status.NAN
                run.sentence = "The loss became NaN at step 1200, term 'residual of u'."
            folder.add(run, support, fields)


def add_heat(folder):
    x, y = coordinates("x y")
    domain = Box((x, -1.0, 1.0), (y, -1.0, 1.0)) - Disk(x, y, (0.3, 0.2), 0.35)
    support = MeshNodes(domain.mesh(0.08), ("x", "y"))
    px, py = support.mesh.points.T
    truth = {"u": np.cos(np.pi * px / 2) * np.cos(np.pi * py / 2) + 0.3 * px}
    problem = ProblemPart(
        id="heat_plate",
        kind="pde",
        definition_hash="c" * 64,
        dimension=2,
        statement="Steady heat in a plate with a hole.",
        equations=["-u_xx - u_yy - 1 = 0"],
    )
    part = reference("heat", 3e-5, rungs=RUNGS, observed_order=2.96, expected_order=3.0)
    folder.keep(part, support, truth)
    for name, family, e, s, seed in [
        ("finite-element", "classical", 2e-4, 0.4, None),
        ("pinn", "pinn", 8e-3, 45.0, 0),
    ]:
        fields = perturbed(truth, support, e, 2)
        more = {"expected_order": 3.0, "observed_order": 2.95} if seed is None else {}
        run = record(
            name, family, e, s, seed=seed, problem=problem, reference=part, **more
        )
        run.error = errors(fields, truth)
        folder.add(run, support, fields)


def add_pelts(folder):
    t = np.linspace(1900, 1920, 21)
    support = Grid({"t": t})
    phase = 2 * np.pi * (t - 1900) / 10
    truth = {
        "hare": 33 + 28 * np.sin(phase),
        "lynx": 25 + 20 * np.sin(phase - 1.2),
    }
    problem = ProblemPart(
        id="lotka_volterra",
        kind="dynamics",
        definition_hash="d" * 64,
        task="inverse",
        statement="Hare and lynx pelts of the Hudson's Bay Company, 1900 to 1920.",
        equations=[
            "hare_t - a*hare + b*hare*lynx = 0",
            "lynx_t - d*hare*lynx + c*lynx = 0",
        ],
    )
    part = reference("pelts", 1e-9, "fit", description="Fit from 200 starts")
    folder.keep(part, support, truth)
    for name, family, e, s, seed in [
        ("least-squares", "classical", 1e-6, 0.5, None),
        ("pinn", "pinn", 0.04, 30.0, 0),
    ]:
        fields = perturbed(truth, support, e, 3)
        run = record(name, family, e, s, seed=seed, problem=problem, reference=part)
        run.error = errors(fields, truth)
        run.error.coefficients = {
            "a": {"value": 0.48 * (1 + e), "reference": 0.48, "relative_error": e},
            "b": {"value": 0.025 * (1 - e), "reference": 0.025, "relative_error": e},
        }
        run.error.quantities = {"misfit of hare": 0.21 + e}
        folder.add(run, support, fields)


def add_family(folder):
    x = np.arange(64) / 64
    support = Grid({"member": np.arange(20.0), "x": x})
    generator = np.random.default_rng(0)
    a = generator.normal(size=(20, 4, 1))
    k = 2 * np.pi * np.arange(1, 5)[:, None]
    truth = {"u": (a * np.sin(k * x + 6 * a)).sum(axis=1)}
    problem = ProblemPart(
        id="burgers_family",
        kind="pde",
        definition_hash="e" * 64,
        task="operator",
        dimension=1,
        statement="From a random initial state to the field at t = 1.",
        equations=["u*u_x + u_t - 0.01*u_xx = 0"],
    )
    part = reference("family", 1e-9)
    folder.keep(part, support, truth)
    common = {"problem": problem, "reference": part}
    for n, e, s in [
        (16, 6e-2, 4e-4),
        (32, 1e-2, 9e-4),
        (64, 8e-4, 2e-3),
        (128, 2e-5, 5e-3),
    ]:
        fields = perturbed(truth, support, e, 4)
        run = record(
            "fourier",
            error=e,
            cpu_s=20 * s,
            options={"num_points": n},
            dofs=n,
            amortised=AmortisedPart(infer_s=s, members=20),
            **common,
        )
        run.error = errors(fields, truth)
        folder.add(run, support, fields)
    for name, e, train in [("fno", 9e-3, 90.0), ("deeponet", 6e-2, 110.0)]:
        fields = perturbed(truth, support, e, 5)
        run = record(
            name,
            "operator",
            e,
            train,
            seed=0,
            amortised=AmortisedPart(
                data_s=4.0, train_s=train, infer_s=2e-4, members=20
            ),
            **common,
        )
        run.error = errors(fields, truth)
        run.cost = cost(4.0, "data", train=train, infer=0.004)
        folder.add(run, support, fields)


def add_digits(folder):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 360)
    truth = {"scores": np.eye(10)[labels]}
    support = Grid({"sample": np.arange(360.0), "class": np.arange(10.0)})
    problem = ProblemPart(
        id="digits",
        kind="signal",
        definition_hash="f" * 64,
        task="classify",
        statement="Handwritten digits, 8 × 8 pixels.",
    )
    part = reference("digits", 0.0, "data", description="Held-out samples")
    folder.keep(part, support, truth)
    for name, family, wrong, s, seed in [
        ("svm", "signal", 4, 0.06, None),
        ("ode-net", "neural-de", 7, 14.0, 0),
    ]:
        scores = truth["scores"] + 0.1 * generator.uniform(size=(360, 10))
        for k in generator.choice(360, wrong, replace=False):
            scores[k, (labels[k] + 1) % 10] = 2.0
        run = record(
            name,
            family,
            wrong / 360,
            s,
            seed=seed,
            metric="error_rate",
            problem=problem,
            reference=part,
        )
        run.error.relative_l2 = None
        if seed is not None:
            run.details = {
                "step_refinement": {
                    "steps": [4, 8, 16, 32],
                    "distance": [0.051, 0.024, 0.0081, 0.0],
                    "observed_order": [None, 0.97, None, None],
                    "error_rate": [0.0194, 0.0194, 0.0222, 0.0222],
                    "expected_order": 1,
                    "trained_steps": 8,
                    "trained_distance": 0.024,
                }
            }
        folder.add(run, support, {"scores": scores})


def add_forecast(folder):
    t = np.linspace(0, 5, 50)
    axes = {"trajectory": np.arange(3.0), "t": t, "state": np.arange(2.0)}
    support = Grid(axes)
    angle = np.arange(3.0)[:, None, None] + t[:, None] - np.array([0, 1.5])
    truth = {"states": np.sin(angle)}
    problem = ProblemPart(
        id="trajectories", kind="signal", definition_hash="9" * 64, task="forecast"
    )
    part = reference("trajectories", 1e-9, "data")
    folder.keep(part, support, truth)
    fields = perturbed(truth, support, 0.02, 6)
    run = record("neural-ode", "neural-de", seed=0, problem=problem, reference=part)
    run.error = errors(fields, truth)
    folder.add(run, support, fields)


def add_text(folder):
    truth = np.where(np.eye(4)[np.arange(12) % 4] == 1, 0.0, -np.inf)
    support = Grid({"position": np.arange(12.0), "code": np.arange(4.0)})
    problem = ProblemPart(
        id="text", kind="signal", definition_hash="8" * 64, task="language"
    )
    part = reference("text", 0.0, "data")
    folder.keep(part, support, {"log2_probability": truth})
    metric = "bits_per_character"
    for name, family, bits, seed in [
        ("n-gram", "signal", 2.41, None),
        ("state-space", "neural-de", 2.2, 0),
    ]:
        run = record(
            name,
            family,
            bits,
            3.0,
            seed=seed,
            metric=metric,
            problem=problem,
            reference=part,
        )
        run.error.relative_l2 = None
        folder.add(run, support, {"log2_probability": np.full((12, 4), -2.0)})


def add_failures(folder):
    problem = ProblemPart(
        id="cavity<script>alert(1)</script>",
        kind="pde",
        definition_hash="0" * 64,
        dimension=2,
        statement='A name "that" <b>must</b> be escaped & $shown$.',
        equations=["u_t + <i>u</i> = 0"],
    )
    for status in Status:
        if status is not Status.OK:
            folder.add(
                record(
                    "pinn<img src=x onerror=alert(1)>",
                    "pinn",
                    None,
                    1.0,
                    seed=1,
                    status=status,
                    options={"note": "=cmd|' /C calc'!A0"},
                    problem=problem,
                    reference=None,
                )
            )


def make(root):
    """Write everything below `root`, two damaged files among it."""
    root.mkdir(parents=True, exist_ok=True)
    folder = Folder(root)
    add_burgers(folder)
    add_heat(folder)
    add_pelts(folder)
    add_family(folder)
    add_digits(folder)
    add_forecast(folder)
    add_text(folder)
    add_failures(folder)
    broken = root / "task-98" / "attempt-1"
    broken.mkdir(parents=True)
    (broken / "run.json").write_text('{"schema": 1, "run_id": ', encoding="utf-8")
    newer = root / "task-99" / "attempt-1"
    newer.mkdir(parents=True)
    (newer / "run.json").write_text('{"schema": 99}', encoding="utf-8")
    return root
