"""What people read about a wrong setting is our own sentence, for every setting and every kind of wrong value."""

import pytest
from pydantic import BaseModel, ValidationError

from ml_backend.config import ProjectSettings, Settings
from ml_backend.setting_errors import explain

WRONG = (
    "many",
    "",
    -1,
    10**30,
    float("nan"),
    None,
    [1],
    {"a": float("inf")},
    {"a": []},
    {1: 2},
    "x" * 2_000,
    "9" * 5_000,
)
PYDANTIC = ("input", "valid", "should", "permitted", "greater than", "less than", "parse", "unable", "instance")


@pytest.mark.parametrize("kind", [ProjectSettings, Settings])
def test_no_word_of_pydantic_reaches_people(kind: type[BaseModel]) -> None:
    refused = 0
    for name in kind.model_fields:
        for value in WRONG:
            try:
                kind(**{name: value})
            except ValidationError as exc:
                told = explain(exc, kind.model_fields)
                refused += 1
                assert told.startswith(name), told
                assert not any(word in told.removeprefix(name) for word in PYDANTIC), f"{name}: {told}"
    assert refused > 3 * len(kind.model_fields)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"queue_size": "many"}, "queue_size: must be a whole number from 1 to 100,000"),
        ({"queue_size": 0}, "queue_size: must be a whole number from 1 to 100,000"),
        ({"seed": 2**32}, "seed: must be a whole number from 0 to below 4,294,967,296"),
        ({"control_share": "x"}, "control_share: must be a number from 0 to 0.5"),
        ({"balance": "perhaps"}, "balance: must be true or false"),
        ({"embedding_options": {"shear": 1e9}}, "embedding_options.shear: must be a number up to 1,000,000"),
        ({"strategy": "x" * 2_000}, "strategy: must have at most 1000 characters"),
        ({"learn_from_poll": False}, "learn_from_poll: no setting has this name; did you mean learn_from_pool?"),
        ({"zzz": 1, "samples": 1}, "samples: must be a whole number from 2 to 1,000; zzz: no setting has this name"),
    ],
)
def test_each_kind_has_its_sentence(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as raised:
        ProjectSettings(**changes)
    assert explain(raised.value, ProjectSettings.model_fields) == told
