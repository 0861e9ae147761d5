"""The safeguards by name, and the evidence by which each is recognised in what a command said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

from tests.proof.execution.commands import Result
from tests.proof.observation import State

_ALL = tuple(field.name for field in fields(State))
_BUT_DATA = ("champion", "versions", "data_version")  # a pull brings data/
_BUT_VERSIONS = ("champion", "data_version")  # a challenger is registered before it is judged


@dataclass(frozen=True)
class Safeguard:
    """Something that must stop a fault.

    Parameters
    ----------
    name
        Heading of its column.
    meaning
        What it does, for the legend.
    exit_code
        Of the command in which it speaks.
    evidence
        Regular expression, searched line by line, for what it says.
    keeps
        Fields of `State` that are as they were, if it has done its work.
    """

    name: str
    meaning: str
    exit_code: int
    evidence: str
    keeps: tuple[str, ...]

    def has_fired(self, results: Sequence[Result]) -> bool:
        """Tell whether one of the commands gives evidence of it."""
        return any(
            result.exit_code == self.exit_code and re.search(self.evidence, result.output, re.MULTILINE)
            for result in results
        )


_SAFEGUARDS = (
    Safeguard(
        "contract",
        "the data contract refuses the files, naming file and line",
        1,
        r"^ContractError: .*\n(?:.*\n)*?  \S+\.csv:\d+:",
        _ALL,
    ),
    Safeguard("version", "the bytes are not what data.dvc names", 1, r"^DataVersionError: ", _ALL),
    Safeguard(
        "leak", "the leak test: a feature row uses what was not yet known", 1, r"^LeakError: \d+ leak", _BUT_DATA
    ),
    Safeguard(
        "rows",
        "the point-in-time join gives back the rows it was given",
        1,
        r"^FeatureError: the point-in-time join was given \d+ rows and gave \d+",
        _BUT_DATA,
    ),
    Safeguard(
        "values",
        "a feature holds something to learn from",
        1,
        r"^TrainingError: .*(has a value of|have the same value)",
        _BUT_DATA,
    ),
    Safeguard(
        "stopping",
        "no fit decides on random rows when to stop",
        1,
        r"^TrainingError: .*would stop by a random split",
        _BUT_DATA,
    ),
    Safeguard(
        "categories",
        "the rows to be judged have categories that were there before",
        1,
        r"^TrainingError: .*never seen before",
        ("champion", "versions"),
    ),
    Safeguard(
        "servable",
        "before the gate: the service answers examples, and agrees with training",
        1,
        r"^ServableError: .*cannot be served, so it is not promoted",
        _BUT_VERSIONS,
    ),
    Safeguard(
        "bounds",
        "gate: a floor or ceiling of a metric",
        0,
        r"^REJECT: .*(below its floor|above its ceiling)",
        _BUT_VERSIONS,
    ),
    Safeguard(
        "baseline", "gate: better than the base rate", 0, r"^REJECT: .*not better than the baseline", _BUT_VERSIONS
    ),
    Safeguard(
        "plausible", "gate: no better than an honest model can be", 0, r"^REJECT: .*implausibly good", _BUT_VERSIONS
    ),
    Safeguard(
        "too good",
        "verdict: a feature that alone is too good is named",
        0,
        r"^warning: .*(in the order of their labels|alone takes away)",
        ("data_version",),
    ),
    Safeguard(
        "identity",
        "gate: champion and challenger are two models",
        0,
        r"^HOLD: .*the challenger is the champion",
        _BUT_VERSIONS,
    ),
    Safeguard(
        "roles",
        "gate: evidence is judged as whose it is",
        0,
        r"^REJECT: .*evidence was given as the",
        _BUT_VERSIONS,
    ),
    Safeguard(
        "pipeline",
        "gate: predictions are those of the model's own registered pipeline",
        0,
        r"^REJECT: .*was not made by its own registered pipeline",
        _BUT_VERSIONS,
    ),
    Safeguard(
        "later",
        "gate: models are judged on rows later than those they learned from",
        0,
        r"^REJECT: .*(before the test window began|learned from rows up to)",
        _BUT_VERSIONS,
    ),
    Safeguard(
        "recorded",
        "champion is moved only with its evidence",
        1,
        r"^RegistryError: champion was not moved",
        _BUT_VERSIONS,
    ),
    Safeguard(
        "digest",
        "service: a model file whose bytes are not the registered ones is not loaded",
        1,
        r"^REFUSED: .*model\.skops has sha256",
        _ALL,
    ),
    Safeguard(
        "trust",
        "service: a model file with a type outside the allow-list is not loaded",
        1,
        r"^REFUSED: .*holds types outside the allow-list",
        _ALL,
    ),
    Safeguard(
        "signature",
        "model sync and service: a model that was changed after it was signed is not loaded",
        1,
        r"^REFUSED: .*(changed after it was signed|not signed by a trusted key|has no signature)",
        _ALL,
    ),
    Safeguard(
        "moves",
        "model sync: a champion that no recorded move has made one is not served, the one before answers",
        0,
        r"^REFUSED: .*the last recorded move put it at(?:.*\n)+?ANSWERED: ",
        _ALL,
    ),
    Safeguard(
        "ttl",
        "service: a value older than its ttl is not used, and the answer names it",
        0,
        r"^ANSWERED: .* [1-9]\d* view\(s\) named stale",
        _ALL,
    ),
    Safeguard(
        "meaning",
        "service: features must mean what they meant in training",
        1,
        r"^NOT ANSWERED 503: .*feature views that mean something else",
        _ALL,
    ),
    Safeguard(
        "plain registry",
        "service: a feature registry that holds code is not read",
        1,
        r"^NOT ANSWERED 503: .*holds what Feast would run",
        _ALL,
    ),
    Safeguard(
        "log", "service: no answer without a logged prediction", 1, r"^NOT ANSWERED 503: .*of the prediction log", _ALL
    ),
    Safeguard(
        "names",
        "log: features are read under the names they were written with, or not at all",
        1,
        r"^LogError: .*list of feature names",
        _ALL,
    ),
    Safeguard(
        "keys", "service: off loopback it starts only with keys", 1, r"^StartError: .*and no valid API key", _ALL
    ),
    Safeguard(
        "early",
        "labels: none is recorded before it is known",
        1,
        r"^LogError: [\d,]+ of [\d,]+ labels would be recorded before they are known",
        _ALL,
    ),
    Safeguard(
        "parity",
        "parity: logged features and answers are those of the feature tables",
        1,
        r"^ParityError: [\d,]+ mismatches",
        _ALL,
    ),
    Safeguard(
        "lag",
        "monitor: a feature view was materialised too long ago",
        0,
        r"^  - \S+ was materialised more than \d+ h before",
        _ALL,
    ),
    Safeguard(
        "data anomalies",
        "monitor: a column did what no day of training did",
        0,
        r"^(watch|retrain): .*(the data is broken|first repair the data): ",
        _ALL,
    ),
    Safeguard(
        "labelled",
        "monitor: labels are credibly not what the probabilities promised",
        0,
        r"^retrain: \d+ of the last \d+ windows are in breach",
        _ALL,
    ),
    Safeguard(
        "overdue",
        "make status: predictions wait for a monitor that does not run",
        0,
        r'"overdue": ".*predictions have waited for the monitor',
        _ALL,
    ),
    Safeguard(
        "signature tests",
        "the tests that swap signed models, tests/adapters/model_store/test_signatures.py",
        1,
        r"^FAILED tests/adapters/model_store/test_signatures\.py::",
        _ALL,
    ),
    Safeguard(
        "tests",
        "the gate's truth table, tests/promotion/test_gate.py",
        1,
        r"^FAILED tests/promotion/test_gate\.py::",
        _ALL,
    ),
)
SAFEGUARDS = {safeguard.name: safeguard for safeguard in _SAFEGUARDS}
