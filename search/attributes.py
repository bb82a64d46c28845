"""What a study says of its trials, straight from Optuna's tables: 20 times faster than as Optuna's objects.

A leaderboard of 10,000 trials needs the last report of each, not all of them.
"""

import json
from typing import Any

import sqlalchemy as sa

from search.database import patiently

OF_A_ROW = ("config", "cost", "reports", "state", "reason")
LAST = {  # element of a JSON list
    "sqlite": "json_extract(attributes.value_json, '$[#-1]')",
    "postgresql": "CAST(CAST(attributes.value_json AS json) -> -1 AS text)",
}
FROM = """
FROM studies JOIN trials USING (study_id) JOIN trial_user_attributes AS attributes USING (trial_id)
WHERE studies.study_name = :study"""


def trial_attributes(engine: sa.Engine, study: str) -> dict[int, dict[str, Any]]:
    """By number, of each trial that was begun: `config`, `cost`, `state`, `reason`, the last of `reports`."""
    last = LAST[engine.dialect.name]
    query = f"""
SELECT trials.number, attributes.key,
       CASE attributes.key WHEN 'reports' THEN {last} ELSE attributes.value_json END
{FROM} AND attributes.key IN ({", ".join(f"'{key}'" for key in OF_A_ROW)})
ORDER BY trials.number"""
    found: dict[int, dict[str, Any]] = {}
    for number, key, value in _rows(engine, query, study=study):
        found.setdefault(number, {})[key] = None if value is None else json.loads(value)
    return {number: values for number, values in found.items() if "config" in values}


def attribute_of_all(engine: sa.Engine, study: str, key: str) -> dict[int, Any]:
    """One attribute of every trial that has it, whole, by number."""
    query = f"SELECT trials.number, attributes.value_json {FROM} AND attributes.key = :key"
    return {number: json.loads(value) for number, value in _rows(engine, query, study=study, key=key)}


def trial_attribute(engine: sa.Engine, study: str, number: int, key: str) -> Any:
    """One attribute of one trial, whole; None where it has none."""
    query = f"SELECT attributes.value_json {FROM} AND trials.number = :number AND attributes.key = :key"
    rows = _rows(engine, query, study=study, number=number, key=key)
    return json.loads(rows[0][0]) if rows else None


def latest_changes(engine: sa.Engine, study: str) -> tuple[int, int]:
    """Two numbers that grow with each trial that begins, reports or ends."""
    query = """
SELECT COUNT(DISTINCT trials.trial_id), COUNT(*)
FROM studies JOIN trials USING (study_id) LEFT JOIN trial_intermediate_values USING (trial_id)
WHERE studies.study_name = :study"""
    lines = "SELECT COUNT(*) FROM fxsearch_log WHERE search = :study"
    (trials, reports), (told,) = *_rows(engine, query, study=study), *_rows(engine, lines, study=study)
    return trials + told, reports


def _rows(engine: sa.Engine, query: str, **values: Any) -> list[Any]:
    def read() -> list[Any]:
        with engine.connect() as connection:
            return list(connection.execute(sa.text(query), values))

    return patiently(read)
