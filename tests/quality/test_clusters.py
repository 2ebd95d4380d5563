"""Rows that count more than others, and rows that belong together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.quality.test_compare import scores
from tfspark.quality.clusters import Clusters, clusters_of, of_areas, of_losses
from tfspark.quality.compare import areas, of_auc
from tfspark.quality.compare import of_losses as plain_losses


def each(rows: int) -> Clusters:
    return clusters_of(np.arange(rows), map(str, range(rows)))


def test_a_weight_is_that_many_rows() -> None:
    rng = np.random.default_rng(2)
    label, one, other = (np.asarray(a) for a in scores(rng, 300, 1.0, 1.3))
    one = one.round(1)  # with ties
    weight = rng.integers(0, 4, 300).astype(float)
    again = np.repeat(np.arange(300), weight.astype(int))
    found, difference = areas(label, one, other, weight)
    known, plain = areas(label[again], one[again], other[again])
    assert found == pytest.approx(known, abs=1e-12)
    assert difference.value == pytest.approx(plain.value, abs=1e-12)
    assert difference.error > plain.error  # three times one row is no three rows
    apart = one - other
    weighed = plain_losses(apart, weight)
    assert weighed.value == pytest.approx(apart[again].mean(), abs=1e-12)
    # Without the rows of no weight, and with one weight for all, nothing changes.
    kept = weight > 0
    bare = areas(label[kept], one[kept], other[kept], weight[kept])[1]
    assert bare.error == pytest.approx(difference.error, rel=1e-9)
    assert plain_losses(apart[kept], weight[kept]).error == pytest.approx(weighed.error, rel=1e-9)
    same = np.full(300, 7.0)
    assert of_auc(label, one, other, same).error == pytest.approx(of_auc(label, one, other).error)
    assert plain_losses(apart, same).error == pytest.approx(plain_losses(apart).error)
    assert plain_losses(apart, np.zeros(300)).verdict(1.0) == "cannot tell"
    assert of_auc(label, one, other, np.zeros(300)).verdict(1.0) == "cannot tell"


def test_rows_by_themselves_are_as_uncertain_as_by_formula() -> None:
    rng = np.random.default_rng(3)
    label, one, other = scores(rng, 1000, 1.0, 1.3)
    found = of_areas(label, [one, other], None, each(1000))
    known = areas(label, one, other)
    assert found[0] == known[0]
    assert found[1].error == pytest.approx(known[1].error, rel=0.15)
    assert found[1].interval() == pytest.approx(known[1].interval(), abs=known[1].error / 2)
    apart = one - other
    drawn, plain = of_losses(apart, None, each(1000)), plain_losses(apart)
    assert drawn.value == pytest.approx(plain.value)
    assert drawn.error == pytest.approx(plain.error, rel=0.15)


def test_rows_of_one_customer_are_one_look() -> None:
    """Each row nine times: by rows the error is a third, by customers it stays."""
    rng = np.random.default_rng(4)
    label, one, other = scores(rng, 400, 1.0, 1.3)
    again = rng.permutation(np.repeat(np.arange(400), 9))
    many: Any = (label[again], [one[again], other[again]], None)
    known = of_auc(label, one, other).error
    assert of_auc(many[0], *many[1]).error == pytest.approx(known / 3, rel=0.02)
    clusters = clusters_of(again, map(str, range(400)))
    found = of_areas(*many, clusters)[1]
    assert found.error == pytest.approx(known, rel=0.15)
    # The draws are of the names: other numbers, another order, the same interval.
    turned = clusters_of(399 - again, map(str, reversed(range(400))))
    assert of_areas(*many, turned)[1].interval() == pytest.approx(found.interval(), abs=1e-12)
    apart = (one - other)[again]
    by_name = of_losses(apart, np.ones(3600), clusters)
    assert by_name.error == pytest.approx(3 * plain_losses(apart).error, rel=0.15)
    assert clusters.take(again == 7).count() == 1
    alone = of_losses(apart[again == 7], None, clusters.take(again == 7))
    assert (alone.value, alone.error) == (None, math.inf)


def test_the_draws_are_of_poisson() -> None:
    drawn = np.array(list(each(2000).draws()))
    assert drawn.shape[0] == 400
    assert drawn.mean() == pytest.approx(1.0, abs=0.01)
    assert drawn.var() == pytest.approx(1.0, abs=0.02)
    assert abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 0.1
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.2
