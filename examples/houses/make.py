"""Houses with prices as they are: skewed, in steps by place and kind, with values that are missing.

python examples/houses/make.py 4000 > examples/houses/houses.csv
"""

import csv
import datetime as dt
import math
import random
import sys
from collections.abc import Iterator
from typing import Any

NOISE = 0.08
"""Of log(price): no model has a smaller error of it."""

CITIES = {"Aachen": 2900, "Bonn": 3600, "Essen": 2500, "Kiel": 3100, "Trier": 3000}
PARTS = ("Centre", "North", "South", "East", "West", "Park", "Harbour", "Hill")
KINDS = {"flat": 1.0, "terraced": 1.06, "semi-detached": 1.1, "detached": 1.22}
ENERGY = {"A": 0.1, "B": 0.07, "C": 0.03, "D": 0.0, "E": -0.04, "F": -0.08, "G": -0.13}
HEATING = {"district": 0.03, "gas": 0.0, "heat pump": 0.06, "oil": -0.05}
MISSING = {"bathrooms": 0.05, "built": 0.04, "energy": 0.1, "heating": 0.06}
FIRST = dt.date(2021, 1, 1)
COLUMNS = (
    *("id", "city", "district", "kind", "area_m2", "lot_m2", "rooms", "bathrooms", "floor"),
    *("built", "renovated", "energy", "heating", "garage", "centre_km", "sold_on", "price"),
)


def rows(count: int, seed: int = 0) -> Iterator[list[Any]]:
    """The values of `COLUMNS` of each house; None where one is missing."""
    draw = random.Random(seed)  # noqa: S311
    districts = {(city, f"{city} {part}"): draw.gauss(0, 0.12) for city in CITIES for part in PARTS}
    for number in range(1, count + 1):
        city, district = draw.choice(list(districts))
        kind = draw.choices(list(KINDS), [5, 2, 2, 2])[0]
        flat = kind == "flat"
        area = round(math.exp(draw.gauss(4.3 if flat else 4.9, 0.3)), 1)
        lot = None if flat else round(area * math.exp(draw.gauss(1.1, 0.4)))
        built = int(draw.triangular(1890, 2024, 1985))
        again = built < 1995 and draw.random() < 0.5
        renovated = draw.randint(max(built + 15, 1995), 2025) if again else None
        energy = draw.choices(list(ENERGY), [2, 3, 4, 5, 4, 3, 2])[0]
        heating = draw.choices(list(HEATING), [2, 5, 2, 2])[0]
        garage = draw.random() < (0.25 if flat else 0.7)
        far = round(abs(draw.gauss(4, 3)), 1)
        floor = draw.randint(0, 8) if flat else None
        sold = FIRST + dt.timedelta(draw.randrange(5 * 365))
        log = math.log(CITIES[city]) + districts[city, district] + math.log(KINDS[kind])
        log += 0.9 * math.log(area) + 0.35 - 0.03 * far + 0.06 * garage
        log += 0.08 * math.log(lot / area) if lot else 0.012 * min(floor or 0, 5)
        log += ENERGY[energy] + HEATING[heating] - 0.0022 * (2025 - max(built, renovated or 0))
        log += 0.03 * (sold - FIRST).days / 365 + draw.gauss(0, NOISE)
        rooms, baths = max(1, round(area / 26 + draw.gauss(0, 0.7))), 1 + (area > 130)
        values = [number, city, district, kind, area, lot, rooms, baths, floor, built, renovated]
        values += [energy, heating, garage, far, sold, int(round(math.exp(log), -3))]
        for name, share in MISSING.items():
            if draw.random() < share:
                values[COLUMNS.index(name)] = None
        yield values


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows(int(sys.argv[1])):
        writer.writerow([str(v).lower() if isinstance(v, bool) else v for v in row])
