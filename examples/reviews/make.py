"""Reviews with a known ceiling: of all labels a share is wrong, and nothing in a text says which.

python examples/reviews/make.py 800 > examples/reviews/reviews.csv
"""

import csv
import random
import sys
from collections.abc import Iterator

WRONG = 0.05
"""No model is right more often than 1 - WRONG."""

GOOD = (
    "wonderful brilliant moving charming gripping superb delightful fresh funny honest warm "
    "clever beautiful masterful touching elegant vivid thrilling memorable tender perfect joyful "
    "inspired stunning graceful subtle witty rich lovely convincing"
)
BAD = (
    "boring dreadful clumsy dull awful tedious shallow lazy noisy pointless messy weak "
    "forgettable annoying flat slow silly cold bland painful empty confused stale ugly wooden "
    "predictable lifeless sloppy hollow tiresome"
)
PLAIN = (
    "the film story actor scene music camera plot director script dialogue ending cast audience "
    "cinema evening character city family hero friend war summer night long second first whole "
    "was is and with in of a an it this that we they saw watched thought found felt seemed made "
    "played written shot cut lit told set again before after during between nearly always never "
    "often"
)
ENDS = [". ", ". ", ". ", "! ", ", ", ", ", " - ", ".<br /><br />", "... ", '" ']


def rows(count: int, seed: int = 0) -> Iterator[tuple[int, str, str, str]]:
    """(id, review, label, what the text says) of each review."""
    draw = random.Random(seed)  # noqa: S311
    good, bad, plain = GOOD.split(), BAD.split(), PLAIN.split()
    for number in range(1, count + 1):
        is_good = draw.random() < 0.5
        own, other = (good, bad) if is_good else (bad, good)
        more = draw.randint(2, 6)
        words = [
            *draw.choices(own, k=more),
            *draw.choices(other, k=draw.randint(0, more // 3)),
            *draw.choices(plain, k=draw.randint(10, 40)),
        ]
        draw.shuffle(words)
        said = "positive" if is_good else "negative"
        wrong = draw.random() < WRONG
        label = {"positive": "negative", "negative": "positive"}[said] if wrong else said
        yield number, _text(words, draw), label, said


def _text(words: list[str], draw: random.Random) -> str:
    """Words as people write them: capitals, punctuation, line breaks of HTML."""
    text, begins = "", True
    for word in words:
        case = str.upper if draw.random() < 0.02 else str.capitalize if begins else str
        end = draw.choice(ENDS) if draw.random() < 0.15 else " "
        text += case(word) + end
        begins = end[0] == "."
    return text.strip() + "."


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["id", "review", "sentiment"])
    writer.writerows(row[:3] for row in rows(int(sys.argv[1])))
