# SPDX-License-Identifier: BSD-2-Clause
"""Terminal sessions in documents: lines that begin with "$ " are commands, "> " continues them, and the lines after them are what comes
back. A line "^C" stands for Ctrl-C, once as many lines have come as stand before it; "..." for any number of lines.

Sessions are compared in a form without what differs from run to run: times, identifiers, numbers (but an exit status), sizes and the width
of tables."""

import dataclasses
import difflib
import re

_VARYING = [
    (r"\d{8}T\d{6}(\.\d+)?Z", "TIME"),
    (r"\d{4}-\d\d-\d\dT\d\d:?\d\d:?\d\d(\.\d+)?Z?", "TIME"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "TIME"),
    (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\b|\b\d{8}\b|\b\d{12}\b", "ID"),  # some have no letter
    (r"\b[\d,.]+ ?(B|bytes|[KMG]i?B|kB)\b", "SIZE"),
    (r"\b[\d,]+(\.\d+)? ?(ns|µs|ms|s|m|h)\b", "DURATION"),
    (r"(?<!status )\b\d[\d,]*(\.\d+)?\b", "N"),
    (r"[─-╿]+|-{3,}", "---"),
    (r"[ \t]+", " "),
]


def comparable(line):
    for pattern, name in _VARYING:
        line = re.sub(pattern, name, line)
    return line.strip()


@dataclasses.dataclass
class Step:
    command: str  # as it stands there, "$ " and continuations included
    output: list  # lines

    @property
    def words(self):
        """The command for a shell."""
        return "\n".join(re.sub(r"^[$>] ", "", line) for line in self.command.split("\n"))

    @property
    def interrupted_after(self):
        """The number of lines before "^C", or None."""
        return self.output.index("^C") if "^C" in self.output else None

    def fits(self, lines):
        """Whether these lines are what the document shows."""
        return _fits([comparable(line) for line in self.output], [comparable(line) for line in lines])

    def with_output(self, lines, fresh=False):
        """The step with these lines; itself if they fit, unless `fresh`."""
        return self if self.fits(lines) and not fresh else Step(self.command, lines)


def _fits(wanted, found):
    if not wanted:
        return not found
    if wanted[0] == "...":
        return any(_fits(wanted[1:], found[skipped:]) for skipped in range(len(found) + 1))
    return bool(found) and wanted[0] == found[0] and _fits(wanted[1:], found[1:])


def steps(block):
    """The steps of one session."""
    found = []
    for line in block.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            found.append(Step(line, []))
        elif line.startswith("> "):
            found[-1].command += "\n" + line
        else:
            found[-1].output.append(line)
    return found


def differences(shown, found):
    """Between two sessions, in the form in which they are compared; "": none."""
    texts = [[comparable(line) for line in text_of(session).splitlines()] for session in (shown, found)]
    return "\n".join(difflib.unified_diff(*texts, "the document", "the programs", lineterm=""))


def text_of(session):
    return "".join("\n".join([step.command, *step.output]) + "\n" for step in session)


class Document:
    """A file with sessions, which are all replaceable: Markdown's ```console blocks, or mdoc's literal blocks that begin with a command."""

    def __init__(self, path):
        self.path, self.mdoc = path, path.suffix == ".in"
        self.pattern = (re.compile(r"(?<=^)(\.Bd -literal[^\n]*\n)(\$ .*?)(^\.Ed$)", re.S | re.M) if self.mdoc
                        else re.compile(r"^(```console\n)(.*?)(^```$)", re.S | re.M))
        self.text = path.read_text(encoding="utf-8")

    def _plain(self, block):
        return re.sub(r"^\\&", "", block, flags=re.M).replace("\\e", "\\") if self.mdoc else block

    def _source(self, block):
        if not self.mdoc:
            return block
        return re.sub(r"^(?=[.'])", r"\\&", block.replace("\\", "\\e"), flags=re.M)

    def sessions(self):
        return [steps(self._plain(match[2])) for match in self.pattern.finditer(self.text)]

    def replace(self, sessions):
        """Stores these sessions in place of those of the file."""
        blocks = iter(sessions)
        self.text = self.pattern.sub(lambda match: match[1] + self._source(text_of(next(blocks))) + match[3], self.text)
        self.path.write_text(self.text, encoding="utf-8")
