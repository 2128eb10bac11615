"""The complete files that docs/howto/extend.md gives, as modules: as if they were where the page puts them."""

from __future__ import annotations

import re
import sys
import textwrap
from functools import cache
from types import ModuleType

from support.places import REPOSITORY


def files(page: str = "extend.md") -> dict[str, str]:
    """Path → the file, as a page has it."""
    text = (REPOSITORY / "docs" / "howto" / page).read_text(encoding="utf-8")
    found = re.findall(r"Make `([\w/.]+)`.*?```python\n(.*?)^ *```", text, re.M | re.S)
    return {path: textwrap.dedent(code) for path, code in found}


@cache
def extended() -> dict[str, ModuleType]:
    """File name without its ending → the module. None of them stays where Python looks for modules."""
    modules: dict[str, ModuleType] = {}
    try:
        for path, code in sorted(files().items()):  # encoders before models
            name = path.removesuffix(".py").replace("/", ".")
            sys.modules[name] = modules[name] = ModuleType(name)
            exec(compile(code, path, "exec"), modules[name].__dict__)
    finally:
        for name in modules:
            sys.modules.pop(name, None)
    return {name.rpartition(".")[2]: module for name, module in modules.items()}
