"""Keras on JAX: networks that are kept as `.keras` files. Its packages are a group of pyproject.toml of their own."""

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags

from flightline.core.errors import ModelFileError
from flightline.core.problem_spec import Task
from flightline.training.preprocessing import Columns, as_numbers
from flightline.training.zoo.entry import COMPONENTS_AND_SEGMENTS, Range, Rows, ZooModel

if TYPE_CHECKING:
    from keras import Layer, Model

LOSSES: Mapping[Task, str] = {
    "classification": "binary_crossentropy",
    "multiclass": "sparse_categorical_crossentropy",
    "regression": "mean_squared_error",
}
MAX_DEVIATIONS = 5.0  # scaled numbers are cut there: what is rare and huge would rule a network
STEPS = 50  # of the optimiser, in an iteration: on a quarter of a million rows, ten iterations are about a pass
BATCH, LEAST_BATCH, BATCHES_IN_A_PASS = 512, 32, 100
# Rows are answered in blocks of these sizes, since JAX compiles for each size that it is asked; the smaller is compiled
# when a file is read, so that no request waits for it.
FEW_ROWS, MANY_ROWS = 8, 1_024
# All that a file may hold. Keras' own safe mode lets through whatever is Keras'.
CLASSES = frozenset(
    {"Sequential", "InputLayer", "Dense", "Dropout", "Rescaling", "DTypePolicy", "GlorotUniform", "Zeros"}
)
MAX_UNPACKED_BYTES = 64_000_000


