"""What one rank does: build the model, go on from the last checkpoint, train.

The result is the last checkpoint, which says `done`; the driver takes it from there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from tfspark import storage
from tfspark.compat.keras import batch_normalizations, stay_built
from tfspark.config import Settings
from tfspark.config.recipe import Feature, Image, Model, Training
from tfspark.dataset import Dataset, open_dataset
from tfspark.errors import ConfigError
from tfspark.tensors import TensorSpec
from tfspark.training.ranks.talk import Talk
from tfspark.training.ranks.world import World

if TYPE_CHECKING:
    from tfspark.training.loop.encoding import Encoding
    from tfspark.training.readers import Reader
    from tfspark.training.readers.encoder import Encoder

_FEATURES: TypeAdapter[list[Feature]] = TypeAdapter(list[Feature])


@dataclass(frozen=True)
class Spec:
    """What to train, as the driver and every rank have it. JSON holds all of it.

    Attributes:
        dataset: its folder.
        checkpoints: a folder that every rank and the driver see.
        tensorboard: a folder for curves, or None.
        batch: rows of a step over all ranks.
        rate: the learning rate after warm-up.
    """

    dataset: str
    features: list[Feature]
    model: Model
    training: Training
    checkpoints: str
    tensorboard: str | None
    batch: int
    rate: float

    @classmethod
    def of(
        cls, settings: Settings, dataset: Dataset, checkpoints: str, tensorboard: str | None = None
    ) -> Spec:
        """The training of these settings."""
        training, ranks = settings.training, settings.distributed.ranks
        return cls(
            dataset=dataset.path,
            features=settings.features,
            model=settings.model,
            training=training,
            checkpoints=storage.absolute(checkpoints),
            tensorboard=tensorboard,
            batch=training.global_batch(ranks),
            rate=training.peak_rate(ranks),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "features": [feature.model_dump(mode="json") for feature in self.features],
            "model": self.model.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Spec:
        return cls(
            **{
                **value,
                "features": _FEATURES.validate_python(value["features"]),
                "model": Model(**value["model"]),
                "training": Training(**value["training"]),
            }
        )


class Parts:
    """What a spec stands for: the dataset, its tensors, and the untrained model."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.dataset: Dataset = open_dataset(spec.dataset)

    @cached_property
    def inputs(self) -> dict[str, TensorSpec]:
        from tfspark.features.columns import input_columns

        return input_columns(self.spec.features, self.dataset.contract)

    @cached_property
    def encoder(self) -> Encoder:
        from tfspark.training.readers.encoder import encoder_of

        return encoder_of(self.dataset, self.spec.model, self.spec.training, self.inputs)

    def model(self) -> Any:
        """The Keras model; the seed decides its first weights."""
        import keras

        from tfspark.features.build import build_features
        from tfspark.models.build import build_model

        make_deterministic(self.spec.training)
        features = build_features(
            self.spec.features, self.dataset.contract, self.dataset.statistics
        )
        before = keras.config.dtype_policy()
        # Preprocessing stays in float32: a small dtype cannot tell one bucket from the next.
        keras.config.set_dtype_policy(self.spec.training.precision)
        try:
            label = self.encoder.label
            return build_model(self.spec.model, features, label.units, label.mean, label.std)
        finally:
            keras.config.set_dtype_policy(before)

    def reader(
        self, split: str, world: World, shuffle: bool, encoding: Encoding | None = None
    ) -> Reader:
        from tfspark.training.readers import open_reader

        training = self.spec.training
        return open_reader(
            self.dataset,
            split,
            self.encoder,
            batch=self.spec.batch,
            seed=training.seed,
            rank=world.rank,
            size=world.size,
            kind=training.reader,
            shuffle_rows=training.shuffle_rows,
            shuffle=shuffle,
            resample=training.resample if shuffle else None,
            encoding=encoding,
        )


def make_deterministic(training: Training) -> None:
    """The same seed gives the same bits, in this process from now on."""
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(training.seed)


