"""Every error this project raises on purpose, so that callers can tell them from bugs.

    FlightlineError
    |-- DataError            the bytes under data/ are not what they should be
    |   |-- ContractError    a table breaks its contract: file, rows, values, rule
    |   `-- DataVersionError data/, data.dvc and the remote do not agree
    |       `-- RemoteError  the remote cannot be reached; trying again may help
    |-- FeatureError         features cannot be built or joined as declared
    |   `-- LeakError        a feature uses what was not yet known
    |-- TrainingError        a model cannot be fitted or evaluated honestly
    |-- RegistryError        the model registry refuses or lacks something
    |   `-- ChampionMoveError champion points where no recorded move has put it
    |-- ModelFileError       a model file cannot be trusted or loaded
    |   `-- SignatureError   nobody trusted has signed it
    |-- LogError             the prediction log cannot be opened, written or thinned out
    |-- ParityError          a served prediction cannot be rebuilt as it was
    |-- ClockError           the event clock is missing or would go wrong
    |-- RequestError         a prediction cannot be made for this request
    `-- StartError           the service may not start like this, or a key cannot be issued

A message says what was got, what was expected and what to do.
"""


class FlightlineError(Exception):
    """Base of the errors that a person, not a debugger, should read."""


class DataError(FlightlineError):
    """The data under data/ is not what it should be."""


class ContractError(DataError):
    """A raw table breaks its contract."""


class DataVersionError(DataError):
    """data/, data.dvc and the DVC remote do not agree."""


class RemoteError(DataVersionError):
    """The DVC remote cannot be reached or used; trying again may help."""


class FeatureError(FlightlineError):
    """Features cannot be built or joined as declared."""


class LeakError(FeatureError):
    """A feature row uses something that was not known at its event timestamp."""


class TrainingError(FlightlineError):
    """A model cannot be fitted or evaluated honestly."""


class RegistryError(FlightlineError):
    """The model registry refuses a change or lacks what was asked for."""


class ChampionMoveError(RegistryError):
    """The alias `champion` points at a version that no recorded move has put it at."""


class ModelFileError(FlightlineError):
    """A model file is missing, altered, or holds types outside the allow-list."""


class SignatureError(ModelFileError):
    """A model is not what somebody trusted has signed, or there is no key to sign or to verify with."""


class LogError(FlightlineError):
    """The prediction log cannot be opened, written, read or thinned out."""


class UnloggableError(LogError):
    """A prediction that no log could hold: the fault of its request."""


class ParityError(FlightlineError):
    """Logged predictions are not what the feature tables and their model give."""


class ClockError(FlightlineError):
    """The event clock is missing, or a move of it makes no sense."""


class RequestError(FlightlineError):
    """A prediction cannot be made for this request."""


class StartError(FlightlineError):
    """The service may not start like this, or one of its keys cannot be issued or revoked."""
