"""What the package vouches for: pinned statements, and the references it carries."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.problem import Dirichlet, Initial, Interval, catalog, coordinates, load
from pinnsuite.problem.catalog import entries, find
from pinnsuite.verification import audit as audits
from pinnsuite.verification import cache, check, pinned, reference
from pinnsuite.verification.pinned import load_pin, make_pin, pin_of, write_pin
from pinnsuite.verification.reference import stored_reference


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """A catalogue whose data can be written."""
    for module in (catalog, pinned, cache):
        monkeypatch.setattr(module, "reference_folder", lambda: tmp_path / "shipped")
    monkeypatch.setenv("PINNSUITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "shipped"


def test_a_problem_as_pinned_has_no_fault_and_a_changed_one_says_where():
    problem = load("burgers")
    pin = make_pin(problem)
    assert pin.faults(load("burgers")) == []
    (x,) = coordinates("x")
    (u,) = problem.fields
    wrong = replace(problem, domain=Interval(problem.space[0], -1, 2))
    assert any(f.startswith("domain is now") for f in pin.faults(wrong))
    start = Initial(u, sp.sin(sp.pi * x))
    wrong = replace(problem, conditions=[start, Dirichlet(u, 0)])
    (fault, advice) = pin.faults(wrong)
    assert fault == (
        "condition 1 is now: u = sin(π x)  at t = 0; it was: u = −sin(π x)  at t = 0"
    )
    assert "verify burgers --store" in advice
    assert not check(wrong, solvers=False, pin=pin).is_ok


def test_another_way_to_write_the_same_is_the_same():
    problem = load("burgers")
    pin = make_pin(problem)
    (u,) = problem.fields
    (x,) = problem.space
    same = Initial(u, -sp.cos(sp.pi * (x - sp.Rational(1, 2))).rewrite(sp.exp))
    assert pin.faults(replace(problem, conditions=[same, Dirichlet(u, 0)])) == []


def test_a_pin_is_read_as_it_was_written(own_data):
    pin = make_pin(load("poisson_discs"), {"key": {"file": "f", "sha256": "0"}})
    write_pin(pin)
    again = load_pin("poisson_discs")
    assert again.to_json() == pin.to_json()
    assert again.faults(load("poisson_discs")) == []


def test_only_the_catalogue_at_its_defaults_is_pinned(own_data, tmp_path):
    entry = entries()["burgers"]
    write_pin(make_pin(entry.make()))
    assert pin_of(entry, entry.make()) is not None
    assert pin_of(entry, entry.make(viscosity=0.02)) is None
    copy = tmp_path / "burgers.py"
    copy.write_text(entry.path.read_text(encoding="utf-8"), encoding="utf-8")
    mine = find(str(copy))
    assert pin_of(mine, mine.make()) is None


def test_a_stored_reference_is_used_until_the_problem_changes(own_data, monkeypatch):
    monkeypatch.setattr(audits, "DEAR", 0.0)
    row = audits.audit(entries()["lorenz"], store=True)
    assert row.is_ok
    made = load("lorenz")
    (file,) = own_data.glob("lorenz-*.h5")
    truth = reference(made)
    assert truth.is_stored
    assert truth.is_audited
    # With what was found out about it, rounded to a thousandth of its error.
    assert truth.cross_check.agrees
    fresh = reference(made, fresh=True)
    ours, theirs = truth.solution.fields["x"], fresh.solution.fields["x"]
    assert np.abs(ours - theirs).max() <= 1e-3 * truth.error_estimate["x"] * 20
    assert stored_reference(load("lorenz", rho=27.0)) is None
    # Stored once more it replaces itself.
    audits.audit(entries()["lorenz"], store=True)
    assert list(own_data.glob("lorenz-*.h5")) == [file]
    file.write_bytes(b"poison")
    assert cache.fetch_shipped("lorenz", truth.hash) is None


def test_rounding_stays_below_what_is_asked():
    values = np.random.default_rng(0).standard_normal(1000)
    rounded = cache.rounded(values, 1e-6)
    error = np.abs(rounded - values).max()
    assert 1e-7 < error <= 1e-6
    np.testing.assert_array_equal(cache.rounded(values, 0.0), values)


@pytest.mark.parametrize("name", entries())
def test_every_problem_of_the_catalogue_is_as_the_package_vouches_for_it(name):
    pin = load_pin(name)
    assert pin is not None, f"pinnsuite verify {name} --store"
    assert pin.faults(entries()[name].make()) == []
