"""The page in a browser: its forward pass against PyTorch, and what a person does with mouse, finger and keyboard."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import complaints, needs_browser, open_browser
from model_checks import perturbed

from gpicl_agents.models.kernel_transformer import KernelTransformer
from gpicl_agents.models.lstm import LSTM
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.playground.page import half_weights, write_playground
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import make_learner

SMALL = {"width": 8, "n_layers": 2, "n_heads": 2, "mlp_width": 8}
CROSS = [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)]]
ARCH = [[(0.2, 0.8), (0.2, 0.3), (0.5, 0.15), (0.8, 0.3), (0.8, 0.8)]]
RUN = """
let state = model.start(), last;
return arguments[0].map((x, n) => {
  const { probabilities, attention, state: after } = model.step(state, Float32Array.from(x), last);
  [state, last] = [after, arguments[1][n]];
  return [Array.from(probabilities, Math.log), attention.map((heads) => heads.map((weights) => Array.from(weights)))];
});
"""


def small(n_features: int = 784, n_classes: int = 3, **changes: Any) -> Transformer:
    return perturbed(Transformer(n_features, n_classes, **(SMALL | {"input_rank": 4, "n_projections": 2} | changes)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser("1120,1500") as opened:
        yield opened


@pytest.fixture(scope="module")
def small_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the learner that comes by default."""
    path = tmp_path_factory.mktemp("page") / "a.html"
    return write_playground(make_learner("pretrained:gpicl-small"), path, "gpicl-small")


@pytest.fixture
def opened(browser: Any, small_page: Path) -> Iterator[Any]:
    """The page as it opens; at the end of each test it has neither complained nor asked for anything."""
    browser.get(small_page.as_uri())
    yield browser
    assert complaints(browser) == []


def draw(browser: Any, strokes: list[list[tuple[float, float]]], wobble: float = 0.0) -> None:
    """Draw with the mouse; points are fractions of the drawing area."""
    from selenium.webdriver import ActionChains

    canvas, random = browser.find_element("id", "drawing"), np.random.default_rng(int(1000 * wobble))
    size, actions = canvas.rect, ActionChains(browser, duration=20)
    for stroke in strokes:
        places = np.array(stroke) - 0.5 + wobble * random.uniform(-1, 1, (len(stroke), 2))
        for i, (x, y) in enumerate((places * [size["width"], size["height"]]).astype(int).tolist()):
            actions.move_to_element_with_offset(canvas, x, y)
            if not i:
                actions.click_and_hold()
        actions.release()
    actions.perform()


def text(browser: Any, name: str) -> str:
    return browser.find_element("id", name).text


def press(browser: Any, *keys: str) -> None:
    browser.find_element("id", "drawing").send_keys(*keys)


@needs_browser
@pytest.mark.parametrize("name", ["pretrained", "small", "whole inputs"])
def test_the_forward_pass_is_that_of_pytorch(name: str, browser: Any, tmp_path: Path):
    learners = {"small": small, "whole inputs": lambda: small(input_rank=0, n_projections=1, n_classes=2)}
    learner = learners.get(name, lambda: make_learner("pretrained:gpicl-small"))()
    browser.get(write_playground(learner, tmp_path / "a.html").as_uri())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 12, 784, generator=generator)
    y = torch.randint(learner.n_classes, (1, 12), generator=generator)
    found = browser.execute_script(RUN, x[0].tolist(), y[0].tolist())
    rounded: Any = deepcopy(learner).half().float().eval()  # type: ignore[attr-defined]
    expected = rounded.predict(x, y).log_softmax(2)[0].detach().numpy()
    np.testing.assert_allclose([logits for logits, _ in found], expected, atol=1e-4)
    weights = rounded.attention(x, y)[0].numpy()
    for n, (_, attention) in enumerate(found):
        np.testing.assert_allclose(attention, weights[:, :, n, : n + 1], atol=1e-5)


@needs_browser
def test_two_signs_are_told_apart_after_three_examples_each(opened: Any):
    assert opened.find_element("css selector", "#answers button").get_property("disabled")  # nothing is drawn
    for i, (sign, label) in enumerate([(CROSS, 4), (ARCH, 7)] * 3):
        draw(opened, sign, wobble=0.01 * (i + 1))
        assert "guess" in text(opened, "status") if i == 0 else text(opened, "status").startswith("Predicted: ")
        opened.find_elements("css selector", "#answers button")[label].click()
        assert f"It was {'ABCDEFGHIJ'[label]}." in text(opened, "status")
    for sign, name in ((CROSS, "E"), (ARCH, "H"), (CROSS, "E"), (ARCH, "H")):
        opened.find_element("id", "clear").click()
        draw(opened, sign, wobble=0.055)
        assert text(opened, "status").startswith(f"Predicted: {name}, ")
        assert opened.find_element("css selector", "#answers .most .name").text == name
        assert opened.find_element("id", "attended").text.startswith(f"{name} · ")
        assert len(opened.find_elements("css selector", "#attended canvas")) == 6
        assert opened.find_element("id", "nearest").text.startswith(f"{name} · 0.")
    assert [line.split(" (")[0] for line in text(opened, "scores").splitlines()] == [
        "gpicl-small 4 of 6",
        "1-NN 4 of 6",
    ]


