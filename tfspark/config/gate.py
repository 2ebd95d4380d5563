"""Settings of the gate that judges a challenger beside the champion, see `tfspark.judge`."""

from __future__ import annotations

from pydantic import Field, field_validator

from tfspark.config.recipe import Section

MARGINS = {"auc": 0.005, "accuracy": 0.005, "logloss": 0.01, "mse": 0.01, "mae": 0.01}
SLICE_MARGINS = {"auc": 0.02, "accuracy": 0.02, "logloss": 0.04, "mse": 0.04, "mae": 0.04}


class Gate(Section):
    """When a challenger may take the champion's place."""

    margin: dict[str, float] = Field(
        {}, description="metric: how much worse is not worse; of a loss a share of the champion's"
    )
    slices: list[str] = Field([], description="columns; no value of theirs may become worse")
    cluster: str = Field(
        "", description="a column, as the customer: rows of one value are drawn together"
    )
    slice_margin: dict[str, float] = Field({}, description="metric: the same, of a slice")
    least_rows: int = Field(50, ge=2, description="fewer rows cannot tell")
    leak: float = Field(0.1, gt=0, description="an AUC that is so much higher is a leak's")
    mean: float = Field(0.2, gt=0, description="share that the mean score may move, off the labels")
    bins: float | None = Field(
        None, gt=0, le=1, description="share of scores that may change their tenth; default: any"
    )
    golden: float = Field(1e-5, gt=0, description="how far scores may be from those kept with it")
    latency: float = Field(1.5, gt=0, description="most times as slow as the champion (median)")
    size_mb: float = Field(2048, gt=0, description="of the model's files, MiB")
    deadline: float = Field(600, gt=0, description="seconds for the whole comparison")

    @field_validator("margin", "slice_margin")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        for name, margin in value.items():
            if name not in MARGINS:
                raise ValueError(f"{name} is no metric; there are {', '.join(MARGINS)}")
            if not margin > 0:
                raise ValueError(f"{name}: a margin is above 0")
        return value
