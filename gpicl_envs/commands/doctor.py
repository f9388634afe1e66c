"""`gpicl doctor`: what is installed, what works, and what is missing."""

from rich.console import Console
from rich.table import Table

from gpicl_envs.commands.arguments import show
from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.errors import printable

WIDTH = 120  # least number of characters in a line of a table


def doctor() -> None:
    """Show versions, devices, data and extras; exit with code 2 if something that is required does not work.

    A missing extra or dataset is no fault. For a report of a bug, paste the output.

    Example: `gpicl doctor`.
    """
    from gpicl_envs.commands import installation

    show(installation.platform_line())
    problems = list(installation.installation_problems())
    packages = installation.required_packages() if installation.is_installed() else []
    _show_table("Required", [(p.name, p.installed or "", p.needed, p.problem or "ok") for p in packages])
    devices = installation.try_devices()
    _show_table("Devices", [(device.name, device.description, device.problem or "works") for device in devices])
    problems += [device.problem for device in devices if device.problem]
    here, missing = installation.available_datasets()
    show("\nData")
    show(f"  folder: {printable(str(data_folder()))} (GPICL_DATA_DIR names another)")
    show(f"  here: {', '.join(here)}")
    if missing:
        show(f"  missing: {', '.join(missing)} (gpicl data download NAME; your own: docs/environments.md)")
    extras = installation.extras() if packages else []
    _show_table("Extras", [(extra.name, extra.state, extra.brings) for extra in extras])
    if any(extra.missing for extra in extras):
        show(f"  pip install '{installation.DISTRIBUTION}[NAME]' adds one.")
    if problems:
        raise ValueError(f"{len(problems)} problem{'s' * (len(problems) > 1)}: {'; '.join(problems)}.")
    show("\nAll that is required works.")


def _show_table(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print rows in columns, under a title."""
    show(f"\n{title}")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 0, 0, 2))
    for row in rows:
        table.add_row(*row)
    Console(width=max(Console().width, WIDTH), markup=False, highlight=False).print(table)
