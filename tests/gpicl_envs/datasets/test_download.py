"""Downloads from a real server on this machine, which works well or badly."""

import json
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import vision_files
from full_disk import full_disk

from gpicl_envs.datasets import download as module
from gpicl_envs.datasets import load_dataset
from gpicl_envs.datasets.download import download
from gpicl_envs.errors import MissingDataError, UnknownNameError

USPS_PROGRAM = """
import json, sys
import torchvision.datasets
from gpicl_envs.datasets.download import download
torchvision.datasets.USPS.split_list = json.loads(sys.argv[1])
download("USPS")
"""


class Server(ThreadingHTTPServer):
    """Serves a folder's files by their names.

    Attributes:
        requests: how often each file was requested.
        cut: file → how many times its connection still drops half way.
        spoilt: files that are served with a changed byte.
        slow: seconds before a file is served.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.requests: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.spoilt: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.requests[name] += 1
        self.server.gate.wait(20)
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        if name in self.server.spoilt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = self.server.cut[name] > 0
        self.server.cut[name] -= cut
        self.wfile.write(content[: len(content) // 2] if cut else content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch):
    """A server with small files of USPS and KMNIST; torchvision's addresses are replaced by its own."""
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision cannot be imported")
    there = tmp_path / "there"
    for name in ("USPS", "KMNIST", "CIFAR10", "EMNISTLetters", "Omniglot", "QMNIST", "SVHN"):
        vision_files.write(name, there, monkeypatch)
    with Server(there) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        for cls in (datasets.USPS, datasets.SVHN):
            splits = {split: [running.url(name), name, md5] for split, (_, name, md5) in cls.split_list.items()}
            monkeypatch.setattr(cls, "split_list", splits)
        resources = {
            split: [(running.url(url.rpartition("/")[2]), md5) for url, md5 in files]
            for split, files in datasets.QMNIST.resources.items()
        }
        monkeypatch.setattr(datasets.QMNIST, "resources", resources)
        monkeypatch.setattr(datasets.KMNIST, "mirrors", [running.url("mirror-without-files/none-"), running.url()])
        monkeypatch.setattr(datasets.CIFAR10, "url", running.url("cifar-10-python.tar.gz"))
        monkeypatch.setattr(datasets.EMNIST, "url", running.url("gzip.zip"))
        monkeypatch.setattr(datasets.Omniglot, "download_url_prefix", running.url("python"))
        monkeypatch.setattr(module, "PAUSES", (0.0, 0.0, 0.01, 0.02))
        yield running
        running.shutdown()


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if "partial" in path.name]


@pytest.mark.parametrize("name", ["USPS", "KMNIST", "CIFAR10", "EMNISTLetters", "QMNIST", "SVHN"])
def test_what_was_downloaded_can_be_loaded(name: str, server: Server, own_data: Path):
    lines: list[str] = []
    download(name, report=lines.append)
    assert all("downloaded and verified" in line for line in lines)
    assert set(load_dataset(name).x) == {"train", "test"}
    before = server.requests.copy()
    download(name, report=lines.append)
    assert lines[-1] == f"{name}: all files are intact." and server.requests == before
    assert left_over(own_data) == []


def test_omniglot_comes_from_both_its_addresses(server: Server, own_data: Path):
    download("Omniglot", report=lambda line: None)
    assert server.requests == {"images_background.zip": 1, "images_evaluation.zip": 1}


def test_a_connection_that_drops_half_way_is_tried_again(server: Server, own_data: Path):
    server.cut["usps.bz2"] = 1
    download("USPS", report=lambda line: None)
    assert server.requests == {"usps.bz2": 2, "usps.t.bz2": 1}
    assert (own_data / "usps.bz2").read_bytes() == server.files["usps.bz2"] and left_over(own_data) == []


