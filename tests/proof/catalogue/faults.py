"""The faults: what a person would have done wrong, and which safeguard must stop it.

A change of code is a patch in tests/proof/faults; a change of data is a function here.
"""

import csv
import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.proof.catalogue.fault import DATA, GATE_TESTS, INGEST, TRAIN, TRAIN_ANOTHER, Fault
from tests.proof.catalogue.monitoring_faults import MONITORING_FAULTS
from tests.proof.catalogue.service_faults import SERVICE_FAULTS
from tests.proof.catalogue.simulation_faults import SIMULATION_FAULTS

RESENT = "flights/2013-02.csv"
TEST_MONTH = "flights/2013-03.csv"


def corrupt_object(copy: Path) -> None:
    """Flip one bit of the largest object in the DVC remote; the copy has no data/ and no cache."""
    objects = [path for path in (copy / ".dvcstore").rglob("*") if path.is_file()]
    largest = max(objects, key=lambda path: (path.stat().st_size, path.name))
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(content)


def deliver_twice(copy: Path) -> None:
    """Put a month into the folder to be ingested, its rows twice."""
    header, rows = (copy / "data" / RESENT).read_text(encoding="utf-8").split("\n", 1)
    target = copy / "incoming" / RESENT
    target.parent.mkdir(parents=True)
    target.write_text(f"{header}\n{rows}{rows}", encoding="utf-8", newline="")


def recode_carriers(copy: Path) -> None:
    """Put the test month into the folder to be ingested, each carrier under a code of the sender's own."""
    with (copy / "data/airlines.csv").open(encoding="utf-8", newline="") as file:
        header, *airlines = csv.reader(file)
    codes = {carrier: f"Z{letter}" for (carrier, _), letter in zip(airlines, string.ascii_uppercase, strict=False)}
    write_rows(copy / "incoming/airlines.csv", header, [*airlines, *((codes[c], name) for c, name in airlines)])
    with (copy / "data" / TEST_MONTH).open(encoding="utf-8", newline="") as file:
        header, *flights = csv.reader(file)
    place = header.index("carrier")
    recoded = [[*row[:place], codes[row[place]], *row[place + 1 :]] for row in flights]
    write_rows(copy / "incoming" / TEST_MONTH, header, recoded)


def write_rows(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file as the raw tables are written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened, lineterminator="\n").writerows([header, *rows])


FAULTS = (
    Fault(
        "month_delivered_twice",
        "A month's file is sent again with its rows appended to the old ones.",
        safeguard="contract",
        says="is unique in flights",
        before=(DATA,),
        commands=(INGEST,),
        plant=deliver_twice,
    ),
    Fault(
        "corrupt_object",
        "A disk flips one bit of one file in the DVC remote.",
        safeguard="version",
        says="flights/2013-03.csv: expected md5",
        plant=corrupt_object,
    ),
    Fault(
        "weather_at_hour_start",
        "An hour's weather is stamped with the start of its hour, when it was not yet measured.",
        safeguard="leak",
        says="origin_weather: ",
    ),
    Fault(
        "arrival_at_departure",
        "The aircraft's arrival delay is stamped at its departure, hours before it landed.",
        safeguard="leak",
        says="aircraft_last_arrival: ",
    ),
    Fault(
        "arrival_at_prediction",
        "The flight's own arrival delay is offered as a feature, stamped at its prediction time.",
        safeguard="leak",
        says="aircraft_last_arrival: ",
    ),
    Fault(
        "rows_lost_in_join",
        "The join keeps one row for each key and time, as Feast's default store does.",
        safeguard="rows",
        says="no model was trained on it",
    ),
    Fault(
        "all_null_column",
        "A key is spelled otherwise in requests than in the feature table, so that nothing joins.",
        safeguard="values",
        says="no row of the fit window has a value of: area_departures_1h_count",
    ),
    Fault(
        "constant_column",
        "The time of day is read from a time that was cut to its day.",
        safeguard="values",
        says="scheduled_minute = 0.0",
    ),
    Fault(
        "early_stopping_on_random_split",
        "The boosted trees stop by scikit-learn's own early stopping, which holds back random rows.",
        safeguard="stopping",
        says="early_stopping=True",
    ),
    Fault(
        "flood_of_unseen_carriers",
        "A month is delivered with carrier codes that no earlier month knows.",
        safeguard="categories",
        says="have a carrier that was never seen before",
        before=(DATA,),
        commands=(INGEST, TRAIN),
        plant=recode_carriers,
    ),
    Fault(
        "shuffled_labels",
        "Labels and features come out of step before the fit.",
        safeguard="bounds",
        says="roc_auc",
    ),
    Fault(
        "weighted_classes",
        "Late flights count ten times in the fit 'to catch more', uncalibrated, so probabilities are none any more.",
        safeguard="baseline",
        says="log_loss",
    ),
    Fault(
        "label_among_features",
        "The training set takes the label along as a feature, past the leak test.",
        safeguard="plausible",
        says="roc_auc",
    ),
    Fault(
        "challenger_against_itself",
        "The gate looks up the newest version where it should look up the champion.",
        safeguard="identity",
        says="there is nothing to compare",
        commands=(TRAIN_ANOTHER,),
        is_trained=True,
    ),
    Fault(
        "inverted_comparison",
        "The gate promotes what is worse than the champion.",
        safeguard="tests",
        says="worse than the champion",
        commands=(GATE_TESTS,),
    ),
    Fault(
        "champion_and_challenger_swapped",
        "The gate is handed the champion's evidence as the challenger's, and the other way round.",
        safeguard="roles",
        says="the champion's evidence was given as the challenger's",
        commands=(TRAIN_ANOTHER,),
        is_trained=True,
    ),
    Fault(
        "foreign_preprocessing",
        "Missing numbers are filled before the champion sees them, as the challenger needs it.",
        safeguard="pipeline",
        says="the champion's evidence was not made by its own registered pipeline",
        commands=(TRAIN_ANOTHER,),
        is_trained=True,
    ),
    Fault(
        "evaluation_on_training_rows",
        "Models are judged on the rows they were fitted on.",
        safeguard="later",
        says="the challenger was judged on rows from 2013-01-01",
    ),
    Fault(
        "promotion_without_evidence",
        "The flow moves champion and leaves out what the move rests on.",
        safeguard="recorded",
        says="give the evidence",
    ),
    *SERVICE_FAULTS,
    *SIMULATION_FAULTS,
    *MONITORING_FAULTS,
)
