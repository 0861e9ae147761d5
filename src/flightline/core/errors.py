"""Every error this project raises on purpose, so that callers can tell them from bugs.

    FlightlineError
    |-- DataError            the bytes under data/ are not what they should be
    |   |-- ContractError    a table breaks its contract: file, rows, values, rule
    |   `-- DataVersionError data/, data.dvc and the remote do not agree
    |       `-- RemoteError  the remote cannot be reached; trying again may help
    |-- FeatureError         features cannot be built or joined as declared
    |   |-- LeakError        a feature uses what was not yet known
    |   `-- StoredCodeError  a feature registry holds what Feast would run
    |-- EngineError          DuckDB or Spark cannot start, or has no room
    |-- SettingsError        an environment variable of the project says what makes no sense
    |-- TrainingError        a model cannot be fitted or evaluated honestly
    |   `-- ServableError    the service cannot answer with it as training would
    |-- RegistryError        the model registry refuses or lacks something
    |   `-- ChampionMoveError champion points where no recorded move has put it
    |-- ModelFileError       a model file cannot be trusted or loaded
    |   `-- SignatureError   nobody trusted has signed it
    |       `-- MeaningError features mean something else here than what was signed with it
    |-- LogError             the prediction log cannot be opened, written or thinned out
    |-- ParityError          a served prediction cannot be rebuilt as it was
    |-- ClockError           the event clock is missing or would go wrong
    |-- StateError           a file of .state is damaged, or its disk is full
    |-- RequestError         a prediction cannot be made for this request
    |-- NoRoomError          a request does not fit beside those at work; it may come again
    |   `-- ShareError       nor would it if all others were gone: they are the same caller's
    `-- StartError           the service may not start like this, or a key cannot be issued

A message says what was got, what was expected and what to do.
"""

import traceback
from collections.abc import Iterator
from pathlib import Path

_PYTHON = str(Path(traceback.__file__).parent)


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


class StoredCodeError(FeatureError):
    """A feature registry holds something that Feast would run or import; nothing of it is read."""


class EngineError(FlightlineError):
    """What computes the features cannot start, or runs out of memory or disk."""


class SettingsError(FlightlineError):
    """A setting has a value that makes no sense."""


class TrainingError(FlightlineError):
    """A model cannot be fitted or evaluated honestly."""


class ServableError(TrainingError):
    """The service cannot answer with a model, or answers otherwise than training."""


class RegistryError(FlightlineError):
    """The model registry refuses a change or lacks what was asked for."""


class ChampionMoveError(RegistryError):
    """The alias `champion` points at a version that no recorded move has put it at."""


class ModelFileError(FlightlineError):
    """A model file is missing, altered, or holds types outside the allow-list."""


class SignatureError(ModelFileError):
    """A model is not what somebody trusted has signed, or there is no key to sign or to verify with."""


class MeaningError(SignatureError):
    """The features that are registered here mean something else than what was signed with the model."""


class LogError(FlightlineError):
    """The prediction log cannot be opened, written, read or thinned out."""


class UnloggableError(LogError):
    """A prediction that no log could hold: the fault of its request."""


class ParityError(FlightlineError):
    """Logged predictions are not what the feature tables and their model give."""


class ClockError(FlightlineError):
    """The event clock is missing, or a move of it makes no sense."""


class StateError(FlightlineError):
    """A file that the tools keep under .state is damaged, or there is no room for one."""


class RequestError(FlightlineError):
    """A prediction cannot be made for this request."""


class NoRoomError(FlightlineError):
    """A request does not fit beside those at work; it may come again."""


class ShareError(NoRoomError):
    """A request does not fit beside others of the same caller, whose share is full."""


class StartError(FlightlineError):
    """The service may not start like this, or one of its keys cannot be issued or revoked."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error, what it came from, what that came from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def describe(error: BaseException) -> str:
    """Say what went wrong and in which line of the project's own code, for an error that nobody raised on purpose.

    Examples
    --------
    >>> describe(KeyError("age"))
    "KeyError: 'age'"
    """
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    return f"{said} ({own[-1].filename}, line {own[-1].lineno}, in {own[-1].name})" if own else said


def _is_own(file: str) -> bool:
    return "site-packages" not in file and not file.startswith(("<", _PYTHON))
