import numpy as np
import pytest
from scipy import sparse

from pinnsuite.classical.linear_systems import (
    LinearSystem,
    SolveFailedError,
    nested_dissection,
)

N = 33


def grid_laplacian():
    """Five-point stencil on the nodes of an N x N grid, with the cells between them."""
    line = sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(N, N))
    eye = sparse.identity(N)
    matrix = sparse.csc_matrix(sparse.kron(line, eye) + sparse.kron(eye, line))
    node = np.arange(N * N).reshape(N, N)
    corners = (node[:-1, :-1], node[1:, :-1], node[:-1, 1:], node[1:, 1:])
    cells = np.stack([c.ravel() for c in corners], axis=1)
    centres = np.indices((N - 1, N - 1)).reshape(2, -1).T + 0.5
    return matrix, cells, centres


def test_nested_dissection_puts_the_separator_last():
    _, cells, centres = grid_laplacian()
    order = nested_dissection(centres, [cells], N * N)
    assert sorted(order) == list(range(N * N))
    last = np.stack(np.divmod(order[-N:], N), axis=1)
    assert np.ptp(last, axis=0).min() == 0, "the last N nodes are a line of the grid"


def test_nested_dissection_lowers_the_fill():
    matrix, cells, centres = grid_laplacian()
    order = nested_dissection(centres, [cells], N * N)
    fill = [
        sparse.linalg.splu(
            matrix[o][:, o], permc_spec="NATURAL", diag_pivot_thresh=0.0
        ).nnz
        for o in (np.arange(N * N), order)
    ]
    assert fill[1] < 0.6 * fill[0]


@pytest.mark.parametrize("method", ["direct", "multigrid"])
@pytest.mark.parametrize("sign", [1, -1])
def test_both_methods_solve_definite_systems(method, sign):
    matrix, _, _ = grid_laplacian()
    exact = np.random.default_rng(0).normal(size=N * N)
    system = LinearSystem(sign * matrix, np.arange(N * N), method=method)
    x, multiplier = system.solve(sign * matrix @ exact)
    np.testing.assert_allclose(x, exact, atol=1e-9)
    assert multiplier == 0.0


def test_a_zero_pivot_is_met_by_pivoting():
    matrix = sparse.csc_matrix([[1e-20, 1.0], [1.0, 1.0]])
    x, _ = LinearSystem(matrix, np.array([0, 1])).solve(np.array([1.0, 2.0]))
    np.testing.assert_allclose(x, [1.0, 1.0])


def test_a_border_fixes_the_mean_of_what_is_free_up_to_a_constant():
    line = sparse.csc_matrix([[1.0, -1, 0], [-1.0, 2.0, -1.0], [0, -1, 1]])
    border = np.array([0.25, 0.5, 0.25])
    system = LinearSystem(line, np.arange(3), border=border)
    x, multiplier = system.solve(np.array([1.0, 0.0, -1.0]), 2.0)
    np.testing.assert_allclose(line @ x, [1.0, 0.0, -1.0], atol=1e-14)
    assert border @ x == pytest.approx(2.0)
    assert multiplier == pytest.approx(0.0, abs=1e-14)


def test_what_is_singular_or_indefinite_is_refused():
    singular = sparse.csc_matrix(np.ones((2, 2)))
    with pytest.raises(SolveFailedError, match="singular"):
        LinearSystem(singular, np.arange(2)).solve(np.ones(2) * [1, 2])
    for matrix in ([[1.0, 2.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]):
        with pytest.raises(SolveFailedError, match="'direct'"):
            LinearSystem(sparse.csc_matrix(matrix), np.arange(2), method="multigrid")
