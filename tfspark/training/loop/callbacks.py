"""What happens around steps and epochs, whichever way trains: two callbacks, first and last."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfspark.config.recipe import Training
from tfspark.errors import ConfigError, IntegrityError, TrainingError
from tfspark.models.code import module_of
from tfspark.training.loop.metrics import metric_values, metric_variables, reset_metrics
from tfspark.training.loop.state import MONITOR, State, rate_at
from tfspark.training.loop.sync import Sync
from tfspark.training.loop.validate import validate
from tfspark.training.ranks.talk import Talk
from tfspark.training.ranks.world import World
from tfspark.training.readers import Reader

_LOOK_STEPS = 20  # between two looks for a loss that is no number
_SAY_SECONDS = 2.0


@dataclass
class Run:
    """What one rank trains with."""

    training: Training
    world: World
    talk: Talk
    reader: Reader
    validation: Reader | None
    state: State
    sync: Sync
    rows: Any
    peak_rate: float
    checkpoints: str


class Keeper(keras.callbacks.Callback):
    """Keeps ranks together, and the state: metrics over all ranks, validation, early stopping,
    learning rate, checkpoints, reports to the driver. It is the first callback, so that the
    others see an epoch's metrics of all ranks, with `val_` ones among them.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.begun = self.ticks = self.part = 0
        self.compared = False
        self.stopped = False  # the driver asked for the end
        # Made once: a tf.data pipeline takes longer to make than a small split to read.
        self.validation = run.validation.once() if run.validation is not None else None
        self.said = self.started = time.monotonic()
        run.talk.watch(self._steps)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        run = self.run
        self.begun, self.started = run.state.step, time.monotonic()
        run.rows.assign(run.state.rows if run.world.rank == 0 else 0)
        run.sync.calls.assign(self.begun)
        reset_metrics(self.model)
        for variable, value in zip(metric_variables(self.model), run.state.partial, strict=False):
            variable.assign(np.array(value))
        run.talk.phase("step")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        run, step = self.run, self.begun + batch
        self.ticks += 1
        self.updates = run.sync.before(run.reader.share(step), step, run.reader.steps)
        training = run.training
        if training.warmup_epochs or training.reduce_learning_rate:
            losses = run.state.history.get("val_loss", [])
            at = run.state.epoch, step
            rate = rate_at(run.peak_rate, training, run.reader.steps, *at, losses)
            if rate != getattr(self, "rate", None):
                self.rate = rate
                self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        run, done = self.run, self.begun + batch + 1
        every = run.training.checkpoint_steps
        saves = bool(every and done % every == 0 and self.updates and done < run.reader.steps)
        compares = self.updates and (not self.compared or done % run.training.compare_steps == 0)
        if saves or compares or done % _LOOK_STEPS == 0:
            self._look()
        if compares:
            self.compared = True
            run.sync.compare(f"after step {done} of epoch {run.state.epoch + 1}")
        if saves:
            self._save_within(done)
        now = time.monotonic()
        if run.world.rank == 0 and now - self.said > _SAY_SECONDS:
            self.said = now
            self._say("progress", step=done, steps=run.reader.steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        run = self.run
        self._look()
        told = logs if logs is not None else {}
        if run.training.strategy == "none":  # a strategy's own metrics are of all its devices
            rows, values = self._sums()
            if rows != run.reader.rows:
                raise IntegrityError(
                    f"epoch {epoch + 1} trained on {rows} rows, the dataset has {run.reader.rows}: "
                    "rows were lost or doubled; prepare the dataset again, and please report this"
                )
            told |= metric_values(self.model, values, "train_step")
        if run.validation is not None:
            run.talk.phase("evaluate")
            result = validate(self.model, self.validation, run.world, self._tick)
            told |= {f"val_{name}": value for name, value in result.items()}
            self._check_validation(told)
            self.part = 0  # again the same number on every rank
        run.sync.compare(f"after epoch {epoch + 1}")
        run.state.seconds += time.monotonic() - self.started
        run.state.after_epoch(self.model, told, run.training)
        if run.state.done or run.state.epoch % run.training.checkpoint_epochs == 0:
            self._save()
        if run.world.rank == 0:
            self._say("epoch", history=run.state.history, seconds=run.state.seconds)

    def end(self) -> None:
        """The training ends after this epoch, whatever its own rules say."""
        if not self.run.state.done:
            self.run.state.done = True
            self._save()

    def _steps(self) -> int:
        """Exchanges that this rank has come to (alone: steps), and a little for validation."""
        done = self.run.world.count() if self.run.world.size > 1 else self.ticks
        return done + self.part // 100

    def _tick(self) -> None:
        self.part += 1

    def _look(self) -> None:
        """End at a step whose loss is no number; it is known on every rank."""
        bad = int(self.run.sync.bad_step.numpy())
        if bad >= 0:
            raise TrainingError(
                f"the loss became no number (NaN or infinite) in epoch {self.run.state.epoch + 1}, "
                f"step {bad + 1}; lower training.learning_rate, or look for extreme values in the "
                "features"
            )

    def _check_validation(self, told: dict[str, float]) -> None:
        """End where no epoch would be better than another; it is known on every rank."""
        if not math.isfinite(told[MONITOR]):
            raise TrainingError(
                f"the validation loss ({MONITOR}) is no number (NaN or infinite) after epoch "
                f"{self.run.state.epoch + 1}; look for missing or extreme values in the rows of "
                "the validation split that the features let through, or lower "
                "training.learning_rate"
            )

    def _sums(self) -> tuple[int, list[Any]]:
        """Of all ranks: rows of the epoch so far, and the metrics' variables."""
        values = [v.value.numpy() for v in metric_variables(self.model)]
        rows, *summed = self.run.world.sum([self.run.rows.numpy(), *values])
        return int(rows), summed

    def _save_within(self, step: int) -> None:
        state = self.run.state
        rows, values = self._sums()
        state.step, state.rows = step, rows
        state.partial = [value.tolist() for value in values]
        self._save()
        state.step, state.rows, state.partial = self.begun, 0, []

    def _save(self) -> None:
        run = self.run
        if run.world.rank == 0:
            run.talk.phase("checkpoint")
            run.state.save(run.checkpoints, self.model, run.training.keep_checkpoints)
            run.talk.phase("step")

    def _say(self, kind: str, **values: Any) -> None:
        about = {"epoch": self.run.state.epoch, "epochs": self.run.training.epochs}
        answer = self.run.talk.say(kind, **about, **values)
        self.stopped = self.stopped or bool(answer.get("stop"))


class Ender(keras.callbacks.Callback):
    """The last callback: whether all ranks end after an epoch.

    A callback of the user's may ask for it on some ranks alone, and within an epoch. Then every
    rank ends with that epoch: none would wait for another, and no row is left out.
    """

    def __init__(self, keeper: Keeper) -> None:
        super().__init__()
        self.keeper, self.asked = keeper, False

    def on_train_begin(self, logs: Any = None) -> None:
        self._hold()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._hold()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._hold()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.stop_training and not self.asked:
            self.keeper.run.talk.say(
                "note",
                text=f"a callback ends the training within epoch {self.keeper.run.state.epoch + 1}"
                f", at step {self.keeper.begun + batch + 1}: it ends with this epoch",
            )
        self._hold()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._hold()
        keeper, state = self.keeper, self.keeper.run.state
        (asked,) = keeper.run.world.sum([np.array(self.asked or keeper.stopped)])
        if asked:
            keeper.end()
        self.model.stop_training = state.done

    def _hold(self) -> None:
        self.asked = self.asked or bool(self.model.stop_training)
        self.model.stop_training = False


def named_callbacks(names: list[str]) -> list[Any]:
    """What the functions of `training.callbacks` give: one Keras callback each, or several.

    Raises:
        ConfigError: a name that is not there, or gives something else.
    """
    found = []
    for name in names:
        try:
            made = getattr(module_of(name), name.split(":")[1])()
        except Exception as error:
            raise ConfigError(
                f"training.callbacks {name}: {type(error).__name__}: {error}"
            ) from error
        for callback in made if isinstance(made, list | tuple) else [made]:
            if not isinstance(callback, keras.callbacks.Callback):
                raise ConfigError(
                    f"training.callbacks {name}: gave {type(callback).__name__}, not a "
                    "keras.callbacks.Callback or a list of them"
                )
            found.append(callback)
    return found
