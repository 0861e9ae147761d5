"""A fit sees only the rows of its windows: those that no window has need not be there."""

import numpy as np

from flightline.inference.predict import predict
from flightline.training.fit import fit
from tests.training.test_fit import FEATURES, LATER, MASKS, SOLD_OUT, small


def test_rows_that_no_window_has_need_not_be_read():
    """What a flow does with a large training set: the same model comes of the rows before the test alone."""
    before = MASKS["refit"]
    masks = {name: mask[before] for name, mask in MASKS.items()}
    parameters = small("hist_gradient_boosting", calibrations=("sigmoid", "isotonic"))
    whole, part = (
        fit(parameters, features, label, chosen, task="classification", metric="log_loss")
        for features, label, chosen in (
            (FEATURES, SOLD_OUT, MASKS),
            (FEATURES[before], SOLD_OUT[before], masks),
        )
    )
    assert part.validation_losses == whole.validation_losses
    assert part.calibration_losses == whole.calibration_losses
    predictions = (predict("classification", model.pipeline, LATER) for model in (whole, part))
    np.testing.assert_array_equal(*predictions)
