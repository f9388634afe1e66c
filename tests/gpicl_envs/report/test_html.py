from browser import complaints, needs_browser, open_browser
from small_records import TROUBLE, failed_record

from gpicl_envs.evaluation.records import ScoredRecord
from gpicl_envs.report import group, write_report


def test_reports_are_the_same_byte_for_byte(records: list[ScoredRecord], tmp_path):
    pages = [write_report(records, tmp_path / name) for name in "ab"]
    names = sorted(path.name for path in pages[0].parent.iterdir())
    assert {"table.md", "table.tex", "learning-curves.svg", "reliability.png", "state-size.png"} < set(names)
    for name in names:
        a, b = ((page.parent / name).read_bytes() for page in pages)
        assert a == b, name


@needs_browser
def test_the_page_opens_offline_in_a_browser(records: list[ScoredRecord], tmp_path):
    from selenium.webdriver.support.wait import WebDriverWait

    page = write_report(records, tmp_path, title="A <title> & more")
    with open_browser() as browser:
        browser.get(page.as_uri())
        rows = browser.find_elements("css selector", "#scores tbody tr")
        cells = [[cell.text for cell in row.find_elements("css selector", "td")] for row in rows]
        assert browser.find_element("css selector", "h1").text == "A <title> & more"
        head = browser.find_elements("css selector", "#scores thead button")[3]

        def order():
            found = browser.find_elements("css selector", "#scores tbody tr td:nth-child(4)")
            return [float(cell.text.split(" ")[0]) for cell in found]

        head.click()
        assert order() == sorted(order(), reverse=True) and len(set(order())) == 3
        assert head.find_element("xpath", "..").get_attribute("aria-sort") == "descending"
        head.send_keys("\n")  # the keyboard sorts too
        assert order() == sorted(order())
        assert len(cells) == 3 and TROUBLE in [row[0] for row in cells]
        best = group(records)["Digits, unseen-task"][0]
        assert any(f"{100 * best.final.mean:.1f} ±" in row[3] and "best" in row[3] for row in cells)
        for i in range(2):  # three curves and three bands in each plot
            assert len(browser.find_elements("css selector", f"#curve-{i} .scatterlayer .trace")) == 6
            legend = browser.find_elements("css selector", f"#curve-{i} .legendtext")
            assert "1-nn-cosine" in [entry.text for entry in legend]
        first = browser.find_elements("css selector", "#curve-0 .legendtoggle")[0]
        toggle = "for (const kind of ['mousedown', 'mouseup']) "
        toggle += "arguments[0].dispatchEvent(new MouseEvent(kind, {bubbles: true}));"
        browser.execute_script(toggle, first)
        drawn = "return document.querySelectorAll('#curve-0 .scatterlayer .trace').length"
        WebDriverWait(browser, 10).until(lambda page: page.execute_script(drawn) == 4)  # a curve and its band are gone
        assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
        assert complaints(browser) == []


def test_failed_rows_have_their_reason_and_come_last(records: list[ScoredRecord], tmp_path):
    broken = failed_record(records[0], "ValueError: <b>no</b> & $x_1$")
    assert group([broken, *records[1:]])["Digits, unseen-task"][-1] is broken
    page = write_report([broken, *records[1:]], tmp_path).read_text(encoding="utf-8")
    assert "&lt;b&gt;no&lt;/b&gt; &amp; $x_1$" in page and "<b>no</b>" not in page
    assert page.count("&lt;b&gt;no") == 2  # in its cell, and in the list below


def test_pictures_and_titles_are_in_the_page_as_text_and_data(records: list[ScoredRecord], tmp_path):
    (tmp_path / "p.png").write_bytes(b"picture")
    pictures = {'"Losses" <i>': tmp_path / "p.png"}
    page = write_report(records[:1], tmp_path / "r", title="<script>alert(1)</script>", pictures=pictures)
    text = page.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text and "<i>" not in text and "data:image/png;base64,cGljdHVyZQ==" in text
