"""The solvers by name, and the way from a table of options to a solver."""

from __future__ import annotations

import dataclasses
import importlib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.problem.catalog import load_file


@dataclass(frozen=True)
class SolverEntry:
    """Where a solver lives and what it is for, known without importing it.

    Attributes
    ----------
    place
        `module:Class` or `path/to/file.py:Class`.
    family
        `classical`, `pinn`, `operator`, `neural-de` or `signal`.
    kinds
        What it is for: `pde`, `dynamics`, `inverse`, `family` or a task of signals;
        empty if not known. Within them the solver's own `why_not` decides.
    package
        The distribution that does the work, whose version goes into the record; empty
        for a solver of your own.
    summary
        One line for `pinnsuite list solvers`.
    """

    place: str
    family: str
    kinds: tuple[str, ...]
    package: str
    summary: str


SOLVERS: Mapping[str, SolverEntry] = {
    "lines": SolverEntry(
        "pinnsuite.classical.lines:MethodOfLines",
        "classical",
        ("pde",),
        "scipy",
        "method of lines on intervals and boxes: finite differences or Chebyshev",
    ),
    "finite-difference": SolverEntry(
        "pinnsuite.classical.finite_difference:FiniteDifferences",
        "classical",
        ("pde",),
        "scipy",
        "stationary problems on boxes of any dimension: stencils, Newton's method",
    ),
    "collocation": SolverEntry(
        "pinnsuite.classical.collocation:Collocation",
        "classical",
        ("pde",),
        "scipy",
        "one polynomial on any domain, time included, by least squares; for smooth "
        "solutions",
    ),
    "fourier": SolverEntry(
        "pinnsuite.classical.spectral:FourierPseudospectral",
        "classical",
        ("pde", "family"),
        "numpy",
        "Fourier in space, exponential Runge-Kutta in time: periodic boxes",
    ),
    "finite-element": SolverEntry(
        "pinnsuite.classical.finite_element:FiniteElements",
        "classical",
        ("pde",),
        "scikit-fem",
        "finite elements on any domain, weak form derived from the equations",
    ),
    "ngsolve": SolverEntry(
        "pinnsuite.classical.ngsolve_elements:NGSolveElements",
        "classical",
        ("pde",),
        "ngsolve",
        "finite elements of high order in the plane by NGSolve, if it is installed",
    ),
    "complementarity": SolverEntry(
        "pinnsuite.classical.complementarity:Complementarity",
        "classical",
        ("pde",),
        "scipy",
        "variational inequalities (Obstacle) on intervals and rectangles",
    ),
    "finite-volume": SolverEntry(
        "pinnsuite.classical.finite_volume:FiniteVolumes",
        "classical",
        ("pde",),
        "numpy",
        "conservation laws with shocks on intervals and rectangles: MUSCL or WENO5",
    ),
    "cell-centred": SolverEntry(
        "pinnsuite.classical.cell_centred:CellCentred",
        "classical",
        ("pde",),
        "scipy",
        "conservative finite volumes on boxes for diffusion and waves, jumps included",
    ),
    "ode": SolverEntry(
        "pinnsuite.classical.ode:ODESolver",
        "classical",
        ("dynamics",),
        "scipy",
        "systems of ordinary differential equations with adaptive steps",
    ),
    "least-squares": SolverEntry(
        "pinnsuite.classical.least_squares:NonlinearLeastSquares",
        "classical",
        ("inverse",),
        "scipy",
        "coefficients of an ODE system by nonlinear least squares",
    ),
    "adjoint": SolverEntry(
        "pinnsuite.classical.adjoint:Adjoint",
        "classical",
        ("inverse",),
        "scipy",
        "coefficients, numbers and functions, of a PDE on a box by least squares",
    ),
    "sindy": SolverEntry(
        "pinnsuite.classical.sindy:SINDy",
        "classical",
        ("forecast",),
        "numpy",
        "sparse identification of the right-hand side from trajectories",
    ),
    "parametric-fit": SolverEntry(
        "pinnsuite.classical.trajectory_fit:TrajectoryFit",
        "classical",
        ("forecast",),
        "scipy",
        "the known equations' coefficients fitted to trajectories",
    ),
    "n4sid": SolverEntry(
        "pinnsuite.classical.identification:N4SID",
        "classical",
        ("identify",),
        "scipy",
        "linear state-space model by subspace identification",
    ),
    "output-error": SolverEntry(
        "pinnsuite.classical.identification:OutputError",
        "classical",
        ("identify",),
        "scipy",
        "linear transfer function by output-error least squares",
    ),
    "wavelet": SolverEntry(
        "pinnsuite.classical.denoising:WaveletShrinkage",
        "classical",
        ("restore",),
        "PyWavelets",
        "denoising by shrinking wavelet coefficients",
    ),
    "wiener": SolverEntry(
        "pinnsuite.classical.denoising:WienerFilter",
        "classical",
        ("restore",),
        "scipy",
        "denoising by the Wiener filter",
    ),
    "svm": SolverEntry(
        "pinnsuite.classical.classification:SupportVectorMachine",
        "classical",
        ("classify",),
        "scikit-learn",
        "classification by a support vector machine",
    ),
    "n-gram": SolverEntry(
        "pinnsuite.classical.language:NGram",
        "classical",
        ("language",),
        "numpy",
        "next character by counting contexts",
    ),
    "pinn": SolverEntry(
        "pinnsuite.neural.pinn:PINN",
        "pinn",
        ("pde", "dynamics", "inverse"),
        "torch",
        "physics-informed network: exact conditions where it can, Adam + quasi-Newton",
    ),
    "random-features": SolverEntry(
        "pinnsuite.neural.random_features.solver:RandomFeatures",
        "pinn",
        ("pde", "dynamics"),
        "numpy",
        "a network with a frozen random layer: spectral collocation by least squares",
    ),
    "auto-pinn": SolverEntry(
        "pinnsuite.neural.auto_pinn:AutoPINN",
        "pinn",
        ("pde", "dynamics", "inverse"),
        "torch",
        "the learned method that fits the problem, accepted by its fresh residual only",
    ),
    "deepxde": SolverEntry(
        "pinnsuite.neural.deepxde:DeepXDE",
        "pinn",
        ("pde", "dynamics", "inverse"),
        "deepxde",
        "DeepXDE: Adam, then its L-BFGS or our self-scaled Broyden",
    ),
    "pina": SolverEntry(
        "pinnsuite.neural.pina:PINA",
        "pinn",
        ("pde", "dynamics", "inverse"),
        "pina-mathlab",
        "PINA's network and trainer, if it is installed: Adam, then L-BFGS",
    ),
    "fno": SolverEntry(
        "pinnsuite.neural.operators.fno:FNO",
        "operator",
        ("family",),
        "torch",
        "Fourier neural operator for a family of problems",
    ),
    "deeponet": SolverEntry(
        "pinnsuite.neural.operators.deeponet:DeepONet",
        "operator",
        ("family",),
        "deepxde",
        "DeepXDE's DeepONet for a family of problems",
    ),
    "neural-ode": SolverEntry(
        "pinnsuite.neural.dynamics.neural_ode:NeuralODE",
        "neural-de",
        ("forecast",),
        "torch",
        "a network as right-hand side, trained through its discretised trajectories",
    ),
    "ode-net": SolverEntry(
        "pinnsuite.neural.dynamics.residual_networks:ODENet",
        "neural-de",
        ("classify",),
        "torch",
        "image classification by an ODE-Net",
    ),
    "resnet": SolverEntry(
        "pinnsuite.neural.dynamics.residual_networks:ResNet",
        "neural-de",
        ("classify",),
        "torch",
        "image classification by the ODE-Net's residual twin",
    ),
    "state-space": SolverEntry(
        "pinnsuite.neural.dynamics.state_space_model:StateSpaceModel",
        "neural-de",
        ("identify",),
        "torch",
        "diagonal state-space layers that learn a filter from input and output",
    ),
    "state-space-text": SolverEntry(
        "pinnsuite.neural.dynamics.language_model:StateSpaceLanguageModel",
        "neural-de",
        ("language",),
        "torch",
        "the same layers on text: the next character",
    ),
    "blind-spot": SolverEntry(
        "pinnsuite.neural.dynamics.blind_spot:BlindSpotDenoiser",
        "neural-de",
        ("restore",),
        "torch",
        "denoising by state-space layers that do not see the sample they predict",
    ),
}
"""Import strings, so that naming a solver loads nothing."""