def test_a_wrong_checksum_is_never_used_and_the_error_names_the_offline_path(server: Server, own_data: Path):
    server.spoilt.add("usps.t.bz2")
    with pytest.raises(MissingDataError) as caught:
        download("USPS", report=lambda line: None)
    for part in (
        "USPS could not be downloaded after 4 tries",
        "does not match the known hash",
        "usps.t.bz2",
        str(own_data),
    ):
        assert part in str(caught.value)
    assert server.requests["usps.t.bz2"] == 4
    assert not (own_data / "usps.t.bz2").exists() and left_over(own_data) == []
    with pytest.raises(MissingDataError, match="is not in the data folder"):
        load_dataset("USPS")
    server.spoilt.clear()
    download("USPS", report=lambda line: None)  # what was intact the first time is not downloaded again
    assert server.requests["usps.bz2"] == 1 and load_dataset("USPS").n_classes == 10


def test_without_a_server_the_reasons_and_the_offline_path_are_named(own_data: Path, monkeypatch):
    vision_files.write("USPS", own_data.parent / "elsewhere", monkeypatch)
    import torchvision.datasets

    refused = {
        split: ["http://127.0.0.1:9/x", *rest] for split, (_, *rest) in torchvision.datasets.USPS.split_list.items()
    }
    monkeypatch.setattr(torchvision.datasets.USPS, "split_list", refused)
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
    with pytest.raises(MissingDataError, match=r"after 2 tries: http://127.0.0.1:9/x: .*refused.*USPS.npz .*into"):
        download("USPS", report=lambda line: None)


def test_only_what_is_damaged_is_downloaded_again(server: Server, own_data: Path):
    download("USPS", report=lambda line: None)
    (own_data / "usps.t.bz2").write_bytes(b"cut")
    lines: list[str] = []
    download("usps", report=lines.append)
    assert server.requests == {"usps.bz2": 1, "usps.t.bz2": 2} and len(lines) == 1


def test_what_a_killed_download_left_is_removed_and_never_used(server: Server, own_data: Path):
    (own_data / ".USPS.partial").mkdir()
    (own_data / ".USPS.partial" / "usps.bz2").write_bytes(server.files["usps.bz2"][:100])
    with pytest.raises(MissingDataError):
        load_dataset("USPS")
    download("USPS", report=lambda line: None)
    assert left_over(own_data) == [] and load_dataset("USPS").n_classes == 10


@pytest.mark.slow  # two processes import torchvision
def test_a_second_process_waits_and_finds_the_files(server: Server, own_data: Path):
    import torchvision.datasets

    server.gate.clear()  # the first process holds the lock, without a response, until the second has come
    arguments = [sys.executable, "-c", USPS_PROGRAM, json.dumps(torchvision.datasets.USPS.split_list)]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    threading.Timer(6.0, server.gate.set).start()
    outputs = sorted((process.communicate(timeout=60)[0] for process in processes), key=len)
    assert [process.returncode for process in processes] == [0, 0]
    assert "all files are intact" in outputs[0] and outputs[1].count("downloaded and verified") == 2
    assert server.requests == {"usps.bz2": 1, "usps.t.bz2": 1}


def test_what_needs_no_download_says_so(own_data: Path):
    lines: list[str] = []
    for name in ("MNIST", "Random"):
        download(name, report=lines.append)
    assert lines == ["MNIST: embedded, nothing to download.", "Random: computed, nothing to download."]
    with pytest.raises(MissingDataError, match="stands for your data"):
        download("Array")
    with pytest.raises(UnknownNameError, match="Did you mean 'CIFAR10'"):
        download("CIFAR1")


def test_an_npz_serves_instead_and_is_verified(own_data: Path):
    x = np.random.default_rng(0).integers(256, size=(20, 16, 16), dtype=np.uint8)
    np.savez(own_data / "usps.npz", x_train=x, y_train=np.arange(20) % 10)
    lines: list[str] = []
    download("USPS", report=lines.append)
    assert lines == [f"USPS: {own_data / 'usps.npz'} is intact."]
    np.savez(own_data / "usps.npz", x_train=x, y_train=np.arange(20) % 9)
    with pytest.raises(ValueError, match="usps.npz is refused"):
        download("USPS", report=lines.append)


def test_a_full_disk_is_no_failure_of_the_network_and_leaves_nothing(server: Server, own_data: Path):
    with full_disk(1000), pytest.raises(OSError, match=r"usps\S* cannot be written: File too large"):
        download("USPS", report=lambda line: None)
    assert server.requests == {"usps.bz2": 1} and left_over(own_data) == [] and not list(own_data.glob("usps*"))
    download("USPS", report=lambda line: None)
