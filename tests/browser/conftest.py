"""Debian's Chromium, driven by Playwright, for pages that the real code made; no page may load or report anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_records import make_run, write_landscape

from lcsc.report import make_report

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: pip install lcsc[browser]")
    if CHROMIUM is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with rows for groups, fresh noise, a distance of its own, and two landscapes, one of them with a gap."""
    folder = tmp_path_factory.mktemp("report")
    searches = ("evolution", "gradient-tensor", "gradient-pixels")
    inputs = make_run(folder / "run", searches=searches, groups=6, fresh=searches[2:], own=searches[2:])
    landscapes = [write_landscape(folder / "run", name, gap=name == "late") for name in ("early", "late")]
    make_report(replace(inputs, landscapes=landscapes), folder / "report.html", folder / "figures")
    return folder / "report.html"


@pytest.fixture
def opened(chromium: Any, report_page: Path) -> Iterator[Any]:
    """Opens the report with a context's options; at the end nothing was loaded and nothing stood on the console."""
    contexts, complaints = [], []

    def open_page(**options: Any) -> Any:
        context = chromium.new_context(**({"viewport": {"width": 1200, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked(request.url))
        page.goto(report_page.as_uri())
        return page

    def asked(url: str) -> None:
        if not url.startswith("data:") and url != report_page.as_uri():
            complaints.append(f"asked for {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
