"""What is installed here: required packages, optional extras, devices and data. `gpicl doctor` shows it."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from gpicl_envs import __version__
from gpicl_envs.datasets.registry import ARRAY_ID, DATASETS
from gpicl_envs.errors import shareable
from gpicl_envs.evaluation.provenance import processor_name

DISTRIBUTION = "gpicl-envs"
EXTRAS = {  # what each brings
    "cluster": "`gpicl benchmark` and `gpicl experiment` on a Ray cluster (--ray)",
    "dev": "the tests, with all other extras",
    "docs": "`make docs`: the documentation's site",
    "export": "`gpicl export --out NAME.h5`",
    "features": "features='efficientnet-lite0': images as a frozen network sees them",
    "hub": "`gpicl push`, `gpicl pull`, learners `hf:USER/NAME`",
    "human": "render_mode='human': a window that shows each step",
    "mlflow": "training curves in MLflow (--trackers mlflow)",
    "onnx": "`gpicl export-model`",
    "parquet": "CIFAR and SVHN from Parquet files, as on Hugging Face",
    "rl": "wrappers for stable-baselines3 and TorchRL, `gpicl train-sb3`, learners `sb3:FILE`",
    "stream": "`StreamClassifier`, a classifier for the package river",
    "tensorboard": "training curves in TensorBoard (--trackers tensorboard)",
    "vision": "ten image datasets, and features= of torchvision's networks",
    "wandb": "training curves in Weights & Biases (--trackers wandb)",
}
# Labels of the first MNIST episodes: whole numbers, which every machine and device draws alike.
TRIAL_EPISODES = 64
TRIAL_SHA256 = "00d20b16df5f315985aa0a1cc6f1cd07339045c445205aaab440e3fc22aa4072"


@dataclass(frozen=True)
class Package:
    """A required package.

    Args:
        name: of the distribution.
        needed: the versions that are allowed, such as `>=2.8`.
        installed: its version; None if it is missing.
        fits: whether this is one of those.
    """

    name: str
    needed: str
    installed: str | None
    fits: bool

    @property
    def problem(self) -> str:
        """What is wrong, in words; empty if nothing is."""
        if self.installed is None:
            return f"{self.name} is missing"
        return "" if self.fits else f"{self.name} {self.installed} is installed, but {self.needed} is needed"


def required_packages(extra: str = "") -> list[Package]:
    """Return the packages that gpicl-envs needs, or those that an extra adds.

    Raises:
        PackageNotFoundError: gpicl-envs runs without having been installed.
    """
    found = []
    for requirement in map(Requirement, requires(DISTRIBUTION) or []):
        marker = requirement.marker
        is_always_needed = marker is None or marker.evaluate({"extra": ""})
        if (marker and marker.evaluate({"extra": extra}) and not is_always_needed) if extra else is_always_needed:
            found.append(_package(requirement))
    return found


def _package(requirement: Requirement) -> Package:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return Package(requirement.name, str(requirement.specifier), None, False)
    fits = requirement.specifier.contains(installed, prereleases=True)
    return Package(requirement.name, str(requirement.specifier), installed, fits)


@dataclass(frozen=True)
class Extra:
    """An optional extra.

    Args:
        name: of the extra.
        brings: what it adds.
        missing: what is wrong with its packages, in words; empty if it is installed.
    """

    name: str
    brings: str
    missing: tuple[str, ...]

    @property
    def state(self) -> str:
        """Whether it is installed, in words."""
        return "; ".join(self.missing) if self.missing else "installed"


def extras() -> list[Extra]:
    """Return the optional extras. Raises PackageNotFoundError as `required_packages`."""
    return [
        Extra(name, brings, tuple(package.problem for package in required_packages(name) if package.problem))
        for name, brings in EXTRAS.items()
    ]


def is_installed() -> bool:
    """Whether gpicl-envs was installed, as opposed to found in a folder on the path."""
    try:
        return bool(version(DISTRIBUTION))
    except PackageNotFoundError:
        return False


def installation_problems() -> Iterator[str]:
    """Yield what is wrong with the installation, in words."""
    if not is_installed():
        yield f"{DISTRIBUTION} runs from a folder without having been installed: pip install it"
        return
    if version(DISTRIBUTION) != __version__:
        yield f"the code is version {__version__}, but {version(DISTRIBUTION)} was installed: run pip install again"
    yield from (package.problem for package in required_packages() if package.problem)


@dataclass(frozen=True)
class Device:
    """What torch computes on, and whether it draws the episodes that every other device draws.

    Args:
        name: cpu, or cuda with a number.
        description: which one it is, and its threads or memory.
        problem: what went wrong, in words; empty if nothing did.
    """

    name: str
    description: str
    problem: str = ""


def try_devices() -> list[Device]:
    """Draw a few episodes on every device that torch sees."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that torch needs is missing
        return [Device("cpu", processor_name(), f"torch cannot be imported ({error})")]
    found = {"cpu": f"{processor_name()}, threads: {torch.get_num_threads()}"}
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        facts = torch.cuda.get_device_properties(number)
        found[f"cuda:{number}"] = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"
    return [Device(name, description, _problem_of(name)) for name, description in found.items()]


def _problem_of(device: str) -> str:
    """What goes wrong on a device, in words: its first MNIST episodes must have the labels that all others have."""
    from gpicl_envs.tasks.classification import TaskDistribution

    try:
        labels = TaskDistribution("MNIST", n_features=8, device=device).sample(TRIAL_EPISODES).y.cpu().numpy()
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return f"no episodes can be made on {device} ({' '.join(str(error).split())})"
    if sha256(labels.astype("<i8").tobytes()).hexdigest() != TRIAL_SHA256:
        return f"{device} draws other labels than other machines: its results cannot be compared with theirs"
    return ""


def available_datasets() -> tuple[dict[str, str], list[str]]:
    """Return the registered datasets that are here, name → kind of place, and the names of those that are not."""
    here, missing = {}, []
    for name, spec in DATASETS.items():
        try:
            location = spec.location()
        except ValueError:  # several files could be meant, or one cannot be read: `gpicl data list` says more
            location = None
        if location is not None:
            here[name] = location.kind
        elif spec.env_id != ARRAY_ID:
            missing.append(name)
    return here, missing


def platform_line() -> str:
    """Return the versions of this package, Python and the system, and the folder of the code."""
    folder = shareable(str(Path(__file__).parent.parent))
    return f"{DISTRIBUTION} {__version__}, Python {platform.python_version()}, {platform.platform()}, in {folder}"