def work(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """Train as one rank, to the end; rank 0 writes checkpoints.

    Raises:
        TrainingError: the loss is no number, ranks drifted apart, data that cannot be used.
        IntegrityError: an epoch did not see every row once.
        ConfigError: settings that do not fit the data or the model.
    """
    import tensorflow as tf

    from tfspark.training.loop.augment import augmenting, augments
    from tfspark.training.loop.callbacks import Ender, Keeper, Run, named_callbacks
    from tfspark.training.loop.compile import compile_model, watch_steps
    from tfspark.training.loop.encoding import encoding_of
    from tfspark.training.loop.metrics import check_sums
    from tfspark.training.loop.state import State
    from tfspark.training.loop.sync import Sync
    from tfspark.training.loop.ways import WAYS

    talk.phase("start")
    given = Spec.from_json(spec)
    training, parts = given.training, Parts(given)
    scope = strategy_scope(training.strategy)
    with scope():
        model = parts.model()
        compile_model(model, given.model, training, given.rate, parts.encoder.label.std)
    if training.strategy != "none":  # ranks have their own: `Sync`
        for layer in batch_normalizations(model):
            layer.synchronized = True
    encoding = None if augments(given.features) else encoding_of(model, training)
    reader = parts.reader("train", world, shuffle=True, encoding=encoding)
    if encoding is None:
        forward, reader = augmenting(model, reader, given.features, training, world)
    else:
        forward = encoding.forward
    validation = parts.reader("validation", world, shuffle=False)
    state = State()
    element = parts.encoder.element_spec(reader.weighted)
    _build_metrics(model, element, scope, validation.rows > 0, given.features)
    check_sums(model, world)
    state.resume(given.checkpoints, model, world)
    sync = Sync(model, world, training.compression, training.local_steps)
    if training.strategy == "none":
        rows = watch_steps(model, sync, training.xla, reader.fills, forward)
    else:
        rows = tf.Variable(0, dtype=tf.int64, trainable=False)
    if state.resumed_at != (0, 0) and world.rank == 0:
        talk.say("resumed", epoch=state.epoch, step=state.step)
    run = Run(
        training=training,
        world=world,
        talk=talk,
        reader=reader,
        validation=validation if validation.rows else None,
        state=state,
        sync=sync,
        rows=rows,
        peak_rate=given.rate,
        checkpoints=given.checkpoints,
    )
    keeper = Keeper(run)
    callbacks: list[Any] = [keeper, *named_callbacks(training.callbacks)]
    if given.tensorboard and world.rank == 0:
        from keras.callbacks import TensorBoard

        callbacks.append(TensorBoard(given.tensorboard, write_graph=False))
    callbacks.append(Ender(keeper))
    if state.done:
        return
    try:
        WAYS[training.way](model, reader, state, training.epochs, callbacks)
    except tf.errors.OpError as error:
        reader.raise_error()
        if run.validation is not None:
            run.validation.raise_error()
        if training.xla and "compile" in str(error).lower():
            raise ConfigError(
                f"training.xla: XLA cannot compile this model ({str(error).splitlines()[0]}); "
                "features of text need it off"
            ) from error
        raise


def strategy_scope(name: str) -> Callable[[], Any]:
    """The scope to build a model in, for `training.strategy`."""
    import tensorflow as tf

    if name == "none":
        return nullcontext
    if name == "mirrored":
        devices = [d.name for d in tf.config.list_logical_devices("GPU")]
        return tf.distribute.MirroredStrategy(devices or None).scope  # type: ignore[no-any-return]
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except Exception as error:
        raise ConfigError(
            f"training.strategy tpu: no TPU is found ({error}); run where TPU_NAME names one"
        ) from error
    return tf.distribute.TPUStrategy(resolver).scope  # type: ignore[no-any-return]


def _build_metrics(
    model: Any,
    element: Any,
    scope: Callable[[], Any],
    validated: bool,
    features: list[Feature],
) -> None:
    """Make the metrics' variables, with a row of zeros, and look whether they tell a loss."""
    import tensorflow as tf

    from tfspark.training.loop.metrics import reset_metrics
    from tfspark.training.loop.validate import check_loss, test_step

    def zeros(spec: Any) -> Any:
        return tf.zeros([size or 1 for size in spec.shape], spec.dtype)

    row = tf.nest.map_structure(zeros, element)
    if images := [feature.column for feature in features if isinstance(feature, Image)]:
        from tfspark.features.images import BLANK

        row[0].update({name: tf.constant([BLANK]) for name in images})
    with scope():
        test_step(model, row)
    if validated:
        check_loss(model)
    reset_metrics(model)
    stay_built(model)
