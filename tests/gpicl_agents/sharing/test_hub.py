import json
import pickle
import shutil
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from command_line import check_error
from model_checks import perturbed
from safetensors.torch import load, save
from small_hub import SmallHub, small_hub

import gpicl_agents
from gpicl_agents.diagnosis import meta_training_kwargs
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.sharing.hub import copy_to, from_pretrained, pull, push_to_hub
from gpicl_agents.training.checkpoint import load_learner, save_checkpoint
from gpicl_envs.cli import main
from gpicl_envs.learners.registry import make_learner

huggingface_hub = pytest.importorskip("huggingface_hub", reason="sharing needs the extra hub")
PROBLEM = {"dataset": "Digits", "length": 8, "n_features": 20, "n_classes": 4, "n_tasks": None}
REPO = "user/small"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    """A hub of the test's own, and an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    with small_hub() as made:
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


@pytest.fixture
def learner() -> Transformer:
    return perturbed(Transformer(20, 4, width=8, n_heads=1, input_rank=8, seed=1))


@pytest.fixture
def run(learner: Transformer, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "run", learner, {"step": 3}, {"problem": PROBLEM, "config": {"steps": 3}})
    return tmp_path / "run"


@pytest.fixture
def files(run: Path) -> dict[str, bytes]:
    """What a repository holds: of a checkpoint, without the trainer's part."""
    checkpoint = run / "checkpoints" / "step-00000003"
    return {name: (checkpoint / name).read_bytes() for name in ("config.json", "model.safetensors")}


def with_config(files: dict[str, bytes], **changes: object) -> dict[str, bytes]:
    return files | {"config.json": json.dumps(json.loads(files["config.json"]) | changes).encode()}


def with_weights(files: dict[str, bytes], content: bytes) -> dict[str, bytes]:
    """Other weights, and the sha256 of them: what a hostile hand would change, too."""
    changed = with_config(files, sha256={"model.safetensors": sha256(content).hexdigest()})
    return changed | {"model.safetensors": content}


def test_what_is_pushed_is_pulled_bit_by_bit(hub: SmallHub, run: Path, learner: Transformer, tmp_path: Path):
    assert push_to_hub(run, REPO, episodes=16) == f"{hub.url}/{REPO}"
    made = gpicl_agents.from_pretrained(REPO)
    assert not made.training and made.get_params() == learner.get_params()
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in learner.state_dict().items())
    again = load_learner(copy_to(pull(REPO), tmp_path / "copy"))
    assert torch.equal(again.read_out.weight, learner.read_out.weight)
    pushed = hub.repos[REPO][-1]
    assert sorted(pushed) == [".gitattributes", "README.md", "config.json", "model.safetensors"]
    assert pushed["model.safetensors"] == (run / "checkpoints/step-00000003/model.safetensors").read_bytes()
    assert (tmp_path / "copy" / "MODEL_CARD.md").read_bytes() == pushed["README.md"]
    push_to_hub(tmp_path / "copy", "user/again", episodes=0)
    assert hub.repos["user/again"][-1]["model.safetensors"] == pushed["model.safetensors"]


def test_the_scheme_and_the_commands(hub: SmallHub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["push", str(run), REPO, "--episodes", "0"])
    assert f"{hub.url}/{REPO}: use it as hf:{REPO}." in capsys.readouterr().out
    first = hub.commit_id(REPO, 1)
    main(["pull", f"{REPO}@{first}", "--out", str(tmp_path / "copy")])
    assert "transformer, " in capsys.readouterr().out and (tmp_path / "copy" / "config.json").is_file()
    assert isinstance(make_learner(f"hf:{REPO}@{first}"), Transformer)
    options = "--env GPICL-Digits-v0 --env-kwargs length=6 n_features=20 n_classes=4 --episodes 4".split()
    main(["evaluate", "--learner", f"hf:{REPO}", *options, "--out", str(tmp_path / "records.jsonl")])
    assert "| transformer |" in capsys.readouterr().out.replace("**", "")
    assert meta_training_kwargs(f"hf:{REPO}")["dataset"] == "Digits"


