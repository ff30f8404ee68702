import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsuite.compare.verdict import SCOPE, Code, verdict, verdicts
from pinnsuite.solution.record import AmortisedPart, EffortPart, PrecisionPart
from pinnsuite.solution.solution import Status
from tests.records import MACHINE, REFERENCE, lines, pinn, record

LADDER = lines((8e-2, 0.01), (1.5e-2, 0.03), (4e-3, 0.08), (1e-3, 0.3), (2e-4, 1.1))
SEEDS = [3e-3, 2e-3, 4e-3, 3.5e-3, 1e-3]


def test_the_coarsest_grid_that_meets_the_error_is_the_baseline():
    v = verdict(pinn(SEEDS), LADDER)
    assert v.code is Code.FASTER
    assert v.winner == "classical"
    assert v.error == 5e-3
    ratio, low, high = v.ratio
    assert ratio == pytest.approx(72 / 0.08)
    assert 60 / 0.08 <= low <= ratio <= high <= 84 / 0.08
    assert v.sentence == (
        "lines reaches 5e-3 in 80 ms, pinn in 72 s (ratio 900 [750, 1,000], "
        f"5 seeds); lines goes on to 2e-4, {SCOPE}."
    )
    assert v.caveats == ()


def test_a_learned_solver_can_win():
    v = verdict(pinn(SEEDS, cpu_s=1e-3), LADDER)
    assert (v.code, v.winner) == (Code.FASTER, "learned")
    assert v.sentence.startswith(
        "pinn reaches 5e-3 in 1.2 ms, lines in 80 ms (ratio 67"
    )


def test_the_trace_tells_when_an_error_was_reached_to_stay():
    trace = [
        (1.0, 1.0, 0.5, 1e-3),
        (5.0, 5.0, 0.1, 2e-2),
        (20.0, 20.0, 0.05, 4e-3),
        (50.0, 50.0, 0.01, 3e-3),
    ]
    v = verdict(pinn([3e-3], trace=trace), LADDER)
    assert "pinn in 20 s" in v.sentence


def test_one_seed_gives_a_verdict_with_a_caveat():
    v = verdict(pinn([3e-3]), LADDER)
    assert v.code is Code.FASTER
    assert v.caveats == ("single seed",)
    assert "1 seed)" in v.sentence
    assert verdict(pinn(SEEDS[:3]), LADDER).caveats == (
        "3 seeds, 5 needed for a claim",
    )


def test_what_only_one_side_goes_on_to_is_said():
    v = verdict(pinn([0.05] * 5), LADDER)
    assert v.code is Code.FASTER
    assert "; lines goes on to 2e-4" in v.sentence


@pytest.mark.parametrize(
    ("learned", "classical", "what"),
    [
        (pinn(SEEDS), [], "a classical run"),
        (pinn(SEEDS, reference=None), LADDER, "the reference"),
        (
            pinn(SEEDS, reference=REFERENCE.model_copy(update={"error_estimate": {}})),
            LADDER,
            "the reference's own error",
        ),
        (
            pinn(SEEDS, reference=REFERENCE.model_copy(update={"hash": "other"})),
            LADDER,
            "one reference for all runs",
        ),
        (pinn([None]), LADDER, "the error of a finished run"),
        (pinn(SEEDS), lines((1e-3, 0.1), cost={}), "the cost of a finished run"),
    ],
)
def test_incomplete_says_what_is_missing(learned, classical, what):
    v = verdict(learned, classical)
    assert v.code is Code.INCOMPLETE
    assert f"missing is {what}" in v.sentence


def test_a_reference_of_no_better_error_withholds_the_ranking():
    rough = REFERENCE.model_copy(update={"error_estimate": {"relative_l2": 1e-3}})
    many = [r.model_copy(update={"reference": rough}) for r in LADDER]
    v = verdict(pinn(SEEDS, reference=rough), many)
    assert v.code is Code.REFERENCE_LIMITED
    assert "the ranking is withheld" in v.sentence
    assert v.ratio is None


@pytest.mark.parametrize("seen", [None, 1.5, 2.4])
def test_a_solver_that_does_not_show_its_order_is_no_baseline(seen):
    v = verdict(pinn(SEEDS), lines((1e-3, 0.1), (2e-4, 0.3), observed_order=seen))
    assert v.code is Code.UNVERIFIED_BASELINE
    # Another one that shows it takes its place.
    able = verdict(pinn(SEEDS), [*lines((1e-3, 0.001), observed_order=seen), *LADDER])
    assert able.code is Code.FASTER
    assert "80 ms" in able.sentence


