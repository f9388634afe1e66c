"""Make docs/images/playground.png: three invented signs in the playground. Needs chromium and its driver.

python docs/make_playground.py
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tyro
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from gpicl_agents.playground.page import write_playground
from gpicl_agents.pretrained import load_pretrained

SIGNS = (  # strokes of [x, y] from 0 to 1
    [
        [[0.2, 0.3], [0.5, 0.15], [0.8, 0.3], [0.5, 0.45], [0.2, 0.3]],
        [[0.5, 0.45], [0.5, 0.9]],
        [[0.3, 0.7], [0.7, 0.7]],
    ],
    [[[0.2, 0.2], [0.2, 0.8], [0.8, 0.8]], [[0.4, 0.4], [0.8, 0.2]]],
    [[[0.15, 0.6], [0.35, 0.3], [0.5, 0.6], [0.65, 0.3], [0.85, 0.6]], [[0.2, 0.85], [0.8, 0.85]]],
)
DRAW = "page.strokes = arguments[0]; drawingChanged();"


def main(examples: int = 3, out: Path = Path(__file__).parent / "images" / "playground.png") -> None:
    """Write the picture.

    Args:
        examples: of each sign.
        out: the file.
    """
    random, options = np.random.default_rng(0), ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1120,1260"):
        options.add_argument(flag)
    with TemporaryDirectory() as folder:
        page = write_playground(load_pretrained("gpicl-small"), Path(folder) / "a.html", "gpicl-small")
        with Chrome(options=options, service=ChromeService(shutil.which("chromedriver"))) as browser:
            browser.get(page.as_uri())
            for i in range(len(SIGNS) * examples + 1):
                label = i % len(SIGNS)
                strokes = [np.array(stroke) + random.uniform(-0.05, 0.05, (len(stroke), 2)) for stroke in SIGNS[label]]
                browser.execute_script(DRAW, [stroke.tolist() for stroke in strokes])
                if i < len(SIGNS) * examples:
                    browser.execute_script("tell(arguments[0])", label)
            browser.save_screenshot(str(Path(folder) / "a.png"))
        out.parent.mkdir(parents=True, exist_ok=True)
        Image.open(Path(folder) / "a.png").convert("RGB").quantize(128).save(out, optimize=True)
    print(out)


if __name__ == "__main__":
    tyro.cli(main)
