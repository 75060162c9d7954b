# SPDX-License-Identifier: BSD-2-Clause
"""Bar charts as SVG, readable on a light and a dark page."""

from xml.sax.saxutils import escape

WIDTH, LABEL, VALUE, BAR, GAP, TOP = 760, 250, 90, 20, 8, 52
OURS, OTHERS = "#2f6fb0", "#a8b0b8"


def bars(title, groups, form):
    """groups: [(heading, [(label, value)])]. Bars whose label names pcapdaemon or its recorder stand out."""
    highest = max((value for _, rows in groups for _, value in rows), default=0) or 1
    parts, y = [], TOP
    for heading, rows in groups:
        if heading:
            parts.append(f'<text x="16" y="{y + 12}" class="group">{escape(heading)}</text>')
            y += 24
        for label, value in rows:
            length = max(1, (WIDTH - LABEL - VALUE) * value / highest)
            colour = OURS if "pcapdaemon" in label or "recorder" in label else OTHERS
            parts.append(f'<text x="{LABEL - 10}" y="{y + 15}" text-anchor="end">{escape(label)}</text>'
                         f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" fill="{colour}"/>'
                         f'<text x="{LABEL + length + 8:.1f}" y="{y + 15}">{escape(form(value))}</text>')
            y += BAR + GAP
        y += GAP
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">\n'
            f"<title>{escape(title)}</title>\n"
            "<style>text{font:13px system-ui,sans-serif;fill:#24292f}.head{font-size:15px;font-weight:600}.group{font-weight:600}"
            "</style>\n"
            f'<rect width="{WIDTH}" height="{y}" rx="6" fill="#ffffff"/>\n<text x="16" y="30" class="head">{escape(title)}</text>\n'
            + "\n".join(parts) + "\n</svg>\n")
