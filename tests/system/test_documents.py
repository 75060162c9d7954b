# SPDX-License-Identifier: BSD-2-Clause
"""What the documents show is what the programs do: the sessions of the tour and of the manuals' common tasks."""

from pathlib import Path

import pytest

from lib.daemon import ROOT
from lib.lab import DOCUMENTS, Lab
from lib.transcript import Document, text_of


@pytest.mark.parametrize("name", DOCUMENTS)
def test_sessions_are_what_the_programs_print(tmp_path, name):
    """If not, scripts/tour stores what they print now."""
    sessions = Document(Path(ROOT, name)).sessions()
    assert sessions
    with Lab(tmp_path) as lab:
        lab.prepare(name)
        for session in sessions:
            assert text_of(lab.session(session)) == text_of(session), f"{name} shows something else; scripts/tour {name} updates it"