def test_the_files_of_a_revision_stay_those_of_that_revision(hub: SmallHub, files: dict[str, bytes]):
    first = hub.put(REPO, files)
    assert from_pretrained(REPO).seed == 1
    weights = {name: value + 1 for name, value in load(files["model.safetensors"]).items()}
    hub.put(REPO, with_weights(files, save(weights)))
    assert torch.equal(from_pretrained(REPO).read_out.bias, weights["read_out.bias"])
    for made in (from_pretrained(REPO, revision=first), from_pretrained(f"{REPO}@{first}")):
        assert torch.equal(made.read_out.bias, load(files["model.safetensors"])["read_out.bias"])


def test_it_works_offline_once_it_was_pulled(hub: SmallHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch):
    hub.put(REPO, files)
    made = from_pretrained(REPO)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    asked = len(hub.requests)
    assert torch.equal(from_pretrained(REPO).read_out.weight, made.read_out.weight) and len(hub.requests) == asked
    with pytest.raises(ValueError, match="user/other is not in the cache, and http://127.0.0.1:9 cannot be reached"):
        from_pretrained("user/other")


def test_an_interrupted_download_leaves_nothing_half_read(hub: SmallHub, files: dict[str, bytes], monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.put(REPO, files)
    hub.cut_after = 1000
    for _ in range(2):
        with pytest.raises(ValueError, match="user/small: the transfer was interrupted .*: run it again"):
            from_pretrained(REPO)
    with monkeypatch.context() as offline:
        offline.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(ValueError, match="user/small is not in the cache"):
            from_pretrained(REPO)
    hub.cut_after, asked = None, len(hub.requests)
    assert from_pretrained(REPO).seed == 1
    got = [path.rsplit("/", 1)[1] for method, path, _ in hub.requests[asked:] if method == "GET" and "resolve" in path]
    assert got == ["model.safetensors"]  # the config had arrived whole


def test_a_file_that_was_changed_in_the_cache_is_refused(hub: SmallHub, files: dict[str, bytes], tmp_path: Path):
    hub.put(REPO, files)
    path = pull(REPO) / "model.safetensors"
    blob = path.resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 255
    blob.write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.safetensors is truncated, damaged or exchanged"):
        from_pretrained(REPO)
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(b"secret")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"model\.safetensors is truncated, damaged or exchanged"):
        from_pretrained(REPO)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("code from a repository was run",)


def hostile(files: dict[str, bytes]) -> dict[str, tuple[dict[str, bytes], str]]:
    """Name → files of a repository, and what the refusal says."""
    tensors, bomb = load(files["model.safetensors"]), pickle.dumps(Bomb())
    wider = {name: torch.cat([value, value]) for name, value in tensors.items()}
    broken = {name: value.fill_(torch.nan) for name, value in load(files["model.safetensors"]).items()}
    config = json.loads(files["config.json"])
    return {
        "a pickle beside": (files | {"trainer.pt": bomb}, "user/small holds 'trainer.pt', which is not part"),
        "a pickle for weights": (files | {"pytorch_model.bin": bomb}, "holds 'pytorch_model.bin'"),
        "a pickle named as weights": (with_weights(files, bomb), r"model\.safetensors is not a safetensors file"),
        "code": (files | {"modeling.py": b"import os"}, r"holds 'modeling\.py'"),
        "a way out of the folder": (files | {"../../evil.json": b"{}"}, r"holds '\.\./\.\./evil\.json'"),
        "another sha256": (files | {"model.safetensors": save(wider)}, "truncated, damaged or exchanged"),
        "no sha256": (with_config(files, sha256={}), "truncated, damaged or exchanged"),
        "an extra state": (
            with_config(files, sha256=config["sha256"] | {"extra_state.pt": "0"}),
            r"extra_state\.pt is missing",
        ),
        "a class that is unknown": (with_config(files, learner="os:system"), "Unknown learner in a checkpoint"),
        "arguments for a giant": (
            with_config(files, arguments=config["arguments"] | {"width": 10**6}),
            "do not make a .*Transformer: its arguments make a model of more than",
        ),
        "an expert with code": (
            with_config(files, learner="expert-transformer", arguments={"experts": ["os:system"]}),
            "Unknown expert 'os:system'",
        ),
        "an oversized header": (
            with_weights(files, (1 << 62).to_bytes(8, "little") + b"{}"),
            "is not a safetensors file",
        ),
        "other shapes": (with_weights(files, save(wider)), "holds weights of another model"),
        "no finite numbers": (with_weights(files, save(broken)), "holds numbers that are not finite"),
        "a link": (files | {"model.safetensors": b"../../../etc/passwd"}, "truncated, damaged or exchanged"),
        "no weights": ({"config.json": files["config.json"]}, r"holds no model\.safetensors"),
        "a config that is none": (files | {"config.json": b"[" * 100_000}, r"config\.json is not JSON"),
    }


