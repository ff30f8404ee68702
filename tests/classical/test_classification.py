import numpy as np

from pinnsuite.classical.classification import SupportVectorMachine
from pinnsuite.compare.metrics import error_rate
from pinnsuite.problem.catalog import entries
from pinnsuite.problem.signal import SignalProblem


def test_digits_are_recognised():
    problem = entries()["digits"].make()
    solution = SupportVectorMachine().solve(problem.without_answer()).require_ok()
    assert error_rate(solution.fields["scores"], problem.truth["scores"]) < 0.03


def test_two_classes_have_a_score_each():
    x = np.random.default_rng(0).standard_normal((60, 2))
    labels = (x[:, 0] > 0).astype(int)
    given = {"inputs_train": x, "labels_train": labels, "inputs_test": x}
    axes = {"sample": np.arange(60.0), "class": np.arange(2.0)}
    problem = SignalProblem("halves", "classify", given, None, axes)
    scores = SupportVectorMachine(penalty=1e3).solve(problem).fields["scores"]
    assert (scores.argmax(axis=1) == labels).mean() > 0.95
