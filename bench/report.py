# SPDX-License-Identifier: BSD-2-Clause
"""Tables of results: on the terminal, as Markdown, as JSON."""

import dataclasses
import json

import svg


def number(digits=0, scale=1):
    return lambda value: f"{value * scale:,.{digits}f}"


def short(value):
    """About three significant digits."""
    if value and abs(value) < 1:
        return f"{value:.4f}".rstrip("0") if abs(value) < 0.1 else f"{value:.2f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def text(value):
    return str(value)


KPPS = number(0, 1e-3)
MS = number(2, 1e3)
MIB = number(1, 1 / 2**20)


@dataclasses.dataclass
class Column:
    key: str
    heading: str
    format: object = text

    def cell(self, row):
        value = row.get(self.key)
        return "–" if value is None else self.format(value)


@dataclasses.dataclass
class Chart:
    """Bars of one column, grouped by `group` or size if rows have one; or of several columns, {heading: key}, one group each."""
    file: str
    title: str
    key: str | dict
    format: object = short
    scale: float = 1


@dataclasses.dataclass
class Table:
    name: str
    title: str
    columns: list
    rows: list
    note: str = ""
    charts: list = dataclasses.field(default_factory=list)
    samples: list = dataclasses.field(default_factory=list)

    def cells(self):
        return [[column.heading for column in self.columns]] + [[column.cell(row) for column in self.columns] for row in self.rows]

    def terminal(self):
        cells = self.cells()
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]
        lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths)))
                 for line in cells]
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join([self.title, *lines, *([self.note] if self.note else [])]) + "\n"

    def markdown(self):
        lines = ["| " + " | ".join(line) + " |" for line in self.cells()]
        lines.insert(1, "| --- |" + " ---: |" * (len(self.columns) - 1))
        images = [f"![{chart.title}]({chart.file}.svg)\n" for chart in self.charts if self.plotted(chart)]
        return "\n".join([f"## {self.title}", "", *lines, "", *([self.note, ""] if self.note else []), *images])

    def plotted(self, chart):
        groups = {}
        for heading, key in chart.key.items() if isinstance(chart.key, dict) else [("", chart.key)]:
            for row in self.rows:
                if row.get(key) is not None:
                    group = heading or row.get("group") or (f"{row['size']:g} B" if "size" in row else "")
                    groups.setdefault(group, []).append((row["label"], row[key] * chart.scale))
        return list(groups.items())

    def plots(self):
        """{file: SVG}"""
        return {f"{chart.file}.svg": svg.bars(chart.title, self.plotted(chart), chart.format)
                for chart in self.charts if self.plotted(chart)}


def with_ratios(rows, key, into, base):
    """Sets row[into] to row[key] relative to the row of `base` with the same size."""
    for row in rows:
        first = next((other for other in rows if other["label"] == base and other.get("size") == row.get("size")), {})
        if first.get(key) and row.get(key) is not None:
            row[into] = row[key] / first[key]
    return rows


def header(about):
    return "\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in about.items())


def markdown(about, tables):
    lines = ["# Benchmark results", "", "Made by `bench/run`. Each number is the median of the repetitions; the contenders of a table took "
             "turns in one run.", "", *(f"- {key.replace('_', ' ')}: {value}" for key, value in about.items()), ""]
    return "\n".join(lines + [table.markdown() for table in tables])


def as_json(about, tables):
    results = {table.name: {"title": table.title, "rows": table.rows, "samples": table.samples} for table in tables}
    return json.dumps({"about": about, "results": results}, indent=1, default=str) + "\n"
