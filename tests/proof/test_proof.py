"""The proof itself, without running it: faults can be planted, and what is not stopped makes it fail."""

import json
import shutil
import subprocess
from datetime import timedelta

import pandas as pd
import pytest

from flightline.core.problem_spec import Monitoring
from tests.proof.__main__ import conclude
from tests.proof.catalogue import FAULTS
from tests.proof.catalogue.data import corrupt_object, deliver_twice
from tests.proof.execution.commands import TIMED_OUT, Result
from tests.proof.execution.copies import PATCHES, PROJECT, ProofError, apply_patch, patched_files
from tests.proof.fault import ASK, GATE_TESTS, SIMULATE, STATUS, TRAIN, TRAIN_ANOTHER, Fault
from tests.proof.inside.simulated_hours import is_seen_to_lag, is_seen_to_miss
from tests.proof.inside.small_data import months_to_keep
from tests.proof.judgement import Outcome, Run, expected_words, judge_control, judge_fault, set_aside
from tests.proof.matrix import cell, explanation, matrix, progress_line
from tests.proof.observation import State
from tests.proof.safeguards import SAFEGUARDS

BY_PATCH = [fault.name for fault in FAULTS if fault.plant is None]
LEAK = next(fault for fault in FAULTS if fault.name == "stamped_too_early")
BEFORE = State(champion=None, versions=0, data_version="one", data=None)
PULLED = State(champion=None, versions=0, data_version="one", data="bytes")
CAUGHT = Result(TRAIN, 1, "pull  done\nLeakError: 1 leak(s): no feature was written\n  shop_table: 3 row(s)\n", 1.0)


# The faults


@pytest.mark.parametrize("name", BY_PATCH)
def test_every_patch_applies_to_the_current_tree(name):
    apply_patch(PROJECT, name, check_only=True)


def test_every_patch_belongs_to_a_fault():
    assert sorted(file.stem for file in PATCHES.iterdir()) == sorted(BY_PATCH)


def test_every_fault_has_a_safeguard_and_every_safeguard_a_fault():
    assert {fault.safeguard for fault in FAULTS} == set(SAFEGUARDS)


def test_the_docs_list_the_faults_as_they_are():
    lines = (PROJECT / "docs" / "concepts" / "safeguards.md").read_text(encoding="utf-8").splitlines()
    wanted = [f"| `{fault.name}` | {fault.mistake} | {fault.safeguard} |" for fault in FAULTS]
    assert [line for line in lines if line in wanted] == wanted


def test_a_patch_that_no_longer_fits_must_be_updated(tmp_path):
    (file,) = patched_files(PATCHES / "label_among_features.patch")
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("other code\n")
    with pytest.raises(ProofError, match="must be updated"):
        apply_patch(tmp_path, "label_among_features")


