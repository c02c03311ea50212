"""Progress lines and the log."""

import logging

from lcsc.progress import Progress, close_logging, logger, set_up_logging


def test_the_line_tells_what_is_done_and_when_it_ends():
    progress = Progress("evaluations", 100)
    progress.done = 25
    line = progress.line(progress._began + 30, "best 1.5")
    assert line == "evaluations 25/100 (25%) · best 1.5 · ETA 1:30"


def test_units_from_a_journal_do_not_shape_the_eta():
    progress = Progress("evaluations", 100, every=1e9)
    progress.advance(50, free=True)
    progress.advance(10)
    assert "ETA 0:40" in progress.line(progress._began + 10)
    assert "ETA 0:00" in Progress("nothing yet", 10).line(0.0)


def test_the_end_is_always_printed(tmp_path, capsys):
    set_up_logging("search digits", tmp_path / "logs" / "x.log")
    progress = Progress("evaluations", 3, every=1e9)
    for _ in range(3):
        progress.advance()
    logger.debug("protocol abc")
    close_logging()
    printed = capsys.readouterr().err
    assert printed.startswith("[search digits] evaluations 3/3 (100%) · took 0:00")
    assert "protocol" not in printed
    assert "DEBUG protocol abc" in (tmp_path / "logs" / "x.log").read_text()
    assert logging.getLogger("lcsc").handlers == []


def test_long_times_have_hours():
    progress = Progress("evaluations", 2)
    progress.done = 1
    assert progress.line(progress._began + 7322).endswith("ETA 2:02:02")