def find_solver(name: str) -> SolverEntry:
    """Return the entry of a solver by its name, or of a class in a file of your own.

    Raises
    ------
    OptionError
        If there is no such solver or file.
    """
    if name in SOLVERS:
        return SOLVERS[name]
    file, _, cls = name.rpartition(":")
    if file.endswith(".py"):
        if not Path(file).is_file():
            raise OptionError(f"There is no file {file} to take solver {cls!r} from.")
        return SolverEntry(name, "", (), "", "")
    raise OptionError(
        unknown_name("solver", name, SOLVERS)
        + " A solver of your own is given as path/to/file.py:Class."
    )


def solver_class(name: str) -> Any:
    """Import and return the class of a solver.

    Raises
    ------
    OptionError
        If it cannot be imported or is no dataclass of options.
    """
    place = find_solver(name).place
    where, _, cls = place.rpartition(":")
    try:
        module = (
            load_file(Path(where))
            if where.endswith(".py")
            else importlib.import_module(where)
        )
    except ImportError as error:
        raise OptionError(
            f"Solver {name!r} cannot be loaded: {error}. `pinnsuite doctor` names "
            "what is missing."
        ) from error
    found = getattr(module, cls, None)
    if not dataclasses.is_dataclass(found):
        raise OptionError(
            f"{where} has no dataclass {cls!r}; a solver is a frozen dataclass of its "
            "options with `family`, `why_not` and `solve`."
        )
    return found