HOSTILE = (
    *("a pickle beside", "a pickle for weights", "a pickle named as weights", "code", "a way out of the folder"),
    *("another sha256", "no sha256", "an extra state", "a class that is unknown", "arguments for a giant"),
    *("an expert with code", "an oversized header", "other shapes", "no finite numbers", "a link", "no weights"),
    "a config that is none",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_repository_is_refused_by_name(name: str, hub: SmallHub, files: dict[str, bytes], tmp_path: Path):
    repositories = hostile(files)
    assert set(repositories) == set(HOSTILE)
    content, message = repositories[name]
    hub.put(REPO, content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=message) as refusal:
        from_pretrained(REPO)
    assert "\n" not in str(refusal.value)
    assert set(tmp_path.iterdir()) <= {*before, tmp_path / "cache"} and not list(tmp_path.rglob("evil*"))


def test_what_claims_to_be_huge_is_not_downloaded(hub: SmallHub, files: dict[str, bytes]):
    hub.put(REPO, files)
    hub.sizes = {"config.json": 10**12}
    with pytest.raises(ValueError, match=r"user/small: config\.json has 1,000,000,000,000 bytes, above 1,048,576"):
        from_pretrained(REPO)
    assert not any("resolve" in path for _, path, _ in hub.requests)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pull user/nothing", "There is no user/nothing at"),
        ("pull user/small@nowhere", "user/small has no revision 'nowhere': give a branch, a tag or a commit"),
        ("pull small", "'small' is not the name of a repository: give USER/NAME"),
        ("pull ../../etc/passwd", "'../../etc/passwd' is not the name of a repository"),
        ("push {tmp}/none user/small", "holds no checkpoint"),
        ("push {tmp}/run small", "'small' is not the name of a repository"),
        ("push {tmp}/run user/small --episodes -1", "episodes=-1 is not allowed"),
        ("pull user/small --out {tmp}/run", "run exists already: give a new folder"),
    ],
)
def test_bad_input_is_one_line(
    line: str, message: str, hub: SmallHub, run: Path, files: dict[str, bytes], tmp_path: Path, capsys
):
    hub.put(REPO, files)
    check_error(line.format(tmp=tmp_path), message, capsys)


def test_a_push_needs_a_login(hub: SmallHub, run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    with pytest.raises(ValueError, match=r"user/small: .* answered 401 .*: log in \(`hf auth login`, or HF_TOKEN\)"):
        push_to_hub(run, REPO, episodes=0)
    assert REPO not in hub.repos


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, run: Path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: from_pretrained(REPO), lambda: push_to_hub(run, REPO)):
        with pytest.raises(ValueError, match=r"needs the package huggingface_hub: pip install 'gpicl-envs\[hub\]'"):
            call()


def test_no_home_folder_is_pushed(hub: SmallHub, learner: Transformer, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    problem = PROBLEM | {"dataset": "/home/someone/private.npz"}
    save_checkpoint(tmp_path / "mine", learner, {"step": 1}, {"problem": problem})
    push_to_hub(tmp_path / "mine", REPO, episodes=0)
    assert all(b"/home/someone" not in content for content in hub.repos[REPO][-1].values())
    assert b"~/private.npz" in hub.repos[REPO][-1]["README.md"]


def test_a_state_that_is_no_safetensors_is_not_pushed(hub: SmallHub, learner: Transformer, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Transformer, "get_extra_state", lambda self: {"seen": (1, 2)})
    monkeypatch.setattr(Transformer, "set_extra_state", lambda self, state: None)
    save_checkpoint(tmp_path / "run", learner, {"step": 3}, {})
    with pytest.raises(ValueError, match=r"extra_state\.pt is part of this learner, but only safetensors and JSON"):
        push_to_hub(tmp_path / "run", REPO, episodes=0)
    shutil.rmtree(tmp_path / "run")
