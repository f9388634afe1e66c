"""What commands share."""

from typing import Annotated

import tyro

Assignments = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")]
