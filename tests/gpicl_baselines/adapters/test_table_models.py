"""Foundation models for tables, of other packages, read as users read them: from a checkpoint file, here of a tiny one.

Their weights are not in these packages; a randomly initialised model in the same format of file takes their place.
"""

from pathlib import Path

import pytest
import torch

from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.suites.definitions import find_suite
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.real_tables import RealTableDistribution

TASKS = RealTableDistribution("wine", split="test", length=41, queries=4)


def tiny_tabicl(folder: Path) -> str:
    pytest.importorskip("tabicl", reason="the package tabicl is not installed")
    from tabicl._model.tabicl import TabICL

    config = {"max_classes": 10, "embed_dim": 16, "zero_init": False}
    config |= {f"{part}_num_blocks": 1 for part in ("col", "row", "icl")}
    config |= {f"{part}_nhead": 2 for part in ("col", "row", "icl")} | {"col_num_inds": 4, "row_num_cls": 2}
    torch.manual_seed(0)
    path = folder / "tiny.ckpt"
    torch.save({"config": config, "state_dict": TabICL(**config).state_dict()}, path)
    return f"sklearn:tabicl:TabICLClassifier,model_path={path},n_estimators=2,device=cpu"


def tiny_tabpfn(folder: Path) -> str:
    pytest.importorskip("tabpfn", reason="the package tabpfn is not installed")
    from tabpfn.architectures import tabpfn_v2
    from tabpfn.checkpoint import save_as_safetensors

    settings = {"emsize": 24, "nlayers": 1, "nhead": 2, "max_num_classes": 10, "num_buckets": 10}
    config, _ = tabpfn_v2.parse_config(settings)
    torch.manual_seed(0)
    model = tabpfn_v2.get_architecture(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    path = folder / "tiny.safetensors"
    saved = {"config": settings, "architecture_name": "tabpfn_v2", "state_dict": model.state_dict()}
    save_as_safetensors(saved, path)
    return f"sklearn:tabpfn:TabPFNClassifier,model_path={path},n_estimators=2,device=cpu"


MODELS = pytest.mark.parametrize("tiny", [tiny_tabicl, tiny_tabpfn])


@MODELS
def test_a_model_of_a_checkpoint_file_is_a_learner_that_reads_the_table_once(tiny, tmp_path: Path):
    """The queries of a table, asked together, are predicted as each alone; the columns that are 0 are not shown."""
    learner = LearnerSpec.parse(tiny(tmp_path)).make_for(TASKS, first_fit=40)
    episodes, fitted = TASKS.sample(4, seed=3), []
    fit = learner._fit
    learner._fit = lambda x, y: fitted.append(x.shape) or fit(x, y)
    together = learner.predict(episodes.x, episodes.y)
    assert fitted == [(40, 784)]
    alone = torch.cat([learner.predict(episodes.x[b : b + 1], episodes.y[b : b + 1]) for b in range(4)])
    assert torch.allclose(together[:, -1], alone[:, -1], atol=2e-3)  # their float32, with random weights
    assert together[:, -1].std(0).max() > 1e-4  # it tells the queries apart
    assert len(fitted) == 5


@MODELS
def test_it_passes_the_guard_of_an_evaluation(tiny, tmp_path: Path):
    learner = LearnerSpec.parse(tiny(tmp_path)).make_for(TASKS, first_fit=40)
    curve = evaluate(learner, TASKS, episodes=8, final_positions=1, batch_size=4)
    assert curve.learner in ("TabICLClassifier", "TabPFNClassifier") and 0 <= curve.final.mean <= 1


def test_where_the_last_position_alone_is_scored_a_suite_fits_before_that_alone():
    cell = find_suite("gpicl-tables-v1").cell("iris")
    assert cell.learner_defaults == {"first_fit": 100}
    tasks = make_tasks(**cell.arguments)
    chosen, given = (
        LearnerSpec.parse(text).make_for(tasks, **cell.learner_defaults)
        for text in ("sklearn:GaussianNB", "sklearn:GaussianNB,first_fit=7")
    )
    assert chosen.first_fit == 100 and given.first_fit == 7
    assert find_suite("gpicl-mini").cell("Digits").learner_defaults == {}
