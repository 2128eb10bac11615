"""Write docs/reference/strategies.md from the registry of strategies."""

from __future__ import annotations

from pathlib import Path

from ml_backend.cli.common import console, new_app
from ml_backend.files import atomic
from ml_backend.strategies.mixture import MIXTURE
from ml_backend.strategies.registry import STRATEGIES, Strategy

DOCUMENT = Path(__file__).parents[1] / "docs" / "reference" / "strategies.md"

BATCH_AWARE = ("", "yes")

app = new_app()


@app.command(help=__doc__)
def main() -> None:
    """Write the document."""
    atomic.write_text(DOCUMENT, document())
    console.print(f"{DOCUMENT.relative_to(DOCUMENT.parents[2])}: {len(STRATEGIES)} strategies.", highlight=False)


def document() -> str:
    """The whole of docs/reference/strategies.md."""
    sections = [HEAD, "| strategy | asks first | needs | batch-aware | cost |", "| --- | --- | --- | --- | --- |"]
    sections += [
        f"| [`{name}`](#{name}) | {entry.when} | {_needs(entry)} | {BATCH_AWARE[entry.batch_aware]} | {entry.cost} |"
        for name, entry in STRATEGIES.items()
    ]
    sections.append("")
    for name, entry in STRATEGIES.items():
        sections.append(f"### {name}\n")
        sections.append(f"{entry.when[0].upper()}{entry.when[1:]}.\n")
        sections.append(f"- Score: {entry.equation}" + (f" ({entry.source})" if entry.source else ""))
        sections.append(f"- Needs: {_needs(entry) or 'nothing'}. Cost: {entry.cost}.")
        if entry.caveat:
            sections.append(f"- Where it fails: {entry.caveat}.")
        sections.append("")
    return "\n".join(sections).rstrip() + "\n"


def _needs(entry: Strategy) -> str:
    names = {"probabilities": "a model", "samples": "dropout", "validation": "evaluation tasks", "labelled": "labels"}
    return ", ".join(names.get(need, need) for need in sorted(entry.needs))


HEAD = f"""# Query strategies

<!-- Made by scripts/reference.py from the code; a test compares. -->

`p` is an item's class probabilities (mean over dropout passes), `p₁` and `p₂` the two largest, `h` its embedding: the
model's last hidden layer. N items, K passes, C classes, D dimensions, L labels, V evaluation items, B picks. Larger
scores are asked first.

- **Ties** are broken by a draw from seed and task id, never by position or id.
- **Batch-aware** strategies know what they have picked already, and ask copies of an item last. A newly imported task
  cannot be scored by them alone: until the next round it is served after the queue, by entropy.
- **Mixtures**: `entropy:0.8,novelty:0.1,random:0.1`. Each part picks its share from what the parts before it left; the
  picks are interleaved evenly, and each prediction keeps the name of the part that chose it. In a queue's name a
  mixture is called `{MIXTURE}`. Parts that need dropout passes make all parts see the mean over them.
- **Rare classes**: with the setting `balance`, each place goes to the class (as the model guesses) that has the fewest
  labels and places so far, within the first five queue lengths of the strategy's order. `random` is left as it is.
- **Several choices per answer**: each class is a question of yes and no, about which a strategy is asked, and the mean
  over the classes counts, or the largest (setting `set_uncertainty`);
  [in detail](../howto/several-choices.md#what-is-asked-first).
- **Before a first model**, strategies that need neither a model nor evaluation tasks work at once, on the principal
  components of pixels or of word counts. Where the project's strategy needs a model, the first order is random.
"""


if __name__ == "__main__":
    app()
