"""`tfspark judge NAME VERSION`."""

from __future__ import annotations

from collections.abc import Sequence

from tfspark.champions.command import settings_of
from tfspark.champions.state import current, store_of, version_of
from tfspark.console import Steps, print_summary
from tfspark.errors import GateError
from tfspark.flags import Parser
from tfspark.judge.job import judge


def main(argv: Sequence[str]) -> int:
    """Judge a version beside the champion on rows that neither was trained on.

    The verdict (better, not worse, worse, cannot tell, refused) is kept for `tfspark promote`.
    """
    parser = Parser(prog="tfspark judge", description=main.__doc__)
    parser.add_argument("name", metavar="NAME", help="of the model")
    parser.add_argument("version", type=int, help="the challenger")
    parser.add_argument("--against", type=int, metavar="VERSION", help="default: the champion")
    parser.add_argument("--config", metavar="FILE", help="the configuration of the model")
    parser.add_argument("--warehouse", metavar="FOLDER", help="default: the configuration's")
    given = parser.parse(argv)
    settings = settings_of(given)
    store = store_of(settings, given.name)
    challenger = version_of(store, given.version)
    champion = current(settings, given.name)
    number = given.against or (champion.version if champion else None)
    other = version_of(store, number) if number is not None else None
    verdict = judge(None, settings, Steps("judge"), other, challenger)
    if verdict.verdict in ("refused", "worse"):
        raise GateError(
            f"{given.name} version {given.version} is {verdict.verdict}: {verdict.reason}"
        )
    print_summary(
        "judge: done",
        {
            "model": given.name,
            "challenger": given.version,
            "champion": number,
            "verdict": verdict.verdict,
            "reason": verdict.reason,
            "rows": verdict.rows,
            **{f"check {check.name}": check.said for check in verdict.checks},
        },
    )
    return 0
