"""Model files in skops format: written, and loaded only if they are what they should be.

MLflow stores its list of trusted types beside the model, so whoever can alter the model can
alter the list. The list here is this project's own: a file that needs any other type is
refused (docs/decisions/0004-model-files.md).
"""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flightline.adapters.files.atomic_write import atomic_write
from flightline.core.errors import ModelFileError, SignatureError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

MODEL_FILE = "model.skops"
# Of maps and encoders, which any model may have; entries of the zoo name what they need besides.
OF_ANY_MODEL = (
    "flightline.calibration.CalibratedModel",  # template only
    "flightline.training.calibration.CalibratedModel",
    "numpy.dtype",
)


def trusted_types() -> list[str]:
    """Give what a file may hold beyond what skops trusts by itself: what the zoo needs, and nothing else."""
    from flightline.training import zoo  # here: it imports scikit-learn, and most commands need no model

    return sorted({*OF_ANY_MODEL, *zoo.trusted_types()})


def save_model(pipeline: "Pipeline", file: Path) -> str:
    """Write a fitted pipeline and give the file's digest (sha256, hex)."""
    import skops.io  # here: it takes seconds to import, and most commands need no model

    with atomic_write(file) as unfinished:
        skops.io.dump(pipeline, unfinished)
    return digest_of_file(file)


def digest_of_file(file: Path) -> str:
    """Hash a file (sha256, hex)."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read_model_file(file: Path, expected_sha256: str | None) -> bytes:
    """Read a model file after checking its digest: the bytes that were hashed are the bytes that are loaded.

    Raises
    ------
    ModelFileError
        If it is missing; a `SignatureError` if it differs from the digest, which was signed.
    """
    try:
        content = file.read_bytes()
    except OSError as err:
        raise ModelFileError(f"there is no readable model file {file.name}; fetch or train the model again") from err
    got = hashlib.sha256(content).hexdigest()
    if expected_sha256 is not None and got != expected_sha256:
        raise SignatureError(
            f"{file.name} has sha256 {got[:16]}..., expected {expected_sha256[:16]}...: it was altered or cut "
            "short after registration and is not loaded; fetch it again from the registry"
        )
    return content


def load_model(file: Path, expected_sha256: str | None = None) -> "Pipeline":
    """Load a pipeline after checking its bytes and the types in it.

    Parameters
    ----------
    file
        A file that `save_model` or MLflow wrote in skops format.
    expected_sha256
        The digest recorded when the model was registered; None skips that check, for a file
        this process has just written.

    Raises
    ------
    ModelFileError
        If the file is missing or holds a type that is not trusted; a `SignatureError` if it differs from the digest.
    """
    import skops.io  # as above
    from sklearn.pipeline import Pipeline
    from skops.io.exceptions import UntrustedTypesFoundException

    # template from here
    from flightline.training import calibration

    # Files name the module of a class. Those registered while it lay at this path stay loadable.
    sys.modules.setdefault("flightline.calibration", calibration)
    # template to here
    content = read_model_file(file, expected_sha256)
    try:
        model = skops.io.loads(content, trusted=trusted_types())
    except UntrustedTypesFoundException as err:
        raise ModelFileError(f"{file.name} holds types outside the allow-list of model_file.py: {err}") from err
    except ImportError as err:
        raise ModelFileError(
            f"{file.name} needs what this environment lacks ({err}); install the lock, or build the image with EXTRAS="
        ) from err
    except ModelFileError:
        raise  # of an entry of the zoo, which looked into its library's own format
    except Exception as err:
        # What zip, json, numpy and skops raise for a broken part has no common base.
        raise ModelFileError(
            f"{file.name} is not a readable skops file ({type(err).__name__}); fetch or train the model again"
        ) from err
    if not isinstance(model, Pipeline):
        raise ModelFileError(f"{file.name} holds a {type(model).__name__}, expected a scikit-learn Pipeline")
    return model
