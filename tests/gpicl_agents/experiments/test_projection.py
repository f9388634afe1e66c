"""The experiment with random projections."""

from pathlib import Path

from trial_records import record, result

from gpicl_agents.experiments import projection
from gpicl_agents.experiments.engine.experiment import find_experiment
from gpicl_agents.experiments.engine.policy_trial import PolicyTrial
from gpicl_envs.evaluation.protocol import SEEN_TASK
from gpicl_envs.evaluation.records import Estimate


def records():
    found = []
    for trained_on in ("CartPole", "MDPs", projection.NOT_TRAINED):
        for number in (16, None):
            own = 0.9 if trained_on != projection.NOT_TRAINED else 0.3
            results = {name: result(0.2, own if name == trained_on else 0.25) for name in projection.ENVIRONMENTS}
            if trained_on != projection.NOT_TRAINED or number is None:
                found.append(record({"trained on": trained_on, "n_projections": number, "seed": 0}, results))
    return found


def test_every_number_of_projections_is_tried_on_both_environments_and_one_policy_is_not_trained():
    trials = find_experiment("projection").trials("small")
    assert len({trial.name for trial in trials}) == len(trials) == 2 * 4 + 1
    assert all(isinstance(trial, PolicyTrial) for trial in trials)
    untrained = [trial for trial in trials if trial.train_kwargs is None]
    assert [trial.axes["trained on"] for trial in untrained] == [projection.NOT_TRAINED]
    for trial in trials:
        seen = [one for one in trial.evaluations if one.name == SEEN_TASK]
        assert len(trial.evaluations) == 2 + len(seen)
        if seen:  # only a finite number of projections can be met again
            assert seen[0].env_kwargs == trial.env_kwargs and trial.axes["n_projections"] is not None


def test_the_findings_set_the_environment_never_seen_beside_the_other():
    lines = find_experiment("projection").findings(records())
    assert lines[0].startswith("CartPole, 16 projections: 90.0 % [90.0, 90.0] in the last episode")
    assert "in MDPs, never seen, 25.0 % [25.0, 25.0] (gain +5.0 [+5.0, +5.0])" in lines[0]
    assert lines[1].startswith("CartPole, endless projections") and lines[2].startswith("MDPs, 16 projections")
    assert lines[-1].startswith("Not trained, so playing at random: CartPole 25.0 %")


def test_the_result_of_a_trial_is_in_a_few_words():
    one = record({"trained on": "MDPs", "n_projections": 1, "seed": 0}, {"MDPs": result(0.5, 0.75)})
    assert projection.result(one) == "MDPs 75.0 % [75.0, 75.0], gain +25.0 [+25.0, +25.0]"


def test_the_figure_has_a_panel_for_level_and_gain_in_each_environment(tmp_path: Path, monkeypatch):
    titles = []

    def keep(figure, folder, name):
        titles.extend(one.get_title() for one in figure.axes)
        return f"{name}.png"

    monkeypatch.setattr(projection, "save_figure", keep)
    assert projection.draw(records(), tmp_path) == ["projection.png"]
    assert [title.split(",")[0] for title in titles] == ["CartPole", "CartPole", "MDPs", "MDPs"]


def test_estimates_are_drawn_at_their_values(tmp_path: Path, monkeypatch):
    drawn = []
    monkeypatch.setattr(projection, "draw_estimate", lambda axes, x, estimate, **style: drawn.append((x, estimate)))
    projection.draw(records(), tmp_path)
    assert (0 - 0.06, Estimate(0.9, 0.9, 0.9)) in drawn and len(drawn) == 2 * 2 * 2 * 2
    assert (tmp_path / "projection.png").exists()
