import time
from pathlib import Path

import numpy as np
import pytest

from gpicl_envs.errors import (
    UnexpectedArgumentError,
    UnknownNameError,
    check_bool,
    check_choice,
    check_fraction,
    check_integer,
    check_number,
    construct,
    first_line,
    one_line,
    shareable,
    with_home,
)


def make_nothing(length: int, n_features: int = 2) -> tuple[int, int]:
    return length, n_features


def test_an_unknown_name_lists_the_nearest_and_all_valid_names():
    message = str(UnknownNameError("dataset", "mnits", ["SVHN", "MNIST"], "See the list."))
    assert message == "Unknown dataset 'mnits'. Did you mean 'MNIST'? Valid: MNIST, SVHN. See the list."
    assert "Did you mean" not in str(UnknownNameError("dataset", "x", ["Digits"]))
    assert "known once their package is installed" in str(UnknownNameError("learner", "x", []))
    assert check_choice("split", "test", ("train", "test")) == "test"


def test_a_missing_argument_is_named():
    with pytest.raises(ValueError, match="make_nothing needs length: give"):
        construct(make_nothing, {"n_features": 3})


@pytest.mark.parametrize("given", [3, np.int64(3), np.uint8(3)], ids=repr)
def test_whole_numbers_of_any_type_become_ints(given):
    assert type(check_integer("n", given, 3, 3)) is int


@pytest.mark.parametrize("given", [True, 3.0, "3", None, 2, 6], ids=repr)
def test_what_is_no_whole_number_in_range_is_refused(given):
    with pytest.raises(ValueError, match=r"n=.* is not allowed: give a whole number from 3 to 5 \(K has no more\)\."):
        check_integer("n", given, 3, 5, "K has no more")


@pytest.mark.parametrize(
    ("check", "valid", "invalid"),
    [
        (lambda given: check_fraction("p", given), [0, 0.5, np.float32(1)], [-0.1, 1.1, True, "1", float("nan")]),
        (lambda given: check_number("p", given, 1), [1, 2.5, np.int64(7)], [0.9, float("inf"), float("nan"), True]),
        (lambda given: check_bool("p", given), [True, False, np.bool_(True)], ["no", 2, None]),
    ],
)
def test_checks_return_what_is_allowed_and_refuse_the_rest(check, valid: list, invalid: list):
    assert [check(given) for given in valid] == valid
    for given in invalid:
        with pytest.raises(ValueError, match="^p=.* is not allowed: give "):
            check(given)


def test_an_unexpected_argument_is_a_value_error_and_a_type_error_with_the_nearest_name():
    assert construct(make_nothing, {"length": 3}) == (3, 2)
    with pytest.raises(UnexpectedArgumentError, match="make_nothing got an unexpected keyword argument 'lenght'. Did"):
        construct(make_nothing, {"lenght": 3})
    assert issubclass(UnexpectedArgumentError, TypeError) and issubclass(UnexpectedArgumentError, ValueError)


