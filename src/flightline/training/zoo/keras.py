"""Keras on JAX: networks that are kept as `.keras` files. Its packages are a group of pyproject.toml of their own."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags

from flightline.core.problem_spec import Task
from flightline.training.preprocessing import Columns, as_numbers, as_series, series_of
from flightline.training.zoo.entry import COMPONENTS_AND_SEGMENTS, Range, Rows, ZooModel
from flightline.training.zoo.keras_file import answers_of, library, read_file, write_file

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
    reader
        Of the series, one of `READERS`; empty: there are none.
    lags, series
        The last columns are so many series, and of each lag, the oldest first, the values of all.
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
        reader: str = "",
        lags: int = 0,
        series: int = 0,
    ):
        self.task = task
        self.seed = seed
        self.max_iter = max_iter
        self.units = units
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.reader = reader
        self.lags = lags
        self.series = series

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
        inputs = [keras.Input((rows.shape[1] - self.lags * self.series,))]
        output = inputs[0]
        if self.reader:
            inputs.append(keras.Input((self.lags, self.series)))
            read = inputs[1]
            for layer in READERS[self.reader](keras, self.seed):
                read = layer(read)
            output = keras.layers.Concatenate()([output, read])
        for layer in (*self._hidden(), *self._last(target)):
            output = layer(output)
        network = keras.Model(inputs if self.reader else inputs[0], output)
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

    def _batches(self, rows: np.ndarray, target: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
        size = min(BATCH, max(LEAST_BATCH, len(rows) // BATCHES_IN_A_PASS), len(rows))
        random = np.random.default_rng(self.seed)
        while True:
            order = random.permutation(len(rows))
            for start in range(0, len(rows) - size + 1, size):
                drawn = order[start : start + size]
                yield self._inputs(rows[drawn]), target[drawn]

    def _inputs(self, rows: np.ndarray) -> Any:
        if not self.reader:
            return rows
        flat = rows.shape[1] - self.lags * self.series
        return [rows[:, :flat], rows[:, flat:].reshape(-1, self.lags, self.series)]

    def _loss(self, target: np.ndarray, output: np.ndarray) -> float:
        if self.task == "regression":
            return float(mean_squared_error(target, output))
        return float(log_loss(target, output, labels=self.classes_))

    def _output(self, rows: np.ndarray) -> np.ndarray:
        numbers = _bounded(rows)
        size = FEW_ROWS if len(numbers) <= FEW_ROWS else MANY_ROWS
        blocks = np.zeros((-(-len(numbers) // size), size, self.n_features_in_))
        blocks.reshape(-1, self.n_features_in_)[: len(numbers)] = numbers
        output = np.concatenate([self.answer_(self._inputs(block)) for block in blocks])[: len(numbers)]
        if self.task == "classification":
            return np.column_stack([1 - output, output])
        return output if self.task == "multiclass" else output[:, 0]

    def _read(self, content: bytes) -> None:
        self.file_ = content
        self.answer_ = answers_of(read_file(content))
        self.answer_(self._inputs(np.zeros((FEW_ROWS, self.n_features_in_))))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network out: its file is the model."""
        return {name: value for name, value in vars(self).items() if name != "answer_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read the network from its file."""
        self.__dict__.update(state)
        if "file_" in state:
            self._read(self.file_)


def _convolution(keras: ModuleType, seed: int) -> Iterator["Layer"]:
    for number in (10, 11):
        first_weights = keras.initializers.GlorotUniform(seed + number)
        yield keras.layers.Conv1D(16, 3, strides=2, padding="same", activation="relu", kernel_initializer=first_weights)
    yield keras.layers.Flatten()


def _recurrence(keras: ModuleType, seed: int) -> Iterator["Layer"]:
    first_weights = keras.initializers.GlorotUniform(seed + 10), keras.initializers.Orthogonal(seed=seed + 11)
    yield keras.layers.GRU(16, kernel_initializer=first_weights[0], recurrent_initializer=first_weights[1], seed=seed)


READERS: Mapping[str, Callable[[ModuleType, int], Iterator["Layer"]]] = {"cnn": _convolution, "gru": _recurrence}


def _bounded(rows: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(rows, dtype=np.float64), -MAX_DEVIATIONS, MAX_DEVIATIONS)


def build(
    reader: str,
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
    """Two hidden layers on scaled numbers and one-hot categories; missing numbers get the median and a flag.

    With a reader they take what it makes of the series as well.

    Raises
    ------
    TrainingError
        If there is a reader and no series.
    """
    model = KerasNetwork(task, seed, max_iter, units, dropout, learning_rate, weight_decay)
    if not reader:
        return Pipeline([("encode", as_numbers(columns, seed, max_categories=20, **steps)), ("model", model)])
    others, series = series_of(columns)
    encode = as_numbers(others, seed, max_categories=20, **steps)
    encode.transformers.append(("series", as_series(), [name for lag in series for name in lag]))
    model.set_params(reader=reader, lags=len(series), series=len(series[0]))
    return Pipeline([("encode", encode), ("model", model)])


def _entry(task: Task, reader: str) -> ZooModel:
    return ZooModel(
        partial(build, reader, task),
        tried_on_few_rows=({"units": 32, "dropout": 0.1},),
        space={
            "learning_rate": Range(2e-4, 5e-3),
            "units": Range(32, 256, is_integer=True),
            "dropout": Range(0.05, 0.5),
            "weight_decay": Range(1e-5, 1e-1),
        },
        steps=COMPONENTS_AND_SEGMENTS,
        stages=KerasNetwork.stages,
        reads_series=bool(reader),
        packages=("jax", "keras"),
        installed_by="make keras",
        trusted_types=("flightline.training.zoo.keras.KerasNetwork",),
    )


MODELS: Mapping[Task, Mapping[str, ZooModel]] = {
    task: {"keras_dense": _entry(task, ""), **{f"keras_{reader}": _entry(task, reader) for reader in READERS}}
    for task in LOSSES
}
