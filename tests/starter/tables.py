"""Tables as people have them, which nobody has prepared."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import random
from pathlib import Path

from tests.images import pictures

ROWS = 300


def churn(folder: Path) -> Path:
    """Names with spaces, yes and no, blanks for missing, an empty column, digits as an id."""
    rng = random.Random(1)
    rows: list[list[object]] = [
        [
            "customer",
            "gender",
            "Senior Citizen",
            "tenure",
            "Plan",
            "Total Charges",
            "notes",
            "Churn",
        ]
    ]
    for number in range(ROWS):
        tenure, plan = rng.randint(0, 72), rng.choice(["monthly", "a year", "two years"])
        total = f"{tenure * 37.5:.2f}" if tenure else " "
        gone = rng.random() < (0.8 if plan == "monthly" else 0.1)
        who = [f"{number:05d}", rng.choice(["f", "m"]) + "x", rng.choice(["Yes", "No"])]
        rows.append([*who, tenure, plan, total, "", "Yes" if gone else "No"])
    return _csv(folder / "churn.csv", rows)


def houses(folder: Path) -> Path:
    """Tabs, codes that begin with zeros, days, a number to predict; some words for missing."""
    rng = random.Random(2)
    rows: list[list[object]] = [["id", "zip code", "size (m2)", "built", "sold", "price"]]
    for number in range(ROWS):
        size, day = rng.uniform(30, 250), dt.date(2024, 1, 1) + dt.timedelta(rng.randint(0, 700))
        built = rng.randint(1900, 2024)
        price = round(size * 3000 * rng.uniform(0.9, 1.1), 2)
        code = f"{rng.randint(1, 99):05d}"
        rows.append([f"h{number}", code, round(size, 1), built, day.isoformat(), price])
    return _csv(folder / "houses.tsv", rows, "\t")


def flats(folder: Path) -> Path:
    """As a German office writes: semicolons, 1.234,5, 20.11.2026, ja and nein, n/a."""
    rng = random.Random(4)
    rows: list[list[object]] = [["Haus-Nr", "PLZ", "Wohnfläche", "Verkauft am", "Balkon", "Preis"]]
    for number in range(ROWS):
        size, day = rng.uniform(30, 1250), dt.date(2024, 1, 1) + dt.timedelta(rng.randint(0, 700))
        price = _german(size * 3000 * rng.uniform(0.9, 1.1))
        area = "n/a" if number % 50 == 0 else _german(size)
        rest = [day.strftime("%d.%m.%Y"), rng.choice(["ja", "nein"]), price]
        rows.append([number + 1, f"{rng.randint(1, 99):05d}", area, *rest])
    return _csv(folder / "flats.csv", rows, ";")


def clicks(folder: Path) -> Path:
    """JSON lines, packed: times, numbers that are not there, true and false."""
    rng = random.Random(3)
    path = folder / "clicks.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for number in range(ROWS):
            at = dt.datetime(2026, 1, 1) + dt.timedelta(seconds=37 * number)
            said = {"event": number, "at": f"{at.isoformat()}Z", "bid": rng.random()}
            said |= {"device": rng.choice(["ios", "web"]), "clicked": rng.random() < said["bid"]}
            if number % 10 == 0:
                del said["bid"]
            file.write(json.dumps(said) + "\n")
    return path


def visits(folder: Path) -> Path:
    """Times such as 20.11.2026 08:15, yes and no, 1,234.50, empty fields, an empty column."""
    rng = random.Random(5)
    rows: list[list[object]] = [["visit", "at", "basket", "returning", "page", "remark", "clicked"]]
    for number in range(ROWS):
        at = dt.datetime(2026, 9, 1) + dt.timedelta(minutes=rng.randint(0, 90_000))
        basket = rng.uniform(5, 4000)
        clicked = rng.random() < (0.8 if basket > 2000 else 0.2)
        said = f"{basket:,.2f}" if number % 12 else ""
        rest = [rng.choice(["YES", "NO"]), rng.choice(["home", "sale", "cart"]), ""]
        when = at.strftime("%d.%m.%Y %H:%M")
        rows.append([f"v{number}", when, said, *rest, "yes" if clicked else "no"])
    return _csv(folder / "visits.csv", rows)


def reviews(folder: Path) -> Path:
    """Sentences with commas, quotes and line breaks; stars."""
    rng = random.Random(6)
    words = {"bad": ["broke", "slow", "dull", "late"], "good": ["lovely", "fast", "sharp", "solid"]}
    rows: list[list[object]] = [["nr", "review", "stars"]]
    for number in range(ROWS):
        mood = rng.choice(["bad", "good"])
        said = [rng.choice(words[mood]) for _ in range(rng.randint(3, 9))]
        text = (
            f'The "{rng.choice(["phone", "lamp", "book"])}", order {number}, was {", ".join(said)}!'
        )
        stars = rng.choice([1, 2]) if mood == "bad" else rng.choice([3, 4, 5])
        rows.append([number, f"{text}\nThank you" if number % 9 == 0 else text, stars])
    return _csv(folder / "reviews.csv", rows)


def shop(folder: Path) -> Path:
    """A BOM, CRLF, a name twice; € behind and %, one value only, a text that is nearly unique."""
    rng = random.Random(7)
    names = ["Kunden Nr", " Umsatz", "Rabatt", "Land", "Bemerkung", "Datum", "Datum", "Status"]
    rows: list[list[object]] = [list(names)]
    for number in range(ROWS):
        day, paid = dt.date(2024, 1, 1) + dt.timedelta(number), rng.uniform(10, 5000)
        later = (day + dt.timedelta(rng.randint(1, 30))).strftime("%d.%m.%Y")
        status = rng.choice(["bleibt", "Bleibt"] if paid > 2000 else ["geht", "Geht "])
        said = [f"{_german(paid)} €", f"{rng.randint(0, 40)} %", "DE", f"Auftrag-{number}"]
        rows.append([f"{number:06d}", *said, day.strftime("%d.%m.%Y"), later, status])
    path = _csv(folder / "shop.csv", rows, ";")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    return path


def loans(folder: Path) -> Path:
    """In Latin-1: $1,234.50, 12.5%, 1/31/2026, N/A and -, times without a zone, a sum below all."""
    rng = random.Random(8)
    rows: list[list[object]] = [
        ["loan id", "income", "rate", "opened", "last call", "city", "defaulted"]
    ]
    for number in range(ROWS):
        day = dt.date(2024, 1, 1) + dt.timedelta(rng.randint(0, 700))
        at = dt.datetime(2026, 1, 1) + dt.timedelta(minutes=37 * number)
        rate = rng.uniform(1, 20)
        said = f"{rate:.1f}%" if number % 20 else "N/A"
        city = rng.choice(["Montréal", "New York", "-"]) if number > ROWS // 2 else "Boston"
        left = "Yes" if rng.random() < rate / 20 else "No"
        money, opened = f"${rng.uniform(900, 90_000):,.2f}", f"{day.month}/{day.day}/{day.year}"
        rows.append([1000 + number, money, said, opened, at.isoformat(" "), city, left])
    path = _csv(folder / "loans.csv", [*rows, ["Total", "", "", "", "", "", ""]])
    path.write_bytes(path.read_text("utf-8").encode("latin-1"))
    return path


def pets(folder: Path) -> Path:
    """A folder of images for each label, and a file that is none."""
    good = {f"{'ab'[n % 2]}/{n}.jpg": pictures.encoded(n) for n in range(ROWS)}
    return pictures.folder(folder / "pets", {**good, "a/notes.jpg": b"hello"}.items())


def _german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def _csv(path: Path, rows: list[list[object]], comma: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=comma).writerows(rows)
    return path
