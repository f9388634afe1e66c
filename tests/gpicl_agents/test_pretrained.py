from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from model_checks import perturbed

import gpicl_agents
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.pretrained import MOST_BYTES, export, load_pretrained, pretrained_names
from gpicl_agents.training.checkpoint import save_checkpoint
from gpicl_envs.cli import main
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import SCHEMES_GROUP, LearnerSpec, make_learner
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution

SHIPPED = pretrained_names()  # before a test has its own box
FOLDER_OF_PACKAGE = Path(gpicl_agents.__file__).parent / "pretrained"


@pytest.fixture
def learner() -> Transformer:
    made = Transformer(20, 4, width=8, n_heads=1, input_rank=8)
    made.read_out.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    return made


@pytest.fixture
def run(learner: Transformer, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "run", learner, {"step": 3, "optimizer": {}}, {"problem": {"dataset": "MNIST"}})
    return tmp_path / "run"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of the test's own for pretrained learners."""
    monkeypatch.setattr("gpicl_agents.pretrained.FOLDER", tmp_path / "box")
    return tmp_path / "box"


def test_a_run_goes_into_the_box_and_comes_out_the_same(learner: Transformer, run: Path, box: Path):
    folder = export(run, "small-1", "# Small\n\nTrained on nothing.")
    assert folder == box / "small-1" and pretrained_names() == ("small-1",)
    assert sorted(path.name for path in folder.iterdir()) == ["MODEL_CARD.md", "config.json", "model.safetensors"]
    again = load_pretrained("small-1")
    x, y = torch.randn(2, 5, 20), torch.randint(4, (2, 5))
    assert not again.training and torch.equal(again.predict(x, y), learner.eval().predict(x, y))
    assert gpicl_agents.load_pretrained is load_pretrained


def test_another_export_replaces_the_first(learner: Transformer, run: Path, box: Path):
    export(run, "small", "The first.")
    learner.read_out.bias.data += 1
    save_checkpoint(run, learner, {"step": 4}, {})
    export(run, "small", "The second.")
    assert load_pretrained("small").read_out.bias[0] == 1
    assert (box / "small" / "MODEL_CARD.md").read_text() == "The second.\n"


def test_a_name_that_is_none_lists_those_that_are(run: Path, box: Path):
    export(run, "small", "A card.")
    for name in ("smal", "../run", ""):
        with pytest.raises(ValueError, match=rf"Unknown pretrained learner '{name}'.*Valid: small\."):
            load_pretrained(name)


def test_weights_are_checked_before_they_are_read(run: Path, box: Path, monkeypatch: pytest.MonkeyPatch):
    path = export(run, "small", "A card.") / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(
        "gpicl_agents.training.checkpoint.load_file", lambda *a, **k: pytest.fail("read before it was checked")
    )
    with pytest.raises(ValueError, match=r"model\.safetensors is truncated, damaged or exchanged: its sha256 is"):
        load_pretrained("small")


@pytest.mark.parametrize(
    ("name", "card", "message"),
    [
        ("../small", "A card.", "name='../small' is not allowed"),
        ("Small", "A card.", "name='Small' is not allowed"),
        ("small", " \n", "The model card is empty"),
    ],
)
def test_what_is_no_name_or_card_is_refused(run: Path, box: Path, name: str, card: str, message: str):
    with pytest.raises(ValueError, match=message):
        export(run, name, card)
    assert not box.exists()


def test_what_is_too_large_for_the_package_is_refused(run: Path, box: Path, tmp_path: Path):
    large = Transformer(784, 10, width=1024, n_layers=1)
    save_checkpoint(tmp_path / "large", large, {"step": 1}, {})
    with pytest.raises(ValueError, match=rf"bytes in half precision, above {MOST_BYTES:,}: train"):
        export(tmp_path / "large", "large", "A card.")


