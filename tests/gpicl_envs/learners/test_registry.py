from pathlib import Path

import pytest
import torch
from small_records import scored_record

from gpicl_agents.training.checkpoint import save_checkpoint
from gpicl_envs import Learner, TaskDistribution
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import (
    LearnerSpec,
    learner_targets,
    make_learner,
    parse_assignments,
    register_learner,
)

SMALL = TaskDistribution("Digits", n_features=12, n_classes=3, length=8)


@pytest.mark.parametrize(
    ("text", "kwargs"),
    [
        ("knn,k=(1, (2, 3)),metric=[4, {5: (6, 7)}]", {"k": (1, (2, 3)), "metric": [4, {5: (6, 7)}]}),
        ("knn,k=a),metric=b", {"k": "a)", "metric": "b"}),  # brackets that do not match are letters
    ],
)
def test_brackets_may_hold_commas_and_brackets(text: str, kwargs: dict[str, object]):
    assert LearnerSpec.parse(text).kwargs == kwargs


@pytest.mark.parametrize("name", ["Parrot", "Frequent"])
def test_a_class_of_somebody_else_is_a_learner(plug_in: str, name: str):
    learner = make_learner(f"{plug_in}:{name}", n_features=5, n_classes=3)
    check_learner(learner)
    assert learner.name == name and learner.n_parameters == 0