def test_a_solver_that_does_not_take_the_problem_is_no_candidate():
    refused = [r.model_copy(update={"status": Status.UNSUPPORTED}) for r in LADDER]
    v = verdict(pinn(SEEDS), refused)
    assert v.code is Code.INCOMPLETE
    assert "missing is a classical run" in v.sentence
    assert v.winner is None
    few = verdict(pinn(SEEDS), [*refused, *LADDER[2:4]])
    assert few.sentence.startswith("Weak baseline (2 classical candidates")


def test_few_candidates_make_a_weak_baseline():
    v = verdict(pinn(SEEDS), LADDER[2:4])
    assert v.code is Code.WEAK_BASELINE
    assert v.sentence.startswith(
        "Weak baseline (2 classical candidates, 3 are needed): lines reaches 5e-3"
    )


def test_an_over_resolved_candidate_makes_a_weak_baseline():
    v = verdict(pinn(SEEDS), lines((1e-4, 1.0), (2e-5, 2.0), (1e-6, 8.0)))
    assert v.code is Code.WEAK_BASELINE
    assert "over-resolved: its cheapest run has error 1e-4" in v.sentence
    # A coarser run that misses the error shows that a finer one was needed.
    bracketed = lines((0.2, 0.3), (1e-4, 1.0), (2e-5, 2.0))
    assert verdict(pinn(SEEDS), bracketed).code is Code.FASTER


def test_failed_seeds_count():
    runs = pinn(SEEDS)
    for k in (0, 1):
        runs[k] = runs[k].model_copy(update={"status": Status.NAN})
    v = verdict(runs, LADDER)
    assert v.code is Code.NOT_REACHED
    assert "pinn does not reach 5e-3: 3 of 5 seeds do" in v.sentence
    assert v.ratio is None


def test_a_solver_without_any_error_does_not_reach_a_tenth():
    v = verdict(pinn([None], status=Status.CRASHED), LADDER)
    assert v.code is Code.NOT_REACHED
    assert "does not reach 1e-1: its run ended as crashed; lines does in 10 ms" in (
        v.sentence
    )
    one = verdict(pinn([0.4]), LADDER)
    assert "pinn does not reach 1e-1: its error is 4e-1; lines does" in one.sentence
    far = verdict(pinn([0.7, 0.6, 0.8]), LADDER)
    assert far.code is Code.NOT_REACHED
    assert "their median error is 7e-1" in far.sentence


def test_classical_solvers_may_be_the_ones_that_do_not_reach():
    coarse = lines((0.9, 0.1), (0.6, 0.3), (0.3, 1.0))
    v = verdict(pinn(SEEDS), coarse)
    assert v.code is Code.NOT_REACHED
    assert "no classical candidate does; the best, lines, ends at 3e-1" in v.sentence
    broken = [r.model_copy(update={"status": Status.DIVERGED}) for r in coarse]
    assert "all 3 failed" in verdict(pinn(SEEDS), broken).sentence


def test_a_stated_target_is_kept_to():
    assert verdict(pinn(SEEDS), LADDER, target=1e-2).error == 1e-2
    assert verdict(pinn(SEEDS), LADDER, target=1e-4).code is Code.NOT_REACHED


def test_equal_times_and_errors_are_a_tie():
    v = verdict(pinn([4e-3] * 5, cpu_s=0.08, spread=0.0), LADDER)
    assert v.code is Code.TIE
    assert v.sentence.startswith(
        "No difference shown with 5 seeds between pinn (4e-3) and lines (4e-3), on"
    )


def test_at_equal_time_the_smaller_error_wins():
    v = verdict(pinn([1.1e-3] * 5, cpu_s=0.08, spread=0.0), LADDER, target=5e-3)
    assert v.code is Code.MORE_ACCURATE
    assert "pinn is at 1.1e-3 and lines at 4e-3" in v.sentence


def fno(**more):
    amortised = AmortisedPart(data_s=5.0, train_s=95.0, infer_s=1e-4, members=20)
    return record("fno", "operator", 4e-3, 100.0, seed=0, amortised=amortised, **more)


def etdrk4(*rungs):
    return [
        record(
            "fourier",
            error=e,
            cpu_s=20 * s,
            options={"num_points": 16 * 2**k},
            amortised=AmortisedPart(infer_s=s, members=20),
        )
        for k, (e, s) in enumerate(rungs)
    ]


def test_the_break_even_count_is_at_the_operators_own_error():
    v = verdict(
        [fno()], etdrk4((4e-2, 5e-4), (4e-3, 1.1e-3), (4e-4, 2e-3), (4e-5, 4e-3))
    )
    assert (v.code, v.winner) == (Code.AMORTISED, "learned")
    assert "fno beside fourier: pays off after 100,000 solves" in v.sentence.lower()
    assert "marginal speed-up 11" in v.sentence


