import pytest
from jinja2 import UndefinedError

from gpicl_envs.report.templates import page_templates


def test_what_is_filled_in_is_escaped_and_nothing_may_be_missing():
    templates = page_templates("gpicl_envs", "report")
    assert templates.from_string("<b>{{ name }}</b>").render(name="<script>") == "<b>&lt;script&gt;</b>"
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        templates.from_string("{{ name }}").render()
    assert templates.get_template("page.html.jinja")