def test_registered_names_are_found(plug_in: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gpicl_envs.learners.registry._registered", {})  # what this test registers goes with it
    register_learner("parrot", f"{plug_in}:Parrot")
    assert make_learner("parrot", volume=3.0).get_params() == {"n_features": 784, "n_classes": 10, "volume": 3.0}
    register_learner("parrot", f"{plug_in}:Parrot")  # the same again is no change
    with pytest.raises(ValueError, match="registered already, as somebodys_agents:Parrot"):
        register_learner("parrot", f"{plug_in}:Frequent")


@pytest.mark.parametrize("name", learner_targets())
def test_every_registered_learner_passes_the_check(name: str):
    learner = make_learner(name, n_features=20, n_classes=1 if name in ("least-squares", "dmmse") else 4)
    if isinstance(learner, torch.nn.Module):  # its read-out starts at zero, which would hide a leak
        generator = torch.Generator().manual_seed(0)
        for parameter in learner.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    check_learner(learner)


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        ("knnn", {}, "Unknown learner 'knnn'. Did you mean 'knn'.*transformer"),
        ("no_such_module:Agent", {}, "no module 'no_such_module' on the import path"),
        (
            "gpicl_baselines.gradient.sgd:SGD",
            {},
            "Unknown class of module gpicl_baselines.gradient.sgd 'SGD'. Did you mean 'OnlineSGD'",
        ),
        (
            "knn",
            {"kk": 1},
            "unexpected keyword argument 'kk'.*Valid: k, metric, n_classes, n_features",
        ),
        ("knn", {"k": 0}, "k=0 is not allowed"),
        ("knn", {"metric": "cosin"}, "Did you mean 'cosine'"),
        ("centroid", {"n_classes": 1}, "n_classes=1"),
        ("gpicl_baselines:", {}, "Unknown learner 'gpicl_baselines:'.*Or give module:Class"),
        ("json:loads", {}, "loads needs s: give values"),
        ("json:JSONDecoder", {}, "is a JSONDecoder, not a gpicl_envs.Learner: derive .*sklearn:module:Class.*act:"),
        ("os:path", {}, "Unknown class of module os 'path'"),
        ("math:pi", {}, "Unknown class of module math 'pi'"),
        ("builtins:int", {}, "int is not a class in Python"),
        ("..:x", {}, "'..:x' does not name a class: give module:Class"),
        ("a b:c", {}, "'a b:c' does not name a class: give module:Class"),
        (
            "pretrained:gpicl-small,k=3",
            {},
            "pretrained:gpicl-small got an unexpected keyword argument 'k'. It takes none",
        ),
        ("pretrained:gpicl-small,name=x", {}, "unexpected keyword argument 'name'"),
        ("knn\n", {}, "has characters that cannot be printed"),
        (None, {}, "None describes no learner: give text"),
        (3, {}, "3 describes no learner: give text"),
        ("ridge", {"regularization": 0}, "regularization=0"),
    ],
    ids=str,
)
def test_bad_descriptions_say_what_is_allowed(spec: str, arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make_learner(spec, **arguments)


def test_assignments_are_python_values_or_text():
    spec = LearnerSpec.parse("m:C,size=(8, 8),k=[1,2],f=3")
    assert (spec.target, spec.kwargs) == ("m:C", {"size": (8, 8), "k": [1, 2], "f": 3})
    assert parse_assignments(["a=1", "b=0.5", "c=None", "d=paper", "e=True"]) == {
        "a": 1,
        "b": 0.5,
        "c": None,
        "d": "paper",
        "e": True,
    }


@pytest.mark.parametrize(
    ("text", "target", "scheme", "kwargs"),
    [
        ("knn", "knn", "", {}),
        ("knn,metric=euclidean,k=3", "knn", "", {"metric": "euclidean", "k": 3}),
        ("my_agent:Agent,width=8", "my_agent:Agent", "", {"width": 8}),
        ("sklearn:RandomForestClassifier,refit_every=10", "RandomForestClassifier", "sklearn", {"refit_every": 10}),
        ("act:my_agent:Agent", "my_agent:Agent", "act", {}),
        ("pretrained:gpicl-small", "gpicl-small", "pretrained", {}),
        ("my_agent:Agent@runs/mine", "runs/mine", "checkpoint", {"learner": "my_agent:Agent"}),
        ("knn@runs/a", "runs/a", "checkpoint", {"learner": "gpicl_baselines.classical.neighbors:KNearestNeighbors"}),
        ("oracle", "oracle", "", {}),
        ("no such thing", "no such thing", "", {}),
    ],
    ids=str,
)
def test_a_description_is_read_without_an_import(text: str, target: str, scheme: str, kwargs: dict):
    spec = LearnerSpec.parse(text)
    assert (spec.text, spec.target, spec.scheme, spec.kwargs) == (text, target, scheme, kwargs)
    assert spec.name == text.split(",")[0]


def test_a_folder_is_a_checkpoint_even_with_a_comma_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("run", "run,k=3", "knn"):
        (tmp_path / name).mkdir()
    assert LearnerSpec.parse("run").scheme == LearnerSpec.parse("run,k=3").scheme == "checkpoint"
    assert LearnerSpec.parse("run,k=4").kwargs == {"k": 4} and LearnerSpec.parse("run,k=3").kwargs == {}
    assert LearnerSpec.parse("knn").scheme == ""  # registered names go before folders


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the checkpoint of an LSTM of width 8 in `lstm`."""
    monkeypatch.chdir(tmp_path)
    learner = make_learner("lstm", n_features=12, n_classes=3, width=8)
    return save_checkpoint("run", learner, {"step": 1}, {}).rename("lstm")


def test_a_name_that_could_be_a_checkpoint_is_refused_until_it_is_explicit(trained: Path):
    with pytest.raises(ValueError, match=r"could be .*: for the checkpoint, give ./lstm; for the registered.*:LSTM\."):
        make_learner("lstm")
    assert make_learner("./lstm").width == make_learner("checkpoint:lstm").width == 8
    assert make_learner("gpicl_agents.models.lstm:LSTM").width == make_learner("lstm,n_classes=3").width != 8
    (Path("knn")).mkdir()  # a folder of something else
    assert make_learner("knn").name == "1-nn-cosine"


@pytest.mark.parametrize(
    "folder", ["lr=0.1", "a,b", "a,k=3", "x:y", "a@b", "sb3:a", "(a,b", "json:loads", " ", "knn,k=3"]
)
@pytest.mark.parametrize("form", ["{}", "./{}", "checkpoint:{}", "lstm@{}", "gpicl_agents.models.lstm:LSTM@{}"])
def test_a_folder_of_any_name_can_be_evaluated(trained: Path, folder: str, form: str):
    trained.rename(folder)
    assert make_learner(form.format(folder)).width == 8
    assert LearnerSpec.parse(form.format(folder)).make_for(SMALL).width == 8


@pytest.mark.parametrize("text", ["./none", "runs/lr=0.1,k=3", "runs/a,b", "checkpoint:none", "lstm@none", "lstm@"])
def test_a_folder_that_is_missing_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="(?i)there is no folder '"):
        make_learner(text)


@pytest.mark.parametrize("name", ["", "a,b", "a=b", "a:b", "a@b", "a/b"])
def test_a_name_that_no_text_could_give_is_not_registered(name: str):
    with pytest.raises(ValueError, match="is not allowed: give a name without"):
        register_learner(name, "my_agent:Agent")


def test_a_learner_can_be_made_for_tasks():
    made = make_learner("knn,k=3", tasks=SMALL)
    assert (made.n_features, made.n_classes, made.k) == (12, 3, 3)


def test_keyword_arguments_replace_those_in_the_text_and_defaults_do_not():
    assert make_learner("knn,k=3").k == 3 and make_learner("knn,k=3", k=5).k == 5
    spec = LearnerSpec.parse("knn,k=3", metric="euclidean")
    made = spec.make_for(SMALL, k=7, metric="cosine", no_such_argument=1)
    assert (made.k, made.metric) == (3, "euclidean")
    assert LearnerSpec.parse("transformer").make_for(SMALL, seed=4).seed == 4


SIZES = """
from gpicl_envs import Learner

class OneSize(Learner):
    def __init__(self):
        super().__init__(5, 2)
    def step(self, state, x, y_previous):
        return y_previous, state

class PassesOn(OneSize):
    def __init__(self, **arguments):
        Learner.__init__(self, **arguments)
"""


def test_a_learner_fits_the_tasks_unless_its_class_has_its_own_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sizes.py").write_text(SIZES)
    monkeypatch.syspath_prepend(tmp_path)
    texts = "knn", "sizes:PassesOn", "sizes:OneSize", "sklearn:GaussianNB"
    made = [LearnerSpec.parse(text).make_for(SMALL, seed=0) for text in texts]
    assert [(learner.n_features, learner.n_classes) for learner in made] == [(12, 3), (12, 3), (5, 2), (12, 3)]


def test_the_oracle_is_made_for_tasks_alone():
    assert LearnerSpec.parse("oracle").make_for(SMALL).name == "oracle"
    with pytest.raises(ValueError, match="Unknown learner 'oracle'"):
        make_learner("oracle")


@pytest.mark.parametrize("form", ["{}", "checkpoint:{}", "lstm@{}", "gpicl_agents.models.lstm:LSTM@{}"])
@pytest.mark.parametrize("folder", ["lstm", "lr=0.1,k=3"])
def test_a_path_in_the_home_folder_is_read_back_from_a_record(
    trained: Path, monkeypatch: pytest.MonkeyPatch, folder: str, form: str
):
    """A record has `~` in place of the home folder; it names the same learner, with the same fingerprint."""
    home = trained.parent.resolve()
    trained.rename(home / folder)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir("/")
    given, kept = (LearnerSpec.parse(form.format(path)) for path in (f"{home}/{folder}", f"~/{folder}"))
    assert scored_record(spec=given.text).spec == kept.text
    made = kept.make()
    assert made.width == 8
    assert kept.fingerprint(made) == given.fingerprint(given.make())
    assert (kept.target, kept.name, kept.kwargs) == (given.target, given.name, given.kwargs)


def test_arguments_may_be_paths_in_the_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    spec = LearnerSpec.parse("my:Agent,path=~/a,paths=['~/a', '~/b'],metric=~")
    assert spec.kwargs == {
        "path": "/home/somebody/a",
        "paths": ["/home/somebody/a", "/home/somebody/b"],
        "metric": "~",
    }


def test_a_secret_in_the_text_is_no_part_of_the_fingerprint():
    """What is published must not depend on it: a short one could be guessed."""
    one, other = (LearnerSpec.parse(f"knn,password={word}") for word in ("one", "other"))
    assert one.fingerprint(make_learner("knn")) == other.fingerprint(make_learner("knn"))
    assert one.kwargs == {"password": "one"}


class Remembers(torch.nn.Module, Learner):
    """A learner whose module keeps more than tensors in a checkpoint."""

    def __init__(self, memory: object):
        torch.nn.Module.__init__(self)
        Learner.__init__(self, 4, 2)
        self.memory = memory

    def get_extra_state(self):
        return {"memory": self.memory}

    def predict(self, x, y):
        return torch.zeros(*y.shape, 2)


@pytest.mark.parametrize("values", [("a", "b"), (torch.zeros(5000), torch.eye(5000)[2500])], ids=["text", "tensor"])
def test_the_extra_state_of_a_module_is_part_of_the_fingerprint(values: tuple):
    """The repr of a long tensor leaves out its middle."""
    spec = LearnerSpec.parse("knn")
    one, same, other = (spec.fingerprint(Remembers(memory)) for memory in (values[0], values[0], values[1]))
    assert one == same != other