def test_a_patch_is_applied_below_another_repository(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (name,) = patched_files(PATCHES / "label_among_features.patch")
    file = tmp_path / "copy" / name
    file.parent.mkdir(parents=True)
    shutil.copy(PROJECT / name, file)
    apply_patch(tmp_path / "copy", "label_among_features")
    assert file.read_text() != (PROJECT / name).read_text()


def test_one_bit_of_one_object_is_flipped(tmp_path):
    folder = tmp_path / ".dvcstore" / "files"
    folder.mkdir(parents=True)
    (folder / "small").write_bytes(b"ab")
    (folder / "large").write_bytes(b"abc")
    assert corrupt_object(tmp_path) == ("expected md5 fileslarge",)
    assert ((folder / "small").read_bytes(), (folder / "large").read_bytes()) == (b"ab", b"acc")


def test_a_month_is_delivered_with_its_rows_twice(tmp_path):
    (tmp_path / "data" / "sales").mkdir(parents=True)
    for month in ("2020-01", "2020-02", "2020-03"):
        (tmp_path / "data" / "sales" / f"{month}.csv").write_text(f"a,b\n{month},2\n")
    assert deliver_twice(tmp_path) == ("is unique in sales",)
    assert (tmp_path / "incoming/sales/2020-02.csv").read_text() == "a,b\n2020-02,2\n2020-02,2\n"


def test_all_data_is_kept_if_it_is_small():
    assert months_to_keep({f"2020-{month:02d}": 600 for month in range(1, 13)}, "2020-12")[0] == "2020-01"


def test_at_least_three_months_are_kept():
    assert months_to_keep(dict.fromkeys(("2020-01", "2020-02", "2020-03", "2020-04"), 10**6), "2020-12")[0] == "2020-02"


def test_a_store_that_stops_is_planted_where_predictions_come_later():
    begin, rule = pd.Timestamp("2020-01-06", tz="UTC"), Monitoring(max_lag=timedelta(hours=2))
    hourly = pd.Series(pd.date_range(begin, periods=24, freq="h"))
    assert is_seen_to_lag(hourly, begin.to_pydatetime(), rule)
    assert not is_seen_to_lag(hourly[:1].repeat(100), begin.to_pydatetime(), rule)
    assert not is_seen_to_lag(hourly[:0], begin.to_pydatetime(), rule)


@pytest.mark.parametrize(
    ("key", "known", "asked", "is_missed"),
    [
        (
            1,
            "12:04",
            "14:30",
            True,
        ),  # after the materialisation of 12:00, before the one of 12:10 that should have been
        (1, "12:04", "12:30", False),  # the next materialisation is at 13:00
        (1, "12:14", "14:30", False),
        (1, "11:58", "14:30", False),  # loaded at the start
        (2, "12:04", "14:30", False),
    ],
)
def test_a_gap_is_seen_where_a_prediction_is_made_from_what_it_left_out(key, known, asked, is_missed):
    days = {name: [pd.Timestamp(f"2024-05-01T{at}Z")] for name, at in (("known", known), ("asked", asked))}
    asked_rows = pd.DataFrame({"shop": [1], "event_timestamp": days["asked"]})
    values = pd.DataFrame({"shop": [key], "event_timestamp": days["known"]})
    start = pd.Timestamp("2024-05-01T12:00Z").to_pydatetime()
    assert is_seen_to_miss(asked_rows, values, ["shop"], start) is is_missed


def test_the_expected_words_come_from_fault_planting_and_problem():
    fault = Fault("a", "", "leak", says="{loss} is high")
    choices = {"words": {"loss": "mae"}, "a": {"says": ["table: "]}}
    assert expected_words(fault, ("planted",), choices) == ("mae is high", "planted", "table: ")


# Not applicable


def test_a_fault_that_cannot_be_made_is_counted_with_its_reason():
    shown = matrix([set_aside(LEAK, "no group is known late")], 1.0)
    assert "no group is known late" in shown
    assert shown.splitlines()[-1] == "0 passed, 0 failed, 1 not applicable"


@pytest.mark.parametrize("reason", [None, "", " "])
def test_not_applicable_without_a_reason_fails(reason):
    assert conclude([set_aside(LEAK, reason)], 1.0) == 1


def test_nothing_but_inapplicable_faults_is_nothing_proved():
    assert conclude([set_aside(LEAK, "a reason")], 1.0) == 1


def test_a_fault_of_which_no_word_is_known_does_not_pass():
    assert "nothing is known" in judge_fault(LEAK, run_of(CAUGHT), ()).problems[0]


# The evidence

SPOKEN = {
    "servable": (
        1,
        "ServableError: version 2 was trained and cannot be served, so it is not promoted: ModelFileError: the column",
    ),
    "data anomalies": (0, "watch: nothing is decided; the data is broken: temp outside since 2013-03-26"),
    "labelled": (0, "retrain: 3 of the last 4 windows are in breach, the latest among them (2 and the latest ask)"),
    "overdue": (0, '    "overdue": "23 predictions have waited for the monitor for more than 7 days: it never ran"'),
    "contract": (1, "ContractError: 2 violation(s); no change.\n  sales/2020-02.csv:7: key=1 breaks: unique\n"),
    "version": (1, "DataVersionError: version x cannot be had"),
    "leak": (1, CAUGHT.output),
    "rows": (1, "FeatureError: the point-in-time join was given 9 rows and gave 8: 1 example(s) missing"),
    "values": (1, "TrainingError: all rows of the fit window have the same value: hour = 0.0; check how it is made"),
    "stopping": (1, "TrainingError: step 'model' (Boosting) has early_stopping=True and would stop by a random split"),
    "categories": (1, "TrainingError: 90% of the rows to be judged have a shop that was never seen before them"),
    "bounds": (0, "REJECT: brier 0.2 is above its ceiling 0.1"),
    "baseline": (0, "REJECT: not better than the baseline: log_loss 0.6"),
    "plausible": (0, "REJECT: roc_auc 1.0 is implausibly good"),
    "too good": (0, "warning: shop_count alone takes away 48% of a constant's loss, there is no other view"),
    "identity": (0, "HOLD: the challenger is the champion: there is nothing to compare"),
    "roles": (0, "REJECT: the champion's evidence was given as the challenger's: mixed up on the way to the gate"),
    "pipeline": (0, "REJECT: the champion's evidence was not made by its own registered pipeline on these features"),
    "later": (0, "REJECT: the challenger was judged on rows from 2013-01-01 on, before the test window began"),
    "recorded": (1, "RegistryError: champion was not moved: say why, and give the evidence"),
    "digest": (1, "REFUSED: version 1: model.skops has sha256 12..., expected 34...: it was altered"),
    "trust": (1, "REFUSED: version 1: model.skops holds types outside the allow-list of model_file.py: eval"),
    "signature": (1, "REFUSED: version 1: model.json of version 1 has sha256 1...: it was changed after it was signed"),
    "moves": (
        0,
        "REFUSED: version 2: champion of toy points at version 2, but the last recorded move put it at version 1: "
        "somebody\nREADY\nANSWERED: version 1, logged; 4 value(s) of the online store used, 0 view(s) named stale",
    ),
    "signature tests": (1, "FAILED tests/adapters/model_store/test_signatures.py::test_it[another key]"),
    "ttl": (0, "READY\nANSWERED: version 1, logged; 0 value(s) of the online store used, 11 view(s) named stale"),
    "meaning": (1, "NOT ANSWERED 503: version 1 was trained on feature views that mean something else than those"),
    "plain registry": (1, "NOT ANSWERED 503: the registry that feature_store.yaml names holds what Feast would run or"),
    "log": (1, "NOT ANSWERED 503: the SQLite file predictions.db of the prediction log cannot be opened"),
    "names": (1, "LogError: the prediction log holds predictions whose list of feature names, d2f5856f4cce4954, is"),
    "keys": (1, "StartError: got host 0.0.0.0 in the profile local and no valid API key; expected one there"),
    "early": (1, "LogError: 126 of 131 labels would be recorded before they are known, the first at 2013-03-28"),
    "parity": (1, "ParityError: 12 mismatches, 31 values, in 181 predictions (14,661 features)"),
    "lag": (0, "  - shop_recent was materialised more than 2 h before 44% of the predictions"),
    "tests": (1, "FAILED tests/promotion/test_gate.py::test_the_verdict_and_its_reason[a tie]"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAFEGUARDS)
def test_each_safeguard_is_told_from_every_other(name):
    code, said = SPOKEN[name]
    results = [Result(TRAIN, code, f"before it\n{said}\n", 1.0)]
    assert [other for other, safeguard in SAFEGUARDS.items() if safeguard.has_fired(results)] == [name]


@pytest.mark.parametrize("name", SAFEGUARDS)
def test_words_without_the_exit_code_are_no_evidence(name):
    code, said = SPOKEN[name]
    assert not SAFEGUARDS[name].has_fired([Result(TRAIN, 1 - code, said, 1.0)])


# The judgement


def run_of(*results: Result, after: State = PULLED, preparation: tuple[Result, ...] = ()) -> Run:
    return Run(preparation, results, BEFORE, after, 1.0)


def test_a_fault_that_is_stopped_passes():
    assert judge_fault(LEAK, run_of(CAUGHT), ("shop_table: ",)).problems == ()


def test_of_several_words_one_is_enough():
    assert judge_fault(LEAK, run_of(CAUGHT), (["city_table: ", "shop_table: "],)).problems == ()
    (problem,) = judge_fault(LEAK, run_of(CAUGHT), (["city_table: ", "town_table: "],)).problems
    assert "did not say 'city_table: ' or 'town_table: '" in problem


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (run_of(Result(TRAIN, 0, "PROMOTE: better", 1.0)), "not stopped by leak"),
        (run_of(Result(TRAIN, 1, "KeyError: 'x'", 1.0)), "not stopped by leak"),
        (run_of(Result(TRAIN, TIMED_OUT, CAUGHT.output, 1.0)), "not stopped by leak"),
        (run_of(Result(TRAIN, 1, CAUGHT.output.replace("shop", "city"), 1.0)), "did not say 'shop_table: '"),
        (run_of(CAUGHT, after=State("1", 0, "one", None)), "let champion change: None to 1"),
        (run_of(CAUGHT, after=State(None, 1, "one", None)), "let versions change"),
        (run_of(CAUGHT, after=State(None, 0, "two", None)), "let data_version change"),
        (run_of(preparation=(Result(TRAIN, 1, "", 1.0),)), "failed before the fault was planted"),
    ],
    ids=["promoted", "other error", "timeout", "other culprit", "champion", "versions", "data.dvc", "preparation"],
)
def test_a_fault_that_is_not_stopped_fails(run, problem, capsys):
    outcome = judge_fault(LEAK, run, ("shop_table: ",))
    assert problem in outcome.problems[0]
    assert conclude([outcome], 1.0) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 1 failed, 0 not applicable"