def test_never_is_a_normal_answer():
    v = verdict([fno()], etdrk4((4e-2, 1e-5), (4e-3, 2e-5), (4e-4, 4e-5), (4e-5, 8e-5)))
    assert (v.code, v.winner) == (Code.NEVER_PAYS, "classical")


def test_too_few_resolutions_give_no_count():
    v = verdict([fno()], etdrk4((4e-2, 5e-4), (4e-3, 1e-3), (4e-4, 2e-3)))
    assert v.code is Code.INCOMPLETE
    assert "3 resolutions" in v.sentence


@pytest.mark.parametrize(
    ("more", "caveat"),
    [
        (
            {"machine": MACHINE.model_copy(update={"cpu": "Other"})},
            "mixed hardware: ratio void",
        ),
        (
            {"precision": PrecisionPart(compute="float32")},
            "mixed precision: ratio void",
        ),
        (
            {"machine": MACHINE.model_copy(update={"load_after": 5.0})},
            "load above the cores (5.0): ratio void",
        ),
    ],
)
def test_what_voids_a_ratio_withholds_it(more, caveat):
    v = verdict(pinn(SEEDS, **more), LADDER)
    assert v.code is Code.FASTER
    assert "ratio withheld" in v.sentence
    assert v.ratio is None
    assert v.winner == "classical"
    assert caveat in v.caveats
    # A factor of five is then no difference.
    near = verdict(pinn([4e-3] * 5, cpu_s=0.4, spread=0.0, **more), LADDER)
    assert near.code in (Code.TIE, Code.MORE_ACCURATE)


def test_tuning_on_the_reference_is_flagged():
    effort = EffortPart(trials=30, selector_used_reference=True)
    assert (
        "tuned on the reference" in verdict(pinn(SEEDS, effort=effort), LADDER).caveats
    )


def test_signal_metrics_need_no_order_and_are_written_in_their_units():
    baselines = [
        record("svm", "signal", e, s, metric="error_rate", options={"C": c})
        for c, (e, s) in enumerate([(0.02, 0.05), (0.012, 0.08), (0.011, 0.1)])
    ]
    net = record("ode-net", "neural-de", 0.017, 12.0, metric="error_rate", seed=0)
    v = verdict([net], baselines)
    assert v.code is Code.FASTER
    assert v.sentence.startswith("svm reaches 1.7 % in 80 ms, ode-net in 12 s")


def test_a_smaller_code_length_is_worth_a_word():
    texts = {"metric": "bits_per_character"}
    baselines = [
        record("n-gram", "signal", e, s, options={"order": k}, **texts)
        for k, (e, s) in enumerate([(2.9, 0.1), (2.5, 0.2), (2.4, 0.4)])
    ]
    v = verdict([record("gru", "neural-de", 2.1, 60.0, seed=0, **texts)], baselines)
    assert "n-gram reaches 2.4 bits in 400 ms, gru in 60 s" in v.sentence
    assert "; gru goes on to 2.1 bits" in v.sentence


def test_seeds_are_grouped_and_problems_kept_apart():
    other = LADDER[0].problem.model_copy(update={"id": "wave"})
    wave = [
        r.model_copy(update={"problem": other}) for r in (*LADDER, *pinn(SEEDS[:1]))
    ]
    found = verdicts([*LADDER, *pinn(SEEDS), *wave])
    assert [(v.problem, v.learned) for v in found] == [
        ("burgers", "pinn"),
        ("wave", "pinn"),
    ]


ERRORS = st.one_of(st.none(), st.floats(0, 1e3))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(ERRORS, st.floats(1e-6, 1e4)), min_size=1, max_size=5),
    st.lists(st.tuples(ERRORS, st.floats(1e-6, 1e4)), max_size=4),
    st.sampled_from(list(Status)),
    st.sampled_from(["relative_l2", "relative_l1", "error_rate", "bits_per_character"]),
)
def test_any_records_give_one_code_and_a_scoped_sentence(mine, theirs, status, metric):
    learned = [
        record("pinn", "pinn", e, s, seed=k, status=status, metric=metric)
        for k, (e, s) in enumerate(mine)
    ]
    classical = [
        record(error=e, cpu_s=s, options={"num_points": k}, metric=metric)
        for k, (e, s) in enumerate(theirs)
    ]
    v = verdict(learned, classical)
    assert v.code in Code
    assert v.sentence.endswith(f"{SCOPE}.")
    assert "nan" not in v.sentence.replace("ended as nan", "")
    assert "inf" not in v.sentence
