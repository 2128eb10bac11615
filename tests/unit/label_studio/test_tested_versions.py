"""The releases of Label Studio that are named as tested are those that the tests install."""

import re
import tomllib

from support.label_studio import OLDER
from support.places import REPOSITORY

from ml_backend.label_studio.projects import TESTED_VERSIONS, untested


def test_they_are_those_that_are_installed():
    pinned = []
    for version in OLDER:
        text = (REPOSITORY / f"requirements-label-studio-{version}.txt").read_text(encoding="utf-8")
        pinned += re.findall(r"^label-studio==(\S+)", text, re.M)
    own = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    demo = own["project"]["optional-dependencies"]["demo"]
    pinned += [name.removeprefix("label-studio==") for name in demo if name.startswith("label-studio==")]
    assert tuple(pinned) == TESTED_VERSIONS
    assert f"OLDER := {' '.join(OLDER)}\n" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def test_only_others_are_said_to_be_untested():
    assert [untested(version) for version in TESTED_VERSIONS] == [None, None, None]
    assert untested("1.99.0") == "Label Studio 1.99.0 was not tested (1.20.0, 1.22.0 and 1.23.2 were)"
