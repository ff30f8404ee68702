import ast
import inspect
from pathlib import Path

import pytest

import pinnsuite
import pinnsuite.problem


@pytest.mark.parametrize("module", [pinnsuite, pinnsuite.problem])
def test_lazy_names_are_those_that_type_checkers_see(module):
    tree = ast.parse(Path(module.__file__).read_text())
    (typed,) = (n for n in tree.body if isinstance(n, ast.If))
    seen = {a.name for n in typed.body for a in n.names}
    assert seen == set(module.__all__)
    for name in module.__all__:
        assert not inspect.ismodule(getattr(module, name)), name


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Intervall"):
        _ = pinnsuite.Intervall
