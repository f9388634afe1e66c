import pytest
import torch
from trial_records import query, record

from gpicl_agents.experiments import burstiness
from gpicl_agents.experiments.burstiness import BURSTINESS, FREQUENT, IN_CONTEXT, IN_WEIGHTS, LONG, ZIPF
from gpicl_agents.experiments.engine.trial import Stage, Training, TrialRecord
from gpicl_envs.tasks import make_tasks

TRIALS = burstiness.trials("small")


def run(series: str, burst: int, zipf: float, seed: int, scores: tuple[float, float, float], **fields) -> TrialRecord:
    results = {name: query(score) for name, score in zip(burstiness.SCORES, scores, strict=True)}
    return record({"series": series, "burstiness": burst, "zipf": zipf, "seed": seed}, results, **fields)


@pytest.mark.parametrize("series", [BURSTINESS, ZIPF, LONG])
def test_the_scores_are_of_novel_classes_in_context_and_of_known_ones_out_of_it(series: str):
    trial = next(trial for trial in TRIALS if trial.axes["series"] == series)
    count = trial.env_kwargs["active_classes"]
    trained = make_tasks(**trial.env_kwargs).sample(64)
    shown = {each.name: make_tasks(**trial.env_kwargs | each.env_kwargs) for each in trial.evaluations[:3]}
    classes = {name: _classes(tasks, tasks.sample(64)) for name, tasks in shown.items()}
    known = _classes(make_tasks(**trial.env_kwargs), trained)
    assert known.max() < count <= classes[IN_CONTEXT].min() and classes[IN_WEIGHTS].max() < count
    assert classes[FREQUENT].max() < burstiness.COMMON
    context, asked = classes[IN_CONTEXT][:, :-1], classes[IN_CONTEXT][:, -1:]
    assert ((context == asked).sum(1) == 2).all()  # the query's class occurs twice, as do the three others
    for name in (IN_WEIGHTS, FREQUENT):
        assert (classes[name][:, :-1] != classes[name][:, -1:]).all()
        assert torch.equal(shown[name].sample(64).y, classes[name] % burstiness.N_LABELS)  # as in training
    assert torch.equal(trained.y, known % burstiness.N_LABELS)
    novel = shown[IN_CONTEXT].sample(64)
    assert not torch.equal(novel.y, classes[IN_CONTEXT] % burstiness.N_LABELS)  # labels of their own


def _classes(tasks, episodes) -> torch.Tensor:
    """(B, N) base classes."""
    return torch.from_numpy(tasks.dataset.y[tasks.split])[episodes.index]


def test_every_value_has_its_seeds_and_long_runs_come_first():
    assert [trial.axes["series"] for trial in TRIALS[:3]] == [LONG] * 3
    for series, (_, values, seeds, steps, _) in burstiness.SERIES["small"].items():
        own = [trial for trial in TRIALS if trial.axes["series"] == series]
        assert len(own) == len(values) * seeds and all(trial.train_kwargs["steps"] == steps for trial in own)
        assert {(trial.axes["burstiness"], trial.axes["zipf"]) for trial in own} == set(values)


def test_findings_put_no_zipf_law_beside_the_exponents_and_name_the_best_step():
    stages = [
        Stage(step, {IN_CONTEXT: [0, c], IN_WEIGHTS: [0, w]}) for step, c, w in ((200, 0.8, 0.1), (400, 0.3, 0.9))
    ]
    long = Training(steps=400, history=stages)
    lines = burstiness.findings(
        [
            run(LONG, 4, 0.0, 0, (0.25, 0.9, 0.9), training=long),
            run(BURSTINESS, 1, 0.0, 0, (0.1, 0.5, 0.5)),
            run(BURSTINESS, 4, 0.0, 0, (0.9, 0.0, 0.0)),
            run(BURSTINESS, 4, 0.0, 1, (0.8, 0.0, 0.0)),
            run(ZIPF, 4, 1.0, 0, (0.7, 0.2, 0.6)),
        ]
    )
    assert lines[0].startswith("burstiness 1, per seed: in-context 10.0 % [10.0, 10.0]; in-weights 50.0 %")
    assert lines[1].startswith("burstiness 4, per seed: in-context 90.0 % [90.0, 90.0], 80.0 % [80.0, 80.0]; in-")
    assert lines[2].startswith("Zipf exponent 0, per seed: in-context 90.0 %")
    assert "Zipf exponent 1, per seed: in-context 70.0 % [70.0, 70.0]; in-weights 20.0 %" in lines[3]
    assert lines[4] == (
        "Long training, seed 0: the in-context score is highest at step 200 (in-context 80 % and in-weights 10 %; 512 "
        "episodes); after 400 steps in-context 25.0 % [25.0, 25.0] and in-weights 90.0 % [90.0, 90.0]."
    )


def test_the_result_has_every_score():
    found = run(BURSTINESS, 4, 0.0, 0, (0.9, 0.1, 0.2))
    assert burstiness.result(found).startswith("in-context 90.0 % [90.0, 90.0], in-weights 10.0 %")


def test_figures_are_drawn_though_a_series_is_missing(tmp_path):
    stages = [Stage(step, {IN_CONTEXT: [0, 0.5], IN_WEIGHTS: [0, 0.5]}) for step in (200, 400)]
    for records in (
        [run(LONG, 4, 0.0, 0, (0.25, 0.9, 0.9), training=Training(history=stages))],
        [run(ZIPF, 4, 1.0, 0, (0.7, 0.2, 0.6))],
    ):
        assert burstiness.draw(records, tmp_path) == ["burstiness.png"]
        assert (tmp_path / "burstiness.png").stat().st_size > 10_000