AGAIN = "".join(
    f"{stage}   1 row, reused: nothing it depends on has changed\n"
    for stage in ("validate", "features", "training set")
)
SERVED = "READY\nANSWERED: version 1, logged; 72 value(s) of the online store used, 0 view(s) named stale\n"
REBUILT = "parity          0 mismatches in 181 predictions (14,661 features) (1.1 s)\n"
CLEAN = (
    Result(TRAIN, 0, "PROMOTE: there is no champion yet\n", 1.0),
    Result(TRAIN_ANOTHER, 0, f"{AGAIN}HOLD: worse than the champion: log_loss 0.5\n", 1.0),
    Result(STATUS, 0, json.dumps({"champion": {"version": "1"}}), 1.0),
    Result(GATE_TESTS, 0, "50 passed", 1.0),
    Result(ASK, 0, SERVED, 1.0),
    Result(SIMULATE, 0, REBUILT, 1.0),
)
TRAINED = State("1", 2, "one", "bytes")


def altered(index: int, exit_code: int, output: str) -> tuple[Result, ...]:
    return (*CLEAN[:index], Result(CLEAN[index].command, exit_code, output, 1.0), *CLEAN[index + 1 :])


def test_a_clean_control_passes(capsys):
    outcome = judge_control(run_of(*CLEAN, after=TRAINED))
    assert outcome.problems == ()
    assert conclude([outcome], 1.0) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 0 not applicable"


