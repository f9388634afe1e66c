import io
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from rich.console import Console

from gpicl_envs.cli import main
from gpicl_envs.commands.play import Game, make_game_env, picture


def type_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, *options: str) -> str:
    """What the command prints for a person who types."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    monkeypatch.setenv("COLUMNS", "120")
    main(["play", "GPICL-Digits-v0", *options])
    return capsys.readouterr().out


def labels(length: int, **arguments) -> list[int]:
    env = gymnasium.make("GPICL-Digits-v0", length=length, **arguments)
    env.reset(seed=0)
    return env.unwrapped.episode.y[0].tolist()


def test_a_whole_episode_typed_in(monkeypatch, capsys):
    """Five guesses, the third wrong: 4 of 5 right."""
    guesses = labels(5)
    guesses[2] = (guesses[2] + 1) % 10
    typed = "\n".join(map(str, guesses)) + "\n"
    output = type_in(monkeypatch, capsys, typed, "--env-kwargs", "length=5")
    assert output.count("which label has this?") == 5
    assert output.count("was right") == 4 and f"{guesses[2]} was wrong: it was {labels(5)[2]}" in output
    assert "4 of 5" in output and "80 %" in output and "█" in output


def test_the_nearest_neighbour_beside_it_has_the_same_examples(monkeypatch, capsys):
    from gpicl_envs.learners.registry import make_learner

    env = make_game_env("GPICL-Digits-v0", {"length": 40}, raw=True)
    env.reset(seed=0)
    episode = env.unwrapped.episode
    predicted = make_learner("knn", n_features=64).predict(episode.x, episode.y).argmax(2)[0]
    output = type_in(monkeypatch, capsys, "\n".join(map(str, predicted.tolist())), "--raw", "--env-kwargs", "length=40")
    right = int((predicted == episode.y[0]).sum())
    assert right > 20
    rows = [line for line in output.splitlines() if line.strip().startswith(("you", "nearest neighbour"))]
    assert len(rows) == 2 and all(f"{right} of 40" in row for row in rows)


@pytest.mark.parametrize("ending", ["", "q\n", "quit\n", " Q \n"])
def test_it_ends_politely_with_the_score_so_far(ending: str, monkeypatch, capsys):
    first = labels(100)[0]
    output = type_in(monkeypatch, capsys, f"{first}\n{ending}")
    assert "1 of 1" in output and "100 %" in output and "chance" in output


def test_without_a_guess_there_is_no_score(monkeypatch, capsys):
    assert "No guess, so no score." in type_in(monkeypatch, capsys, "q\n")


@pytest.mark.parametrize("typed", ["x", "10", "-1", "", "3.0", "²", "[bold]"])
def test_after_what_is_not_a_label_it_can_be_typed_again(typed: str, monkeypatch, capsys):
    output = type_in(monkeypatch, capsys, f"{typed}\nq\n")
    assert f"{typed!r} is not a label: give a whole number from 0 to 9, or q to quit." in output
    assert output.count("which label has this?") == 1


def test_bandit_feedback_stays_bandit_feedback():
    """A wrong guess teaches nothing but that it was wrong; a right one its label."""
    game = Game(make_game_env("GPICL-Digits-v0", {"feedback": "reward"}, raw=False), seed=0)
    first, second = labels(100)[:2]
    game.guess((first + 1) % 10)
    assert str(game.feedback).endswith("was wrong.") and game.memory == {}
    game.guess(second)
    assert list(game.memory) == [second]


def test_memory_holds_the_inputs_seen_under_the_labels_shown():
    game = Game(make_game_env("GPICL-Digits-v0", {}, raw=False), seed=0)
    episode = game._hidden.episode
    for _ in range(30):
        game.guess(0)
    for label, inputs in game.memory.items():
        assert np.array_equal(np.stack(inputs), episode.x[0, :30][episode.y[0, :30] == label].numpy())
    assert sum(map(len, game.memory.values())) == 30


def test_raw_inputs_are_the_images_themselves():
    game = Game(make_game_env("GPICL-Digits-v0", {}, raw=True), seed=0)
    assert np.array_equal(game._x.reshape(8, 8), game._hidden.tasks.base_input(game._hidden.episode, 0, 0))


def test_pictures_in_colour_have_two_pixels_a_character():
    image = np.zeros((4, 4, 3), np.float32)
    image[:2, :, 0], image[2:, :, 2] = 1, 1  # red over blue
    text = picture(image, lines=1, in_colour=True)
    assert text.plain == "▀▀" and "rgb(255,0,0) on rgb(0,0,255)" in {str(span.style) for span in text.spans}
    assert picture(image[..., 0], lines=2, in_colour=False).plain == "████\n    "
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(text)
    assert "38;2;255;0;0" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("play GPICL-MNSIT-v0", "Unknown environment 'GPICL-MNSIT-v0'. Did you mean 'GPICL-MNIST-v0'"),
        ("play GPICL-LinearRegression-v0", "needs labels as actions, but those of GPICL-LinearRegression-v0 are Box"),
        ("play --env-kwargs action=logits", "leave action out of --env-kwargs"),
        ("play --raw --env-kwargs projection=orthogonal", "leave projection out of --env-kwargs"),
        ("play --env-kwargs lenght=3", "Did you mean 'length'"),
        ("play --seed -1", "seed=-1 is not allowed"),
    ],
)
def test_bad_input_ends_with_one_clear_line(arguments: str, message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and message in error


def test_the_installed_command_reads_a_pipe():
    command = [str(Path(sys.executable).with_name("gpicl")), "play", "GPICL-Digits-v0", "--env-kwargs", "length=2"]
    done = subprocess.run(command, input="1\n2\n3\n", capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "of 2" in done.stdout and done.stderr == ""


@pytest.mark.parametrize("env_id", ["GPICL-SyntheticTables-v0", "GPICL-GeneralMixture-v0", "GPICL-RealTable-v0"])
def test_tables_and_mixtures_are_played_but_have_no_projection_to_leave_out(env_id: str, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n2\nq\n"))
    main(["play", env_id])
    assert "of 2" in capsys.readouterr().out
    with pytest.raises(ValueError, match="--raw leaves the projection out, and GPICL-.* has none"):
        make_game_env(env_id, {}, raw=True)