@needs_browser
def test_the_keyboard_draws_and_answers(opened: Any):
    from selenium.webdriver.common.keys import Keys

    press(opened, Keys.ARROW_LEFT * 5, Keys.SPACE, Keys.ARROW_DOWN * 5, Keys.SPACE, Keys.ARROW_RIGHT)
    assert opened.execute_script("return page.strokes.map((stroke) => stroke.length)") == [6]
    press(opened, Keys.SPACE, Keys.ARROW_UP, Keys.BACKSPACE)
    assert len(opened.execute_script("return page.strokes")) == 1
    press(opened, "3")
    assert text(opened, "status").startswith("It was D.") and opened.execute_script("return page.strokes") == []
    press(opened, "3")  # nothing is drawn, so there is nothing to answer
    assert opened.execute_script("return page.episode.examples.length") == 1
    press(opened, Keys.SPACE, Keys.ARROW_DOWN, Keys.DELETE)
    assert opened.execute_script("return page.sight") is None


@needs_browser
def test_a_finger_draws(opened: Any):
    box = opened.find_element("id", "drawing").rect
    for kind, fraction in (("touchStart", 0.3), ("touchMove", 0.5), ("touchMove", 0.7), ("touchEnd", None)):
        place = {} if fraction is None else {"x": box["x"] + fraction * box["width"], "y": box["y"] + 100}
        opened.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place] if place else []})
    assert len(opened.execute_script("return page.strokes")[0]) == 3
    assert "guess" in text(opened, "status")


@needs_browser
def test_labels_have_names_of_the_user(opened: Any):
    opened.find_element("id", "rename").click()
    field = opened.find_elements("css selector", "#answers input")[2]
    field.clear()
    field.send_keys("<b>cat</b> 5")  # digits in a name answer nothing
    opened.find_element("id", "rename").click()
    draw(opened, CROSS)
    press(opened, "2")
    assert text(opened, "status").startswith("It was <b>cat</b> 5.")


@needs_browser
def test_an_episode_plays_stops_and_is_replayed_without_projection(opened: Any):
    from selenium.webdriver.support.wait import WebDriverWait

    opened.find_element("css selector", "[data-dataset=Digits]").click()
    WebDriverWait(opened, 30).until(lambda page: page.execute_script("return page.episode.examples.length") >= 3)
    press(opened, "1")  # the person does not answer for the data
    opened.find_element("id", "stop").click()
    kept = opened.execute_script("return page.episode.examples.map((example) => example.label)")
    opened.find_element("id", "projected").click()
    assert f"of these {len(kept)} examples" in text(opened, "comparison")
    state = "return [page.episode.isProjected, page.episode.examples.map((example) => example.label)]"
    assert opened.execute_script(state) == [False, kept]
    draw(opened, CROSS)
    assert text(opened, "status").startswith("Predicted: ")
    opened.find_element("id", "new").click()
    assert opened.execute_script("return page.episode.examples.length") == 0


@needs_browser
@pytest.mark.parametrize("dataset", ["MNIST", "Digits"])
def test_the_embedded_images_are_learned_with_and_without_projection(dataset: str, opened: Any):
    played = opened.execute_script(
        """
        const { images, labels, moments } = settings.datasets[arguments[0]], pixels = fromBase64(images);
        return [true, false].map((isProjected) => {
          const episode = new Episode(model, 3, isProjected);
          for (const i of new Random(1).permutation(labels.length)) {
            const image = Float32Array.from(pixels.subarray(784 * i, 784 * (i + 1)), (value) => value / 255);
            episode.tell(episode.look(image, moments), labels[i]);
          }
          const { examples, permutation } = episode;
          return [episode.right("predicted"), examples.map((example) => Array.from(example.input)),
                  examples.map((example) => permutation[example.label]),
                  examples.map((example) => permutation[example.neighbour])];
        });
        """,
        dataset,
    )
    for right, inputs, labels, neighbours in played:
        assert len(right) == 60 and sorted(labels) == sorted(list(range(10)) * 6)
        assert np.mean(right[-30:]) > 0.5  # chance is 0.1
        x, y = torch.tensor(inputs)[None], torch.tensor(labels)[None]
        assert make_learner("knn").predict(x, y).argmax(2)[0, 1:].tolist() == neighbours[1:]
    assert played[0][2] == played[1][2] and played[0][1] != played[1][1]  # the same labels, other inputs


