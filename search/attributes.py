"""What a study says of its trials, straight from Optuna's tables: 20 times faster than as Optuna's objects.

A leaderboard of 10,000 trials needs the last report of each, not all of them.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

QUERY = """
SELECT trials.number, attributes.key,
       CASE attributes.key WHEN 'reports' THEN json_extract(attributes.value_json, '$[#-1]')
                           ELSE attributes.value_json END
FROM trials JOIN trial_user_attributes AS attributes USING (trial_id)
WHERE attributes.key IN ('config', 'cost', 'reports', 'state', 'reason')
ORDER BY trials.number
"""


def trial_attributes(database: Path) -> dict[int, dict[str, Any]]:
    """By number, of each trial that was begun: `config`, `cost`, `state`, `reason`, the last of `reports`."""
    found: dict[int, dict[str, Any]] = {}
    for number, key, value in _rows(database, QUERY):
        found.setdefault(number, {})[key] = None if value is None else json.loads(value)
    return {number: values for number, values in found.items() if "config" in values}


def trial_attribute(database: Path, number: int, key: str) -> Any:
    """One attribute of one trial, whole; None where it has none."""
    query = """
SELECT attributes.value_json FROM trials JOIN trial_user_attributes AS attributes USING (trial_id)
WHERE trials.number = ? AND attributes.key = ?"""
    rows = _rows(database, query, number, key)
    return json.loads(rows[0][0]) if rows else None


def _rows(database: Path, query: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()
