"""A summary as PDF, by fpdf2: pure Python, so that the image of the jobs needs no library of the system's.

Its fonts are those that matplotlib brings. The same summary gives the same bytes.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.jobs.reports.document import Bars, Section, State, Summary, Table

if TYPE_CHECKING:
    from fpdf import FPDF

_FONT: Final = "DejaVu"
_MARGIN: Final = 16
_LINE: Final = 5.2
_INK: Final = (27, 36, 48)
_MUTED: Final = (92, 103, 117)
_ACCENT: Final = (47, 111, 214)
_BAD: Final = (179, 54, 43)
_LABELS: Final = 34
_BAR_HEIGHT: Final = 4.6


def as_pdf(summary: Summary) -> bytes:
    """A4 pages. What the fonts lack is shown as an empty box."""
    pdf = _blank(summary)
    _write(pdf, summary.title, size=18, bold=True)
    _write(pdf, summary.period, colour=_MUTED)
    pdf.ln(2)
    for part in summary.sections:
        _write(pdf, f"•  {part.headline}", colour=_BAD if part.needs_attention else _INK)
    for part in summary.sections:
        _section(pdf, part)
    return bytes(pdf.output())


def _blank(summary: Summary) -> FPDF:
    import matplotlib
    from fpdf import FPDF

    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime.fromisoformat(summary.made_at))
    pdf.set_title(summary.title)
    pdf.set_lang("en")
    pdf.set_margin(_MARGIN)
    pdf.set_auto_page_break(True, margin=_MARGIN)
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdf.add_font(_FONT, "", fonts / "DejaVuSans.ttf")
    pdf.add_font(_FONT, "B", fonts / "DejaVuSans-Bold.ttf")
    pdf.add_page()
    return pdf


def _section(pdf: FPDF, part: Section) -> None:
    pdf.ln(5)
    title = part.title if part.state is not State.FAILED else f"{part.title}: couldn't be told"
    _write(pdf, title, size=12, bold=True)
    for words in (part.headline, *part.said):
        _write(pdf, words, colour=_MUTED)
    for bars in part.bars:
        _bars(pdf, bars)
    for shown in part.tables:
        _table(pdf, shown)


def _write(
    pdf: FPDF, words: str, *, size: float = 9.5, bold: bool = False, colour: tuple[int, int, int] = _INK
) -> None:
    pdf.set_font(_FONT, "B" if bold else "", size)
    pdf.set_text_color(*colour)
    pdf.multi_cell(0, max(_LINE, size * 0.5), words, new_x="LMARGIN", new_y="NEXT", align="L")


def _bars(pdf: FPDF, bars: Bars) -> None:
    pdf.ln(2)
    _write(pdf, bars.caption, size=8.5, colour=_MUTED)
    most = max((amount for _, amount in bars.values), default=0.0) or 1.0
    space = pdf.epw - _LABELS - 30
    pdf.set_font(_FONT, "", 8.5)
    for name, amount in bars.values:
        if pdf.will_page_break(_BAR_HEIGHT + 1):
            pdf.add_page()
        y, width = pdf.get_y(), space * amount / most
        pdf.set_text_color(*_MUTED)
        pdf.cell(_LABELS, _BAR_HEIGHT, name)
        pdf.set_fill_color(*_ACCENT)
        pdf.rect(_MARGIN + _LABELS, y + 0.6, width, _BAR_HEIGHT - 1.2, style="F")
        pdf.set_xy(_MARGIN + _LABELS + width + 2, y)
        pdf.set_text_color(*_INK)
        pdf.cell(30, _BAR_HEIGHT, f"{amount:,.0f}", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(0.6)


def _table(pdf: FPDF, shown: Table) -> None:
    from fpdf.fonts import FontFace

    pdf.ln(2)
    _write(pdf, shown.caption, size=8.5, colour=_MUTED)
    pdf.set_font(_FONT, "", 8)
    pdf.set_text_color(*_INK)
    pdf.set_draw_color(221, 226, 232)
    pdf.set_fill_color(255, 255, 255)
    longest = [
        max(len(line[place]) for line in (shown.head, *shown.rows)) for place in range(len(shown.head))
    ]
    widths = tuple(min(max(length, 4), 40) for length in longest)
    sides = tuple("LEFT" if place in shown.left else "RIGHT" for place in range(len(shown.head)))
    with pdf.table(
        col_widths=widths,
        text_align=sides,
        line_height=_LINE,
        borders_layout="HORIZONTAL_LINES",
        cell_fill_color=None,
        headings_style=FontFace(emphasis="BOLD", color=_MUTED),
        padding=(0.6, 1.2),
        v_align="TOP",
    ) as table:
        for line in (shown.head, *shown.rows):
            table.row(line)
