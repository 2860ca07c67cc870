"""What of the chart follows from elsewhere: `python3 helm/generate.py` writes it, `--check` says what is stale.

- the settings in values.schema.json, out of the tables in docs/settings.md, which are themselves printed from
  the table of options;
- the table of values in the chart's README, out of the comments in values.yaml.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "pgsluice"

# What libpq reads from the environment (PQconndefaults), and the session's settings that it sends along.
LIBPQ = """
PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE PGREQUIREAUTH PGCHANNELBINDING PGSERVICE PGSERVICEFILE
PGOPTIONS PGAPPNAME PGSSLMODE PGREQUIRESSL PGSSLNEGOTIATION PGSSLCOMPRESSION PGSSLCERT PGSSLKEY PGSSLCERTMODE
PGSSLROOTCERT PGSSLCRL PGSSLCRLDIR PGSSLSNI PGREQUIREPEER PGSSLMINPROTOCOLVERSION PGSSLMAXPROTOCOLVERSION
PGGSSENCMODE PGKRBSRVNAME PGGSSLIB PGGSSDELEGATION PGCONNECT_TIMEOUT PGCLIENTENCODING PGTARGETSESSIONATTRS
PGLOADBALANCEHOSTS PGMINPROTOCOLVERSION PGMAXPROTOCOLVERSION PGDATESTYLE PGTZ PGGEQO
""".split()


class Setting(NamedTuple):
    name: str
    values: str
    meaning: str


# --- The settings --------------------------------------------------------------------------------------------------


def settings(document: str) -> Iterator[Setting]:
    """The rows of its tables, without those that stand for many names."""
    table = document.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = cells[0].strip("`")
        if cells[0].startswith("`") and "..." not in name:
            yield Setting(name, values=cells[2], meaning=cells[3])


def amount(text: str) -> int:
    """4MiB -> 4194304"""
    number, unit = re.fullmatch(r"(\d+)([KMG]?i?B?)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]


def numbers(low: str, high: str) -> dict[str, Any]:
    units = "(B|Ki|KiB|Mi|MiB|Gi|GiB)?" if "B" in high else ""
    return {
        "type": ["integer", "string"],
        "minimum": amount(low),
        "maximum": amount(high),
        "pattern": f"^[0-9]+{units}$",
    }


def choices(words: list[str]) -> dict[str, Any]:
    """YAML 1.1 reads on and off as booleans; the templates put them back."""
    switches = [word == "on" for word in words if word in ("on", "off")]
    return {"enum": [*words, *switches]}


def property_of(setting: Setting) -> dict[str, Any]:
    span = re.fullmatch(r"(\d\w*) to (\d\w*)", setting.values)
    if span:
        shape = numbers(*span.groups())
    elif setting.values:
        shape = choices(setting.values.split(", "))
    else:
        shape = {"type": ["string", "number"], "minLength": 1}
    return {"description": setting.meaning, **shape}


def config_schema(document: str) -> dict[str, Any]:
    known = {setting.name: property_of(setting) for setting in settings(document)}
    if not known:
        raise SystemExit("docs/settings.md has no <!-- settings --> ... <!-- /settings --> with tables")
    libpq = {name: {"type": ["string", "number"], "minLength": 1} for name in LIBPQ if name not in known}
    return {
        "type": "object",
        "description": "Settings by their names as environment variables; made from the table of options.",
        "properties": {**known, **libpq},
        "patternProperties": {"^KAFKA_[A-Z0-9_]+$": {"type": ["string", "number", "boolean"]}},
        "additionalProperties": False,
    }


def with_settings(schema: str, document: str) -> str:
    content = json.loads(schema)
    content["definitions"]["config"] = config_schema(document)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


# --- The values ----------------------------------------------------------------------------------------------------


def documented(text: str) -> Iterator[tuple[str, str]]:
    """Path and comment of each `# -- ` in values.yaml."""
    path: list[str] = []
    comment = ""
    for line in text.splitlines():
        words = line.strip()
        key = re.match(r"( *)([A-Za-z][A-Za-z0-9]*):", line)
        if words.startswith("# -- "):
            comment = words[5:]
        elif words.startswith("# ") and comment:
            comment += " " + words[2:]
        elif key:
            path = [*path[: len(key[1]) // 2], key[2]]
            if comment:
                yield ".".join(path), comment
            comment = ""


def at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def values_table(text: str) -> str:
    values = yaml.safe_load(text)
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for path, comment in documented(text):
        default = json.dumps(at(values, path), separators=(", ", ": "))
        rows.append(f"| `{path}` | `{default}` | {comment} |".replace("| `null` |", "|  |").replace('| `""` |', "|  |"))
    return "\n".join(rows)


def with_table(readme: str, table: str) -> str:
    begin, end = "<!-- values -->\n", "\n<!-- /values -->"
    before, _, rest = readme.partition(begin)
    return before + begin + table + end + rest.partition(end)[2]


# --- Both ----------------------------------------------------------------------------------------------------------


def generated() -> dict[Path, str]:
    """Each file as it should be."""
    schema, readme = CHART / "values.schema.json", CHART / "README.md"
    table = values_table((CHART / "values.yaml").read_text())
    return {
        schema: with_settings(schema.read_text(), (ROOT / "docs" / "settings.md").read_text()),
        readme: with_table(readme.read_text(), table),
    }


def stale() -> list[str]:
    return [str(path.relative_to(ROOT)) for path, text in generated().items() if path.read_text() != text]


def main() -> int:
    if "--check" in sys.argv:
        for path in stale():
            print(f"{path} is stale: python3 helm/generate.py writes it")
        return 1 if stale() else 0
    for path, text in generated().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