SECRET = "q7Rt0Zk3Vw9Xy2Lm5Np8"  # made up, as all below
TEXTS = [
    f"my:Agent,token={SECRET},k=3",
    f"my:Agent,api_key='{SECRET}',k=3",
    f"HF_TOKEN={SECRET} gpicl evaluate",
    f"WANDB_API_KEY={SECRET} gpicl evaluate",
    f"STORE_KEY={SECRET} gpicl evaluate",
    f"gpicl evaluate --password {SECRET} --seed 1",
    f"gpicl evaluate --hub-token={SECRET} --seed 1",
    f"gpicl evaluate --secret '{SECRET} {SECRET}' --seed 1",
    f"gpicl evaluate --secret '{SECRET}'\"'\"'{SECRET}' --seed 1",
    f'{{"password": "{SECRET}", "seed": 1}}',
    f"{{'aws_secret_access_key': '{SECRET}'}}",
    f"password: {SECRET}",
    f"password='{SECRET}",
    f"401 for https://user:{SECRET}@example.org/data.npz",
    f"401 for https://{SECRET}@example.org/data.npz",
    f"403 for https://example.org/data.npz?id=1&token={SECRET}&x=2",
    f"403 for https://example.org/data.npz?X-Amz-Signature={SECRET}",
    f"header Authorization: Bearer {SECRET}",
    f"no access for hf_{SECRET}",
    f"no access for ghp_{SECRET}",
    f"no access for github_pat_{SECRET}",
    f"no access for glpat-{SECRET}",
    f"no access for xoxb-{SECRET}",
    f"no access for (sk-proj-{SECRET})",
    "no access for AKIAIOSFODNN7EXAMPLE",
    f"no access for AIza{SECRET}{SECRET}",
    f"no access for eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_looks_like_a_secret_is_not_shown(text: str):
    shown = shareable(text)
    assert SECRET not in shown and "EXAMPLE" not in shown and "***" in shown
    assert shareable(shown) == shown
    for kept in ("my:Agent", ",k=3", "gpicl evaluate", "--seed 1", "example.org/data.npz", "no access for", "&x=2"):
        assert (kept in shown) == (kept in text)


@pytest.mark.parametrize(
    "text",
    [
        "transformer,tokens=paper,width=32",
        "knn,k=3,metric=euclidean",
        "my:Agent,n_tokens=12,sort_key=size",
        "gpicl evaluate --learners runs/task-unseen-dataset-2 --seed 1",
        "sklearn:module:Class,keys=[1, 2]",
        "a token that is not expected, and a key: see the basic classification, bearer of news",
        "runs/sk-transformer, disk-2, 0f343b0931126a20f133d67c2b018a3b8bd5d4a5",
        "https://example.org/a@b: not found",
    ],
)
def test_what_is_no_secret_stays(text: str):
    assert shareable(text) == text


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "somebody").symlink_to(real)
    monkeypatch.setenv("HOME", str(tmp_path / "somebody"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "somebody"))
    return tmp_path / "somebody"


def test_the_home_folder_is_a_tilde_and_back(home: Path):
    for text in ("{}/runs/a", "a:B@{}/runs/a", "sb3:{}/a,k=3", "a:B,path={}/a", "a:B,paths=['{}/a','{}/b']"):
        assert shareable(text.format(home, home)) == text.format("~", "~")
        assert with_home(text.format("~", "~")) == text.format(home, home)
    assert shareable(f"[Errno 2] '{home.resolve()}/data' of {home}, file://{home}/a") == (
        "[Errno 2] '~/data' of ~, file://~/a"
    )
    for text in (f"{home}2/a", f"{home}-old/a", f"/mnt{home}/a", "a~/b", "knn,k=3"):
        assert shareable(text) == text == with_home(text)


def test_a_home_that_is_the_whole_disk_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/")
    assert shareable("/data/a and /b") == "/data/a and /b"


@pytest.mark.parametrize(
    "piece", ["a", "token", "token=", "--key ", "a_", "-", "://", "'", "sk-", "eyJ-", "hf_-", "bearer ", "~/", "/"]
)
def test_long_messages_are_read_quickly(piece: str):
    start = time.perf_counter()
    shareable(piece * (500_000 // len(piece)))
    assert time.perf_counter() - start < 2


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no\n  such   weight\n"), "ValueError: no such weight"),
        (KeyError("a"), "KeyError: 'a'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (Unprintable(), "Unprintable"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_exception_becomes_one_line(error: Exception, line: str):
    assert one_line(error) == line


def test_a_long_message_loses_its_middle():
    line = one_line(ValueError("first " + "no " * 3_000_000 + "last"))
    assert line.startswith("ValueError: first no") and line.endswith("no last") and len(line) < 700
    assert "(8,999,410 more characters)" in line


def test_an_error_shows_neither_secrets_nor_the_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    text = f"/home/somebody/data.npz of https://me:word@example.org: token=abc{'d' * 1000}"
    assert one_line(OSError(text)) == "OSError: ~/data.npz of https://***@example.org: token=***"


def test_the_first_line_of_a_message_or_the_kind_of_an_error():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(TimeoutError()) == first_line(TimeoutError("\nsecond")) == "TimeoutError"
