"""The factory of plans: their names, which of them `auto` tries, and why one was not taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tfspark.errors import ConfigError
from tfspark.plainfiles.asread import NotPlain
from tfspark.scoring.plans.arrow import Arrow
from tfspark.scoring.plans.jvm import Jvm
from tfspark.scoring.plans.pandas import Pandas
from tfspark.scoring.plans.plan import Plan, RowsPlan
from tfspark.scoring.plans.scan import Scan

ANY_ROWS: RowsPlan = Arrow()
"""The plan for a DataFrame of which nothing is known."""

_AUTO: tuple[Plan, ...] = (Scan(), ANY_ROWS)
_ALL: tuple[Plan, ...] = (*_AUTO, Pandas(), Jvm())
PLANS = ("auto", *(plan.name for plan in _ALL))


class _Why(Protocol):
    @property
    def why(self) -> str: ...


Offer = TypeVar("Offer", bound=_Why)


@dataclass(frozen=True)
class Choice(Generic[Offer]):
    """The plan that is taken.

    Attributes:
        why: the reason why it was chosen: what it says itself, or why those before it were not.
        way: how it scores.
    """

    plan: Plan
    why: str
    way: Offer


def named(name: str) -> tuple[Plan, ...]:
    """The plans of a name, in the order in which they are tried.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in PLANS:
        raise ConfigError(f"unknown plan {name!r}; use one of {', '.join(PLANS)}")
    return tuple(plan for plan in _ALL if plan.name == name) or _AUTO


def choose(name: str, where: str, look: Callable[[Plan], Offer]) -> Choice[Offer]:
    """The first plan of a name that applies.

    Args:
        where: name of the source, used in messages.
        look: how a plan would score it; raises `NotPlain` where it does not apply.

    Raises:
        ConfigError: the plan that is asked for does not apply.
    """
    refused: dict[str, NotPlain] = {}
    for plan in named(name):
        try:
            way = look(plan)
        except NotPlain as reason:
            refused[plan.name] = reason
            continue
        why = "; ".join(f"no {other}: {reason}" for other, reason in refused.items())
        return Choice(plan, why or way.why, way)
    said = "; ".join(map(str, refused.values()))
    raise ConfigError(f"plan {name!r} does not apply to {where}: {said}; use plan 'auto'")
