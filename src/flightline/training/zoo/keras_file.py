"""The `.keras` files of the zoo's networks: written, read if they hold no code, and run by JAX.

No network is made here; that is `keras.py`.
"""

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from flightline.core.errors import ModelFileError

if TYPE_CHECKING:
    from keras import Model

# All that a file may hold. Keras' own safe mode lets through whatever is Keras'.
CLASSES = frozenset(
    # Networks and layers, what a layer's first weights were, and how one layer takes the output of another.
    {"Functional", "InputLayer", "Dense", "Dropout", "Rescaling", "Conv1D", "GRU", "Flatten", "Concatenate"}
    | {"DTypePolicy", "GlorotUniform", "Orthogonal", "Zeros", "__keras_tensor__"}
)
MAX_UNPACKED_BYTES = 64_000_000


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
            "run code, so the file is not read: train the model again, or add what it needs to zoo/keras_file.py"
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


def answers_of(network: "Model") -> Callable[[Any], np.ndarray]:
    """Give what answers rows by a network as it then is, from any thread; JAX compiles it for each number of rows."""
    import jax

    @jax.jit
    def answer(learned: list[Any], fixed: list[Any], rows: Any) -> Any:
        return network.stateless_call(learned, fixed, rows, training=False)[0]

    def answers(rows: Any) -> np.ndarray:
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
