"""`gpicl playground`: a page in which a learner learns what is drawn in it."""

from pathlib import Path

from gpicl_envs.commands.arguments import show


def playground(learner: str = "pretrained:gpicl-small", out: Path = Path("playground.html")) -> None:
    """Write a page in which you draw signs of your own and a meta-trained learner learns them as you go.

    Open it in any browser: one file, without a server or a network. You see each prediction before you tell the answer,
    what attention read, and 1-NN beside it.

    Example: `gpicl playground`; then open playground.html.

    Args:
        learner: a transformer for labels: pretrained:NAME, run or checkpoint folder, or hf:USER/NAME.
        out: the page.
    """
    from gpicl_agents.playground.page import write_playground
    from gpicl_envs.learners.registry import make_learner

    made, pretrained = make_learner(learner), learner.removeprefix("pretrained:")
    name = made.name if pretrained == learner else pretrained
    path = write_playground(made, out, name)
    show(f"{name} in {path} ({path.stat().st_size / 1e6:.1f} MB): open {path.resolve().as_uri()} in a browser.")
