# SPDX-License-Identifier: BSD-2-Clause
"""Writes a dict as TOML. A value {"interface": [{…}, {…}]} becomes [[interface]] tables; a key with the value None is omitted."""

import json


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(str(value))


def _pairs(table):
    return [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]


def dumps(config):
    lines = []
    for section, content in config.items():
        if isinstance(content, (list, tuple)):
            for table in content:
                lines += [f"[[{section}]]", *_pairs(table), ""]
        else:
            lines += [f"[{section}]", *_pairs(content), ""]
    return "\n".join(lines)
