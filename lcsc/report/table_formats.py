"""The result table as plain text for a terminal and as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from textwrap import wrap

from lcsc.report.numbers import decimals_for, fixed, ratio
from lcsc.report.searched import no_evidence
from lcsc.report.tables import Cell, Heading, Row, Table

GAP = 3  # spaces between columns of text
DENSE = 8  # a table of more columns than this is set smaller, to fit the page


def formatted(table: Table) -> list[list[str]]:
    """The cells as text, each column with decimals of its own; a ratio follows its value after two spaces."""
    texts: list[list[str]] = [[] for _ in table.rows]
    for place, decimals in enumerate(column_decimals(table)):
        cells = _column_texts([row.cells[place] for row in table.rows], decimals)
        for text, cell in zip(texts, cells, strict=True):
            text.append(cell)
    return texts


def column_decimals(table: Table) -> list[int]:
    """Decimals for each column: three digits of its smallest generated value (real images reach far less)."""
    generated = [row for row in table.rows if row.kind != "floor"]
    return [
        decimals_for(cell.mean for row in generated if (cell := row.cells[place]) is not None)
        if heading.decimals is None
        else heading.decimals
        for place, heading in enumerate(table.headings)
    ]


def _column_texts(cells: Sequence[Cell | None], decimals: int) -> list[str]:
    means = ["" if cell is None else fixed(cell.mean, decimals) for cell in cells]
    spreads = ["" if cell is None or cell.spread is None else f" ± {fixed(cell.spread, decimals)}" for cell in cells]
    ratios = ["" if cell is None or cell.ratio is None else f"  {ratio(cell.ratio)}" for cell in cells]
    widths = [max(map(len, part)) for part in (means, spreads, ratios)]
    return [
        f"{mean:>{widths[0]}}{spread:<{widths[1]}}{times:>{widths[2]}}" if mean else ""
        for mean, spread, times in zip(means, spreads, ratios, strict=True)
    ]


def text_table(table: Table, width: int = 100) -> str:
    """The table as plain text; groups of columns that do not fit into ``width`` follow below."""
    texts = formatted(table)
    label_width = max(len(row.label) for row in table.rows)
    lines = [table.caption]
    for groups in _pages(table, texts, width - label_width):
        lines += ["", *_text_page(table, texts, groups, label_width)]
    if any(heading.searched for heading in table.headings):
        lines += ["", f"* {no_evidence([table.mark])}"]
    lines += ["", *(wrapped for note in table.notes for wrapped in wrap(note, width, subsequent_indent="  "))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def heading_groups(table: Table) -> list[list[int]]:
    """Places of the columns that stand under one group heading, in order."""
    groups: list[list[int]] = []
    for place, heading in enumerate(table.headings):
        if groups and table.headings[groups[-1][0]].group == heading.group:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _pages(table: Table, texts: Sequence[Sequence[str]], width: int) -> list[list[list[int]]]:
    """Groups of columns in pages, each filled with those that still fit (a too wide one stands alone)."""
    waiting = heading_groups(table)
    pages: list[list[list[int]]] = []
    while waiting:
        page: list[list[int]] = []
        left = width
        for group in list(waiting):
            needed = sum(_text_widths(table, texts, group)) + GAP * len(group)
            if needed <= left or not page:
                page.append(group)
                waiting.remove(group)
                left -= needed
        pages.append(page)
    return pages


def _label_text(heading: Heading) -> str:
    return f"{heading.label} *" if heading.searched else heading.label


def _text_widths(table: Table, texts: Sequence[Sequence[str]], group: Sequence[int]) -> list[int]:
    widths = [max(len(_label_text(table.headings[p])), *(len(text[p]) for text in texts)) for p in group]
    missing = len(table.headings[group[0]].group) - sum(widths) - GAP * (len(group) - 1)
    widths[0] += max(0, missing)
    return widths


def _text_page(
    table: Table, texts: Sequence[Sequence[str]], groups: Sequence[Sequence[int]], label_width: int
) -> list[str]:
    places = [place for group in groups for place in group]
    widths = [width for group in groups for width in _text_widths(table, texts, group)]
    spans = [sum(_text_widths(table, texts, group)) + GAP * (len(group) - 1) for group in groups]

    def line(label: str, cells: Iterable[str], widths: Sequence[int]) -> str:
        joined = (" " * GAP).join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        return f"{label:<{label_width}}{' ' * GAP}{joined}"

    names = (table.headings[group[0]].group for group in groups)
    lines = [
        line("", (f" {name} ".center(span, "─") for name, span in zip(names, spans, strict=True)), spans),
        line("", (_label_text(table.headings[place]) for place in places), widths),
    ]
    rows = zip(table.rows, texts, strict=True)
    return lines + [line(row.label, (text[place] for place in places), widths) for row, text in rows]


def html_table(table: Table) -> str:
    """The table as an HTML ``table`` element; every name in it is escaped."""
    decimals = column_decimals(table)
    dense = " dense" if len(table.headings) > DENSE else ""
    body = "\n".join(_html_row(row, decimals, row.name == table.best) for row in table.rows)
    return (
        f'<table class="results{dense}">\n<caption>{escape(table.caption)}</caption>\n'
        f"<thead>\n{_html_head(table)}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
    )


def _html_head(table: Table) -> str:
    first = "".join(
        f'<th scope="colgroup" colspan="{len(group)}">{escape(table.headings[group[0]].group)}</th>'
        for group in heading_groups(table)
    )
    marks = {True: table.mark, False: "not searched", None: ""}
    second = "".join(
        f'<th scope="col">{escape(heading.label)}<span class="mark">{marks[heading.searched]}</span></th>'
        for heading in table.headings
    )
    return f'<tr><th scope="col" rowspan="2">Weights</th>{first}</tr>\n<tr>{second}</tr>'


def _html_row(row: Row, decimals: Sequence[int], best: bool) -> str:
    cells = "".join(_html_cell(cell, places) for cell, places in zip(row.cells, decimals, strict=True))
    kind = f"{row.kind} best" if best else row.kind
    return f'<tr class="{kind}"><th scope="row">{escape(row.label)}</th>{cells}</tr>'


def _html_cell(cell: Cell | None, decimals: int) -> str:
    if cell is None:
        return '<td><span class="none" aria-label="no value">–</span></td>'
    text = f'<span class="value">{fixed(cell.mean, decimals)}</span>'
    if cell.spread is not None:
        text += f' <span class="spread">± {fixed(cell.spread, decimals)}</span>'
    if cell.ratio is not None:
        text += f' <span class="ratio">{ratio(cell.ratio)}</span>'
    if cell.note:
        text += f' <span class="note">{escape(cell.note)}</span>'
    return f"<td>{text}</td>"