@needs_browser
def test_the_task_is_drawn_from_the_seed_as_in_the_environment(opened: Any):
    matrix, same, other, permutations = opened.execute_script(
        """
        const [a, b, c] = [1, 1, 2].map((seed) => new Episode(model, seed, true));
        const [first, again, third] = [a, b, c].map((episode) => Array.from(episode.matrix.subarray(0, 78400)));
        return [first, again, third, [a, b, c].map((episode) => episode.permutation)];
        """
    )
    assert matrix == same and abs(np.corrcoef(matrix, other)[0, 1]) < 0.02
    assert np.mean(matrix) == pytest.approx(0, abs=5e-4) and np.var(matrix) == pytest.approx(1 / 784, rel=0.03)
    assert np.mean(np.abs(matrix) < 784**-0.5) == pytest.approx(0.683, abs=0.01)  # of a normal distribution
    assert permutations[0] == permutations[1] != permutations[2]
    assert all(sorted(permutation) == list(range(10)) for permutation in permutations)


@needs_browser
def test_a_drawing_is_centred_and_scaled_as_mnist_is(opened: Any):
    """Wherever and however large it is drawn, as a dot too."""
    script = "return arguments[0].map((strokes) => Array.from(glyphImage(strokes)))"
    corner = [[(0.1 * x, 0.1 * y) for x, y in stroke] for stroke in ARCH]
    *images, dot = np.array(opened.execute_script(script, [ARCH, corner, CROSS, [[(0.9, 0.9)]]])).reshape(-1, 28, 28)
    np.testing.assert_allclose(images[0], images[1], atol=1e-5)
    for image in images:
        rows, columns = (np.flatnonzero(image.max(axis) > 0.5) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20, 21)
        centre = [(image.sum(axis) * (np.arange(28) + 0.5)).sum() / image.sum() for axis in (0, 1)]
        np.testing.assert_allclose(centre, [14, 14], atol=0.05)
        assert image.min() == 0 and image.max() == 1 and ((image > 0.1) & (image < 0.9)).sum() > 20  # smooth edges
        assert 0.08 < image.mean() < 0.18  # MNIST's mean is 0.13
    assert 4 < dot.sum() < 12 and dot[13:15, 13:15].min() > 0.9


@needs_browser
def test_everything_has_a_name_for_screen_readers(opened: Any):
    draw(opened, CROSS)
    press(opened, "1")
    draw(opened, CROSS)
    found = opened.find_elements("css selector", "button, canvas, select, input, svg[role], ol")
    assert len(found) > 20
    assert [item.get_attribute("outerHTML") for item in found if not item.accessible_name.strip()] == []
    assert opened.find_element("id", "status").get_attribute("aria-live") == "polite"
    names = [item.accessible_name for item in opened.find_elements("css selector", "#answers button, #attended canvas")]
    assert any(name.startswith("It is B (predicted with ") for name in names) and "example 1, B" in names


@needs_browser
def test_the_page_is_dark_where_the_reader_wants_it(opened: Any):
    seen = {}
    for scheme in ("light", "dark"):
        opened.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        style = "const { backgroundColor, color } = getComputedStyle(document.body); return [backgroundColor, color]"
        seen[scheme] = [
            np.mean([int(part) for part in value[4:-1].split(",")]) for value in opened.execute_script(style)
        ]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert seen["light"][0] > 240 and seen["light"][1] < 60 and seen["dark"][0] < 40 and seen["dark"][1] > 220


def test_the_page_is_one_small_file_that_may_ask_for_nothing(small_page: Path):
    page = small_page.read_text(encoding="utf-8")
    assert small_page.stat().st_size < 6e6 and len(half_weights(make_learner("pretrained:gpicl-small"))) < 4e6  # type: ignore[arg-type]
    assert "default-src 'none'" in page and "src=" not in page.replace("default-src=", "") and "href=" not in page


def test_a_name_is_text(tmp_path: Path):
    page = write_playground(small(), tmp_path / "a.html", "</script><i>me</i>").read_text(encoding="utf-8")
    assert "<i>me" not in page and page.count("</script>") == 3


REFUSED = {
    "it is not a plain transformer": lambda: LSTM(784, 10, width=8),
    "not a plain transformer": lambda: KernelTransformer(784, 10, width=8),
    "predicts real values": lambda: small(n_classes=1),
    "it reads 64 features, not 28 × 28 pixels": lambda: small(64),
    "it has tokens='paper'": lambda: small(tokens="paper"),
    "a window or a similarity bias": lambda: small(window=3),
    "or a similarity bias": lambda: small(similarity_bias=1.0),
    r"blocks.0.mlp_in.bias has weights beyond 65,504": lambda: too_large(),
}


def too_large() -> Learner:
    learner = small()
    learner.blocks[0].mlp_in.bias.data[0] = 1e5  # type: ignore[union-attr, index]
    return learner


@pytest.mark.parametrize("reason", REFUSED)
def test_what_the_page_cannot_run_is_refused(reason: str, tmp_path: Path):
    with pytest.raises(ValueError, match=f"cannot run in the playground: .*{reason}|{reason}"):
        write_playground(REFUSED[reason](), tmp_path / "a.html")
    assert not list(tmp_path.iterdir())