class KerasNetwork(BaseEstimator):
    """A network that is kept as the bytes of a `.keras` file, and always read from them: no code comes with a file.

    Keras' own wrappers for scikit-learn keep the network as an object, and give no probabilities.

    Parameters
    ----------
    task
        Of the problem.
    seed
        Of the first weights, the dropout and the order of the rows.
    max_iter
        Iterations, of `STEPS` steps of the optimiser each.
    units
        Of the first hidden layer; the second has half as many.
    dropout
        Share of a layer's output that is left out in each step.
    learning_rate, weight_decay
        Of AdamW.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        max_iter: int,
        units: int,
        dropout: float,
        learning_rate: float,
        weight_decay: float,
    ):
        self.task = task
        self.seed = seed
        self.max_iter = max_iter
        self.units = units
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay

    def __sklearn_tags__(self) -> Tags:
        """Say what it is; scikit-learn's partial dependence asks."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor" if self.task == "regression" else "classifier"
        return tags

    def fit(self, X: np.ndarray, y: np.ndarray) -> "KerasNetwork":  # noqa: N803  # scikit-learn's name
        """Fit on numbers, shape (n, columns), and numbers of classes or values, shape (n,)."""
        network = self._network(X, y)
        for _ in self._fit(network, (X, y), self.max_iter):
            pass
        self._read(write_file(network))
        return self

    def stages(self, before: Rows, later: Rows, patience: int, every: int) -> Iterator[tuple[int, np.ndarray]]:
        """Fit until the loss on the later rows gets no better, and give the output for them after some iterations."""
        least, best = np.inf, 0
        network = self._network(*before)
        self.answer_ = answers_of(network)
        for iteration in self._fit(network, before, every):
            output = self._output(later[0])
            yield iteration, output
            loss = self._loss(later[1], output)
            if loss < least:
                least, best = loss, iteration
            if iteration - best >= patience:
                return

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the probabilities of the classes, shape (n, classes)."""
        return self._output(X)

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the value, in a classification the likeliest class, shape (n,)."""
        output = self._output(X)
        return output if self.task == "regression" else self.classes_[output.argmax(axis=1)]

    def _network(self, rows: np.ndarray, target: np.ndarray) -> "Model":
        keras, target = library(), np.asarray(target)
        self.n_features_in_ = rows.shape[1]
        if self.task != "regression":
            self.classes_ = np.unique(target)
        network = keras.Sequential([keras.Input((rows.shape[1],)), *self._hidden(), *self._last(target)])
        network.compile(keras.optimizers.AdamW(self.learning_rate, self.weight_decay), LOSSES[self.task])
        return network

    def _fit(self, network: "Model", before: Rows, every: int) -> Iterator[int]:
        """Fit, and give the iteration after every so many and the last."""
        rows, target = _bounded(before[0]), np.asarray(before[1])
        numbers = target if self.task == "regression" else np.searchsorted(self.classes_, target)
        drawn = self._batches(rows, numbers.astype(np.float64))
        for done in range(0, self.max_iter, every):
            until = min(done + every, self.max_iter)
            network.fit(drawn, initial_epoch=done, epochs=until, steps_per_epoch=STEPS, shuffle=False, verbose=0)
            yield until

    def _hidden(self) -> Iterator["Layer"]:
        layers = library().layers
        for number, units in enumerate((self.units, self.units // 2)):
            yield layers.Dense(units, "relu", kernel_initializer=self._first_weights(number))
            yield layers.Dropout(self.dropout, seed=self.seed + number)

    def _last(self, target: np.ndarray) -> Iterator["Layer"]:
        layers, first_weights = library().layers, self._first_weights(-1)
        if self.task == "multiclass":
            yield layers.Dense(len(self.classes_), "softmax", kernel_initializer=first_weights)
        elif self.task == "classification":
            yield layers.Dense(1, "sigmoid", kernel_initializer=first_weights)
        else:
            yield layers.Dense(1, kernel_initializer=first_weights)
            yield layers.Rescaling(float(target.std()) or 1.0, float(target.mean()))

    def _first_weights(self, number: int) -> Any:
        return library().initializers.GlorotUniform(self.seed + 1_000 + number)

    def _batches(self, rows: np.ndarray, target: np.ndarray) -> Iterator[Rows]:
        size = min(BATCH, max(LEAST_BATCH, len(rows) // BATCHES_IN_A_PASS), len(rows))
        random = np.random.default_rng(self.seed)
        while True:
            order = random.permutation(len(rows))
            for start in range(0, len(rows) - size + 1, size):
                drawn = order[start : start + size]
                yield rows[drawn], target[drawn]

    def _loss(self, target: np.ndarray, output: np.ndarray) -> float:
        if self.task == "regression":
            return float(mean_squared_error(target, output))
        return float(log_loss(target, output, labels=self.classes_))

    def _output(self, rows: np.ndarray) -> np.ndarray:
        numbers = _bounded(rows)
        size = FEW_ROWS if len(numbers) <= FEW_ROWS else MANY_ROWS
        blocks = np.zeros((-(-len(numbers) // size), size, self.n_features_in_))
        blocks.reshape(-1, self.n_features_in_)[: len(numbers)] = numbers
        output = np.concatenate([self.answer_(block) for block in blocks])[: len(numbers)]
        if self.task == "classification":
            return np.column_stack([1 - output, output])
        return output if self.task == "multiclass" else output[:, 0]

    def _read(self, content: bytes) -> None:
        self.file_ = content
        self.answer_ = answers_of(read_file(content))
        self.answer_(np.zeros((FEW_ROWS, self.n_features_in_)))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network out: its file is the model."""
        return {name: value for name, value in vars(self).items() if name != "answer_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read the network from its file."""
        self.__dict__.update(state)
        if "file_" in state:
            self._read(self.file_)


def _bounded(rows: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(rows, dtype=np.float64), -MAX_DEVIATIONS, MAX_DEVIATIONS)


def write_file(network: "Model") -> bytes:
    """Give a network as a `.keras` file, without what its fit needed."""
    bare = type(network).from_config(network.get_config())
    bare.set_weights(network.get_weights())
    with TemporaryDirectory() as folder:
        file = Path(folder) / "network.keras"
        bare.save(file)
        return file.read_bytes()


def read_file(content: bytes) -> "Model":
    """Make a network of a `.keras` file, if it is made of what the networks of this file are made of.

    Raises
    ------
    ModelFileError
        If it holds anything else, such as a layer with code of its own, or would be too large.
    """
    with zipfile.ZipFile(BytesIO(content)) as members:
        if (size := sum(member.file_size for member in members.infolist())) > MAX_UNPACKED_BYTES:
            raise ModelFileError(
                f"the .keras file unpacks to {size:,} bytes, expected at most {MAX_UNPACKED_BYTES:,}: "
                "train a smaller network"
            )
        config = json.loads(members.read("config.json"))
    if foreign := sorted(set(_classes_in(config)) - CLASSES):
        raise ModelFileError(
            f"the .keras file holds {', '.join(foreign)}, expected only: {', '.join(sorted(CLASSES))}; such a part may "
            "run code, so the file is not read: train the model again, or add what it needs to zoo/keras.py"
        )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "network.keras"
        file.write_bytes(content)
        return library().saving.load_model(file, custom_objects=None, compile=False, safe_mode=True)


def _classes_in(config: object) -> Iterator[str]:
    if isinstance(config, dict):
        if "class_name" in config:
            yield str(config["class_name"])
        for part in config.values():
            yield from _classes_in(part)
    elif isinstance(config, list):
        for part in config:
            yield from _classes_in(part)


def answers_of(network: "Model") -> Callable[[np.ndarray], np.ndarray]:
    """Give what answers rows by a network as it then is, from any thread; JAX compiles it for each number of rows."""
    import jax

    @jax.jit
    def answer(learned: list[Any], fixed: list[Any], rows: np.ndarray) -> Any:
        return network.stateless_call(learned, fixed, rows, training=False)[0]

    def answers(rows: np.ndarray) -> np.ndarray:
        kinds = network.trainable_variables, network.non_trainable_variables
        return np.asarray(answer(*([variable.value for variable in kind] for kind in kinds), rows))

    return answers


def library() -> ModuleType:
    """Import the package, which no file of the zoo may do before it is needed, with JAX on the processor behind it.

    All is in numbers of 64 bits, so that one row gets the answer that it gets among others.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    try:
        import jax
        import keras
    except ImportError as err:
        raise ImportError(f"{err}: `make keras` installs it here, `make image EXTRAS=keras` in an image") from err
    warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning, "keras")  # with NumPy 2
    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    return keras


def build(
    task: Task,
    columns: Columns,
    seed: int,
    *,
    max_iter: int = 100,
    units: int = 128,
    dropout: float = 0.4,
    learning_rate: float = 1e-3,
    weight_decay: float = 3e-2,
    **steps: int | None,
) -> Pipeline:
    """Two hidden layers on scaled numbers and one-hot categories; missing numbers get the median and a flag."""
    model = KerasNetwork(task, seed, max_iter, units, dropout, learning_rate, weight_decay)
    return Pipeline([("encode", as_numbers(columns, seed, max_categories=20, **steps)), ("model", model)])


def _entry(task: Task) -> ZooModel:
    return ZooModel(
        partial(build, task),
        tried_on_few_rows=({"units": 32, "dropout": 0.1},),
        space={
            "learning_rate": Range(2e-4, 5e-3),
            "units": Range(32, 256, is_integer=True),
            "dropout": Range(0.05, 0.5),
            "weight_decay": Range(1e-5, 1e-1),
        },
        steps=COMPONENTS_AND_SEGMENTS,
        stages=KerasNetwork.stages,
        packages=("jax", "keras"),
        installed_by="make keras",
        trusted_types=("flightline.training.zoo.keras.KerasNetwork",),
    )


MODELS: Mapping[Task, Mapping[str, ZooModel]] = {task: {"keras_dense": _entry(task)} for task in LOSSES}