def make_solver(name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Build the solver `name` with the given options.

    Raises
    ------
    OptionError
        If the name or an option is unknown (the nearest known one is offered), a value
        is of the wrong type, or the solver refuses it. All wrong options are named.
    """
    fitted, mistakes = fit_options(name, options or {})
    if mistakes:
        raise OptionError("\n".join(mistakes.values()))
    return solver_class(name)(**fitted)


def fit_options(
    name: str, options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the options in the types of the solver's fields, and what is wrong.

    An integer is taken for a float and a list for a tuple; nothing else is converted.
    """
    cls = solver_class(name)
    hints = typing.get_type_hints(cls)
    known = {f.name: hints[f.name] for f in dataclasses.fields(cls) if f.init}
    fitted, mistakes = {}, {}
    for option, value in options.items():
        if option not in known:
            mistakes[option] = unknown_name(f"option of {name!r}", option, known)
            continue
        try:
            fitted[option] = fit(value, known[option])
        except TypeError as error:
            mistakes[option] = (
                f"Option {option!r} of {name!r} is {value!r}; needed is {error}."
            )
    return fitted, mistakes


def has_seed(name: str) -> bool:
    """Say whether the solver draws random numbers: whether it has a `seed` option."""
    return any(f.name == "seed" for f in dataclasses.fields(solver_class(name)))


def fit(value: Any, hint: Any) -> Any:
    """Return `value` as an instance of the type `hint`.

    Raises
    ------
    TypeError
        If it is none; the message is what is needed, in words.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _fit_union(value, arguments)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise TypeError("one of " + ", ".join(map(repr, arguments)))
    if origin is tuple or hint is tuple or origin is Sequence:
        return _fit_sequence(value, arguments)
    if hint is float and _is_number(value):
        return float(value)
    words = {int: "an integer", float: "a number", str: "a word", bool: "true or false"}
    if hint in words:
        if type(value) is hint:
            return value
        raise TypeError(words[hint])
    if hint is types.NoneType and value is not None:
        raise TypeError("none")
    return value


def _fit_union(value: Any, arguments: Sequence[Any]) -> Any:
    # An exact type first: `int | float` keeps an integer.
    if any(type(value) is a for a in arguments):
        return value
    needed = []
    for argument in arguments:
        try:
            return fit(value, argument)
        except TypeError as error:
            needed.append(str(error))
    raise TypeError(" or ".join(needed))


def _fit_sequence(value: Any, arguments: Sequence[Any]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError("a list")
    if not arguments:
        return tuple(value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    elif len(arguments) == 1:
        arguments = tuple(arguments) * len(value)
    if len(arguments) != len(value):
        raise TypeError(f"a list of {len(arguments)}")
    try:
        return tuple(fit(v, a) for v, a in zip(value, arguments, strict=True))
    except TypeError as error:
        raise TypeError(f"a list with each entry {error}") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
