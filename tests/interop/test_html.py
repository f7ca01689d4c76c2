"""The page of `otf inspect --html` in a real browser: light and dark, wide and at phone width, with names that mean harm.

Needs Debian's `chromium` and `chromium-driver` (or the same from elsewhere in PATH). OTF_PICTURES names a folder for pictures, if they are wanted.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from support.browser import Browser, installed
from support.otf import Otf

pytestmark = pytest.mark.skipif(not installed(), reason="chromium and chromedriver are not installed")

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
NASTY = ["<script>document.title='owned'</script>", "\"'><img src=x onerror=alert(1)>", "\u202eevil\u202c", "שלום", "日本語の枝", "n" * 10_000, "a b"]

# Every piece of text with the colour behind it: pairs below WCAG AA's 4.5, and 3 for large text.
CONTRAST = """
const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
const light = ([r, g, b]) => { const f = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
const bad = [];
for (const e of document.querySelectorAll('main *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!own || e.tagName === 'title' || e.getClientRects().length === 0) continue;
  const style = getComputedStyle(e);
  const colour = parse(e instanceof SVGElement ? style.fill : style.color);
  const [a, b] = [light(colour), light(behind(e))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize);
  if (ratio < (size >= 24 ? 3 : 4.5)) bad.push(`${e.tagName}.${e.getAttribute('class')} ${ratio.toFixed(2)}: ${e.textContent.slice(0, 40)}`);
}
return bad;
"""

# The colours of charts against the card they stand on (WCAG 1.4.11: 3).
SHAPES = CONTRAST.split("const bad")[0] + """
const bad = [];
for (const e of document.querySelectorAll('svg rect[class], svg .mark, svg .arc, svg .target')) {
  if (e.getClientRects().length === 0) continue;
  const style = getComputedStyle(e), paint = style.fill === 'none' ? style.stroke : style.fill;
  const [a, b] = [light(parse(paint)), light(behind(e))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 3) bad.push(`${e.getAttribute('class')} ${paint}`);
}
return [...new Set(bad)];
"""

# Text of charts that leaves its chart, or runs into other text of it.
OUTSIDE = """
const bad = [];
for (const svg of document.querySelectorAll('svg')) {
  if (svg.getClientRects().length === 0) continue;
  const box = svg.viewBox.baseVal, seen = [];
  for (const t of svg.querySelectorAll('text')) {
    const b = t.getBBox();
    if (b.x < -0.5 || b.y < -0.5 || b.x + b.width > box.width + 0.5 || b.y + b.height > box.height + 0.5) bad.push('outside: ' + t.textContent);
    for (const o of seen) if (b.x < o.x + o.width - 1 && o.x < b.x + b.width - 1 && b.y < o.y + o.height - 3 && o.y < b.y + b.height - 3)
      bad.push('over other text: ' + t.textContent);
    seen.push(b);
  }
}
return bad;
"""

OVERFLOW = """
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const out = [...document.querySelectorAll('main *')].filter(e => !e.closest('thead') && !e.closest('svg') && e.getClientRects().length
  && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5);
return [wide, out.slice(0, 5).map(e => e.tagName + '.' + e.className)];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all pages."""
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


def with_names(table: Path) -> None:
    """Gives the newest metadata of a copied fixture branches and tags with hostile names, and a history."""
    file = max((table / "metadata").glob("*.metadata.json"), key=lambda f: int(f.name.split(".")[0][1:]))
    metadata = json.loads(file.read_text())
    head = metadata["snapshots"][-1]
    operations = ["append", "append", "overwrite", "delete", "replace", "something"]
    for number in range(400):
        summary = {"operation": operations[number * 7 // 3 % 6], "added-data-files": str(number), "added-records": str(number * 1000)}
        made = head["timestamp-ms"] - (400 - number) * 3_600_000 * (1 + number % 3)
        metadata["snapshots"].insert(0, {**head, "snapshot-id": 10_000 + number, "timestamp-ms": made, "summary": summary})
    for number, name in enumerate(NASTY + [f"release-{n}" for n in range(12)]):
        kind = {"type": "branch"} if number % 3 == 0 else {"type": "tag", "max-ref-age-ms": 86_400_000 * 30}
        metadata["refs"][name] = {**kind, "snapshot-id": 10_000 + number * 21 % 400}
    file.write_text(json.dumps(metadata))


def page(otf: Otf, folder: Path, name: str, change: bool) -> Path:
    """The page of a fixture."""
    subprocess.run(["cp", "-r", str(FIXTURES / name), str(folder / name)], check=True)
    subprocess.run(["chmod", "-R", "u+w", str(folder / name)], check=True)
    home = "/tables" if name.startswith("delta") else "/tmp/otf-fixtures/0000000000000000/db"
    if change:
        with_names(folder / name)
    file = folder / f"{name}.html"
    done = subprocess.run([str(otf.binary), "inspect", f"{home}/{name}", "--map-location", f"{home}={folder}", "--html", str(file)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return file


CASES = [("iceberg_v2_specs", True), ("iceberg_v3_dv", False), ("delta_partitioned_odd_names", False), ("delta_checkpoint", False)]


@pytest.mark.parametrize(("name", "change"), CASES, ids=[name for name, _ in CASES])
def test_a_page_is_readable_everywhere_and_asks_for_nothing(otf: Otf, browser: Browser, tmp_path: Path, name: str, change: bool) -> None:
    file = page(otf, tmp_path, name, change)
    browser.log("browser")
    browser.requests()
    for scheme in ("light", "dark"):
        for width in (1280, 800, 360):
            browser.show(file, width, scheme)
            browser.run("for (const d of document.querySelectorAll('details')) d.open = true;")
            where = f"{name}, {scheme}, {width}"
            assert browser.run(CONTRAST) == [], where
            assert browser.run(SHAPES) == [], where
            assert browser.run(OUTSIDE) == [], where
            assert browser.run(OVERFLOW) == [0, []], where
            if pictures := os.environ.get("OTF_PICTURES"):
                browser.picture(Path(pictures) / f"{name}-{scheme}-{width}.png")
    assert browser.run("return document.title").endswith("otf inspect")
    assert browser.log("browser") == []
    # A browser that has just started asks for parts of its own, and what lies in the page is asked of nobody.
    assert {url for url in browser.requests() if not url.startswith(("chrome:", "data:"))} == {file.resolve().as_uri()}


def test_partitions_are_sorted_without_a_script(otf: Otf, browser: Browser, tmp_path: Path) -> None:
    file = page(otf, tmp_path, "iceberg_v2_specs", False)
    browser.show(file, 1280, "light")
    shown = "return [...document.querySelectorAll('.sorted')].filter(e => e.getClientRects().length).map(e => e.className)"
    assert browser.run(shown) == ["sorted in-small"]
    browser.run("document.querySelector('[for=by-bytes]').click()")
    assert browser.run(shown) == ["sorted in-bytes"]
    numbers = browser.run("return [...document.querySelectorAll('.in-bytes tbody tr td:nth-child(3)')].map(e => e.textContent)")
    assert len(numbers) > 2