def test_a_larger_learner_is_kept_in_half_precision(box: Path, tmp_path: Path):
    learner = perturbed(Transformer(784, 10, width=512, n_layers=1))
    checkpoint = save_checkpoint(tmp_path / "large", learner, {"step": 1}, {})
    folder = export(tmp_path / "large", "large", "A card.")
    sizes = [(place / "model.safetensors").stat().st_size for place in (checkpoint, folder)]
    assert sizes[1] < 0.51 * sizes[0]
    episodes = TaskDistribution("Digits", length=8).sample(4)
    kept = load_pretrained("large")
    assert all(parameter.dtype == torch.float32 for parameter in kept.parameters())
    with torch.no_grad():
        exact, rounded = (made.predict(episodes.x, episodes.y) for made in (learner, kept))
    assert not torch.equal(exact, rounded) and torch.allclose(exact, rounded, atol=0.05)


@pytest.mark.parametrize("name", pretrained_names())
def test_every_learner_in_the_box_fits_and_passes_the_check(name: str):
    learner = load_pretrained(name)
    check_learner(learner)
    folder = Path(gpicl_agents.__file__).parent / "pretrained" / name
    assert (folder / "model.safetensors").stat().st_size <= MOST_BYTES and (folder / "MODEL_CARD.md").stat().st_size


def test_the_command_line_finds_the_box(run: Path, box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    export(run, "small", "A card.")
    assert "pretrained" in entry_points(group=SCHEMES_GROUP).names
    small = TaskDistribution("Digits", n_features=30, n_classes=3)
    sizes = {name: LearnerSpec.parse(name).make_for(small).n_features for name in ("pretrained:small", "knn")}
    assert sizes == {"pretrained:small": 20, "knn": 30}
    assert isinstance(make_learner("pretrained:small"), Transformer)
    options = "--env GPICL-Digits-v0 --env-kwargs length=6 n_features=20 n_classes=4 --episodes 4".split()
    main(["evaluate", "--learner", "pretrained:small", "knn", *options, "--out", str(tmp_path / "records.jsonl")])
    assert "| transformer |" in capsys.readouterr().out.replace("**", "")
    with pytest.raises(SystemExit):
        main(["evaluate", "--learner", "pretrained:small", "--env", "GPICL-Digits-v0", "--out", str(tmp_path / "r")])
    assert "is made for n_features=20, but the tasks have 784" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "gpicl-linear"])
def test_a_learner_in_the_box_learns_on_data_that_it_has_never_seen(name: str):
    """Digits: from chance at the first example to well above 80 % at the last, and nothing above MOST_BYTES."""
    tasks = TaskDistribution("Digits", split="test")
    curve = evaluate(load_pretrained(name), tasks, episodes=16, protocol="unseen-dataset")
    assert curve.scores[:, 0].mean() < 0.35 and curve.final.mean > 0.85
    card = (FOLDER_OF_PACKAGE / name / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert curve.learner in card and "Cost:" in card
    assert (FOLDER_OF_PACKAGE / name / "model.safetensors").stat().st_size <= MOST_BYTES


def test_the_learner_of_functions_nears_least_squares_on_functions_that_it_has_never_seen():
    tasks = FunctionDistribution(length=41, split="test")
    curve = evaluate(load_pretrained("gpicl-linear"), tasks, episodes=64)
    assert curve.distances["least-squares"].mean() / tasks.target_variance < 0.04
    card = (FOLDER_OF_PACKAGE / "gpicl-linear" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert curve.learner in card and "Cost:" in card


def test_the_box_holds_what_its_documents_say():
    assert SHIPPED == (
        *("gpicl-experts", "gpicl-general", "gpicl-linear", "gpicl-medium", "gpicl-small", "gpicl-small-kernel"),
    )


def test_a_state_beside_the_weights_goes_with_them(learner: Transformer, box: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Transformer, "get_extra_state", lambda self: {"seen": (1, 2)})
    monkeypatch.setattr(Transformer, "set_extra_state", lambda self, state: setattr(self, "seen", state["seen"]))
    save_checkpoint(tmp_path / "run", learner, {"step": 3}, {})
    export(tmp_path / "run", "small", "A card.")
    assert load_pretrained("small").seen == (1, 2)
