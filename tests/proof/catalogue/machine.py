"""Faults in the machine's code, each a patch of its name in tests/proof/patches."""

from tests.proof.fault import GATE_TESTS, TRAIN_ANOTHER, Fault

MACHINE_FAULTS = (
    Fault(
        "rows_lost_in_join",
        "The join keeps one row for each key and time, as Feast's default store does.",
        safeguard="rows",
        says="no model was trained on it",
    ),
    Fault(
        "early_stopping_on_random_split",
        "The boosted trees stop by scikit-learn's own early stopping, which holds back random rows.",
        safeguard="stopping",
        says="early_stopping=True",
    ),
    Fault(
        "shuffled_labels",
        "Labels and features come out of step before the fit.",
        safeguard="bounds",
        says="{threshold}",
    ),
    Fault(
        "weighted_classes",
        "Positive rows count ten times in the fit 'to catch more', uncalibrated, so probabilities are none any more.",
        safeguard="baseline",
        says="{loss}",
    ),
    Fault(
        "label_among_features",
        "The training set takes the label in the place of a feature, past the leak test.",
        safeguard="plausible",
        says="{implausible}",
    ),
    Fault(
        "column_that_is_not_served",
        "The training set is given a column that the service cannot compute.",
        safeguard="servable",
        says="'day_of_the_month'",
    ),
    Fault(
        "challenger_against_itself",
        "The gate looks up the newest version where it should look up the champion.",
        safeguard="identity",
        says="there is nothing to compare",
        commands=(TRAIN_ANOTHER,),
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
    ),
    Fault(
        "foreign_preprocessing",
        "Numbers are centred before the champion sees them, as the challenger needs it.",
        safeguard="pipeline",
        says="the champion's evidence was not made by its own registered pipeline",
        commands=(TRAIN_ANOTHER,),
    ),
    Fault(
        "evaluation_on_training_rows",
        "Models are judged on the rows they were fitted on.",
        safeguard="later",
        says="the challenger was judged on rows from",
    ),
    Fault(
        "promotion_without_evidence",
        "The flow moves champion and leaves out what the move rests on.",
        safeguard="recorded",
        says="give the evidence",
        is_first=True,
    ),
)
