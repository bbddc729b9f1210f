"""The page of a search."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from crystext.discover.summary import funnel


@pytest.fixture(scope="module")
def page(done_search) -> str:
    return (done_search.out / "report.html").read_text(encoding="utf-8")


def test_the_page_names_every_candidate_once_in_its_table(done_search, page):
    table = page.partition('<table id="table">')[2].partition("</table>")[0]
    for candidate in done_search.history.candidates:
        assert table.count(f"<small> {candidate.name}</small>") == 1


def test_the_page_loads_nothing_and_runs_only_its_own_scripts(page):
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href)=["'](?!#)""", own)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe-eval" not in policy[1]
    assert policy[1].count("sha256-") == len(re.findall("<script>", page))


def test_the_funnel_only_narrows(done_search):
    steps = [step.count for step in funnel(done_search.history.outcomes)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == len(done_search.history.texts)
    assert steps[-1] == len(done_search.history.candidates)


@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 1300])  # the least width of its windows, and a desk
def test_a_browser_draws_the_page_without_an_error(done_search, width, tmp_path):
    """The diagram is drawn, the table is filtered, nothing is wider than the screen."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("needs Chromium")
    script = """
<script>addEventListener("load", () => setTimeout(() => {
  const filter = document.getElementById("filter");
  filter.value = "no such crystal"; filter.dispatchEvent(new Event("input"));
  const none = document.getElementById("shown").textContent;
  filter.value = ""; filter.dispatchEvent(new Event("input"));
  document.querySelector("#table th button").click();
  document.body.dataset.measured = JSON.stringify({
    none, all: document.getElementById("shown").textContent,
    drawn: document.querySelectorAll(".diagram .main-svg").length > 0,
    canvases: [...document.querySelectorAll("canvas.crystal")].every((x) => x.width > 0),
    wide: document.documentElement.scrollWidth > innerWidth,
  });
}, 1500));</script>"""
    page = (done_search.out / "report.html").read_text(encoding="utf-8")
    # The policy would stop the script that measures; that it lets the page's own run is shown
    # without it, below.
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    measured = tmp_path / "measured.html"
    measured.write_text(bare.replace("</body>", script + "</body>"), encoding="utf-8")
    dom, _ = _load(browser, measured, width)
    found = re.search(r'data-measured="([^"]*)"', dom)
    assert found is not None
    count = len(done_search.history.candidates)
    values = found[1].replace("&quot;", '"')
    assert f'"none":"0 of {count}"' in values
    assert f'"all":"{count} of {count}"' in values
    assert '"drawn":true' in values
    assert '"canvases":true' in values
    assert '"wide":false' in values
    dom, log = _load(browser, done_search.out / "report.html", width)
    assert 'class="main-svg"' in dom
    assert "CONSOLE" not in log, log


def _load(browser: str, path: Path, width: int) -> tuple[str, str]:
    """Return the document after its scripts, and what the browser logs."""
    ended = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--window-size={width},900", "--virtual-time-budget=8000", "--dump-dom",
            path.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )  # fmt: skip
    return ended.stdout, ended.stderr
