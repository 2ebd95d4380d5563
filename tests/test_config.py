import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfspark.config import Settings, Source, load_settings, masked
from tfspark.config.day import as_day
from tfspark.errors import ConfigError
from tfspark.query import main as query
from tfspark.scoring.table.source import in_place_of

FILE = "name: t\nsource:\n  format: csv\n  path: raw.csv\ntraining:\n  epochs: 5\n  seed: 7\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "t.yaml"
    path.write_text(FILE)
    return str(path)


def test_command_line_before_environment_before_file_before_default(
    config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFSPARK_TRAINING__EPOCHS", "6")
    monkeypatch.setenv("TFSPARK_TRAINING__BATCH_SIZE", "8")
    settings = load_settings(config, {"training.batch_size": "9"})
    assert settings.training.epochs == 6
    assert settings.training.batch_size == 9
    assert settings.training.seed == 7
    assert settings.training.patience == 10


def test_spark_settings_keep_their_dots(config: str) -> None:
    settings = load_settings(config, {"spark.spark.executor.memory": "2g"})
    assert settings.spark == {"spark.executor.memory": "2g"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: t\nsorce:\n  path: x\n", r"t\.yaml:2: sorce: unknown setting"),
        (
            "name: t\ntraining:\n  epochs: many\n",
            r"t\.yaml:3: training\.epochs: must be a whole number",
        ),
        ("name: t\nname: u\n", r"t\.yaml:2: two keys of one name: name"),
        ("name: [t\n", r"t\.yaml:2: not YAML"),
        ("- name\n", r"t\.yaml:1: a configuration file is a mapping"),
        ("name: a/b\n", r"t\.yaml:1: name: "),
        (
            "features:\n  - {kind: numeric}\n",
            r"t\.yaml:2: features\.0\.column: is missing",
        ),
        (
            "prepare:\n  split: {validation: 0.5, test: 0.5}\n",
            r"t\.yaml:2: prepare\.split: validation \+ test",
        ),
        ("prepare:\n  split: {by: time}\n", r"t\.yaml:2: prepare\.split: by: time needs"),
    ],
)
def test_a_mistake_in_the_file_has_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_settings(str(path))


def test_a_mistake_elsewhere_names_its_place(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^command line: training\.epoch: unknown setting"):
        load_settings(config, {"training.epoch": "1"})
    monkeypatch.setenv("TFSPARK_TRAINING__EPOCHS", "x")
    with pytest.raises(ConfigError, match=r"^environment TFSPARK_TRAINING__EPOCHS: "):
        load_settings(config)
    monkeypatch.delenv("TFSPARK_TRAINING__EPOCHS")
    monkeypatch.setenv("TFSPARK_TRANING__EPOCHS", "1")
    with pytest.raises(ConfigError, match="TFSPARK_TRANING__EPOCHS is no setting"):
        load_settings(config)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="nowhere.yaml: there is no such"):
        load_settings("nowhere.yaml")


@given(secret=st.text("abcXYZ0189-_", min_size=6))
def test_no_secret_is_shown(secret: str) -> None:
    settings = load_settings(
        None,
        {
            "source.options": {
                "url": f"jdbc:postgresql://reader:{secret}@host/db?password={secret}&ssl=true",
                "password": secret,
                "user": "reader",
            },
            "registry.tracking_uri": f"https://me:{secret}@mlflow.example",
            "spark.spark.hadoop.fs.s3a.secret.key": secret,
        },
    )
    shown = str(masked(settings))
    assert secret not in shown
    assert "reader" in shown


def test_every_setting_can_be_given_by_its_path() -> None:
    def leaves(value: dict[str, Any], path: str = "") -> list[str]:
        return [
            leaf
            for key, inner in value.items()
            for leaf in (
                leaves(inner, f"{path}{key}.")
                if isinstance(inner, dict) and inner
                else [path + key]
            )
        ]

    for path in leaves(load_settings().model_dump()):
        value = load_settings().model_dump()
        for part in path.split("."):
            value = value[part]
        assert isinstance(load_settings(None, {path: value}), Settings)


@pytest.mark.parametrize(
    "value",
    [0, 86400, 1.5, True, None, "0", "20261120", "2026-W47-5", "2026-11-2", "2026-11-20T12:00", "",
     " 2026-11-20", "2026-02-30", "0000-01-01", "２０２６-11-20", "20/11/2026"],
)  # fmt: skip
def test_what_is_no_day(value: Any) -> None:
    with pytest.raises(ConfigError, match="must be a date, YYYY-MM-DD"):
        as_day(value)
    if isinstance(value, str):
        with pytest.raises(ConfigError, match="must be a date, YYYY-MM-DD"):
            query(["--table", "t", "--day", value])


def test_what_is_a_day() -> None:
    day = dt.date(2026, 11, 20)
    for value in (day, dt.datetime(2026, 11, 20, 13), "2026-11-20", "2026-11-20T00:00:00Z"):
        assert as_day(value) == day


def test_an_input_beside_a_source_is_read_by_the_same_days(tmp_path: Path) -> None:
    folder = str(tmp_path)
    given = Source(path="raw.csv", format="csv", options={"sep": ";"}, day_column="d")
    assert in_place_of(given, folder) == Source(path=folder, day_column="d")
    assert in_place_of(Source(day_column="d"), "a.b") == Source(
        path="a.b", format="table", day_column="d"
    )
    # Without a path of its own the source says how the input is read.
    flags = Source(format="csv", options={"sep": ";"}, day_column="d")
    assert in_place_of(flags, "x.csv") == flags.model_copy(update={"path": "x.csv"})