@pytest.mark.parametrize(
    ("results", "after", "problem"),
    [
        (altered(1, 0, f"{AGAIN}REJECT: roc_auc 0.6 is below its floor 0.7"), TRAINED, "bounds fired"),
        (altered(1, 0, "HOLD: worse than the champion"), TRAINED, "did not reuse: validate"),
        (altered(2, 0, json.dumps({"champion": None})), TRAINED, "names no champion"),
        (altered(2, 0, json.dumps({"champion": {"version": "2"}})), TRAINED, "names 2, the registry 1"),
        (altered(3, 1, "FAILED tests/promotion/test_gate.py::test_a"), TRAINED, "tests fired"),
        (altered(4, 0, SERVED.replace("72", "0")), TRAINED, "gave no logged prediction"),
        (altered(4, 1, "NOT ANSWERED 503: no model"), TRAINED, "gave no logged prediction"),
        (altered(5, 1, REBUILT.replace("0 mism", "2 mism")), TRAINED, "was rebuilt as it was made"),
        (altered(5, 1, "ParityError: 2 mismatches in 181"), TRAINED, "parity fired"),
        (CLEAN[:1], State("1", 1, "one", "bytes"), "expected version 1 of 2"),
        (CLEAN, State(None, 2, "one", "bytes"), "expected version 1 of 2"),
        (CLEAN, State("1", 2, "two", "bytes"), "data.dvc changed"),
    ],
)
def test_a_control_in_which_anything_is_wrong_fails(results, after, problem):
    outcome = judge_control(run_of(*results, after=after))
    assert problem in "; ".join(outcome.problems)
    assert conclude([outcome], 1.0) == 1


def test_nothing_run_is_nothing_proved():
    assert conclude([], 1.0) == 1


# What is printed


def test_the_cells_of_the_matrix():
    stopped = Outcome("a", "leak", frozenset({"leak", "rows"}), (), 1.0)
    missed = Outcome("b", "leak", frozenset(), ("not stopped",), 1.0)
    stale = Outcome("c", "leak", frozenset(), ("no longer fits",), 1.0, is_run=False)
    alarm = Outcome("control", None, frozenset({"rows"}), ("rows fired",), 1.0)
    cells = [
        cell(stopped, "leak"),
        cell(stopped, "rows"),
        cell(stopped, "tests"),
        cell(missed, "leak"),
        cell(stale, "leak"),
        cell(alarm, "rows"),
    ]
    assert cells == ["STOPPED", "fired", ".", "MISSED", "NOT RUN", "ALARM"]
    lines = matrix([stopped, missed, stale, alarm], 61.0).splitlines()
    assert lines[-2:] == ["4 runs in 61 s", "1 passed, 3 failed, 0 not applicable"]
    assert "NOT AS DEMANDED: not stopped" in progress_line(1, 4, missed)


def test_a_wrong_outcome_shows_the_last_lines_of_its_output():
    shown = explanation(Outcome("a", "leak", frozenset(), ("not stopped",), 1.0, "\n".join(map(str, range(100)))))
    assert [line for line in shown.splitlines() if "|" in line] == [f"  | {number}" for number in range(70, 100)]
