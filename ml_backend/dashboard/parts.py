"""The parts that pages consist of. All users' texts are passed as children, which the browser shows as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dash import dcc, html

from ml_backend.dashboard.documents import address_of
from ml_backend.rounds.evaluation_tasks import too_few_evaluated

LONG_MENU: Final = 50
"""Menus with more entries than this can be searched."""
FITTING: Final = 3
"""Columns of a table that fit side by side on a phone."""
Children = Any
"""What Dash takes as children: text, a component, or a list of both."""


def aria(**facts: str) -> dict[str, Any]:
    """Attributes for assistive technology: ``aria(label="...")`` is ``aria-label``."""
    return {f"aria-{name}": value for name, value in facts.items()}


def explain(topic: str) -> html.A:
    """A question mark that opens the explanation of a topic of `documents.EXPLAINED`."""
    name = f"What is said about {topic} (opens in a new tab)"
    return html.A("?", href=address_of(topic), target="_blank", className="explain", title=name, **aria(label=name))


def page(title: str, *content: Children, lead: Children = None) -> html.Div:
    """A page: its heading, a sentence about what it shows, and its sections."""
    opening = [html.H1(title)] + ([html.P(lead, className="lead")] if lead else [])
    return html.Div([html.Div(opening, className="page-head"), *content], className="page")


def section(
    title: str, *content: Children, note: Children = None, name: str = "", topic: str | None = None
) -> html.Section:
    """A part of a page with a heading, which names it for screen readers; ``topic`` is explained beside it."""
    anchor = name or "-".join(title.lower().split())
    heading = html.H2(title, id=f"h-{anchor}")
    head: list[Any] = [html.Div([heading, explain(topic)], className="explained") if topic else heading]
    head += [html.P(note, className="note")] if note else []
    return html.Section([*head, *content], className="card", **aria(labelledby=f"h-{anchor}"))


def notice(text: Children, kind: str = "info") -> html.Div:
    """A message in the page: ``info``, ``good``, ``warning`` or ``error``."""
    word = {"warning": "Warning: ", "error": "Error: "}.get(kind)
    given = list(text) if isinstance(text, list | tuple) else [text]  # Dash cannot draw a list inside a list
    content = [html.Strong(word), *given] if word else given
    return html.Div(content, className=f"notice {kind}")


def nothing_yet(what: str, next_step: Children) -> html.Div:
    """An empty state: what is missing, and what to do about it."""
    return html.Div([html.P(what, className="empty-what"), html.P(next_step)], className="empty")


def not_measured(counted: Mapping[str, Any] | None, address: str) -> html.Div:
    """Shown in place of results on the evaluation tasks: what is needed to get some.

    Args:
        counted: `rounds.measures.numbers`.
        address: the project in Label Studio.
    """
    step: Children = "Nothing is counted yet: a round reads what is labelled."
    if counted is not None:
        missing = too_few_evaluated(counted["evaluation"], counted.get("held_out", 0))
        step = f"It {missing or 'needs a round: Train now on the overview'}."
        step = [step, " ", out("Open in Label Studio", address)] if counted.get("held_out") and missing else step
    return nothing_yet("No version has been measured.", step)


def figures(items: Iterable[tuple[str, Children, Children, str | None]]) -> html.Dl:
    """Large figures: name, value, remark, and the topic that explains them."""
    cells = []
    for name, value, remark, topic in items:
        content = [html.Dt([name, explain(topic)] if topic else name), html.Dd(value, className="value")]
        cells.append(html.Div([*content, html.Dd(remark, className="remark")] if remark else content))
    return html.Dl(cells, className="figures")


def table(
    head: Sequence[Children], rows: Iterable[Sequence[Children]], *, caption: str, numbers: Sequence[int] = ()
) -> html.Div:
    """A table that scrolls by itself if it is wider than the page. ``numbers``: columns that are aligned to the right.

    A cell may already be an ``html.Td``, which saves a component inside it. On a phone, each row of more than `FITTING`
    columns is a card, in which ``data-label`` names the cells.
    """
    right, cards = set(numbers), len(head) > FITTING

    def style(column: int) -> str:
        return "number" if column in right else ""

    # Screen readers would read an empty heading, so it is an ordinary cell.
    titles = [html.Th(text, scope="col", className=style(i)) if text else html.Td() for i, text in enumerate(head)]
    body = [html.Tr([_cell(cell, style(i), head[i] if cards else "") for i, cell in enumerate(row)]) for row in rows]
    content = [html.Caption(caption, className="quiet"), html.Thead(html.Tr(titles)), html.Tbody(body)]
    return html.Div(
        html.Table(content),
        className="table cards" if cards else "table",
        tabIndex=0,
        role="region",
        **aria(label=caption),
    )  # tabIndex, because a keyboard must reach scrollable parts


def _cell(content: Children, style: str, label: Children) -> html.Td:
    made = content if isinstance(content, html.Td) else html.Td(content, className=style)
    if isinstance(label, str) and label:
        setattr(made, "data-label", label)
    return made


def graph(chart: Mapping[str, Any], *, name: str, summary: str, identity: str, height: int = 360) -> html.Figure:
    """A chart, with a description in words for people who cannot see it."""
    config: Any = {"displayModeBar": False, "responsive": True}
    drawn = dcc.Graph(id=identity, figure=chart, config=config, style={"height": f"{height}px"})
    frame = html.Div(drawn, role="img", **aria(label=f"{name}. {summary}"))
    return html.Figure([frame, html.Figcaption(summary)])


def bar(done: int, total: int, *, name: str) -> html.Progress:
    """A progress bar; without a total it just moves."""
    known: dict[str, Any] = {"value": str(done), "max": str(total)} if total else {}
    return html.Progress(className="bar", **known, **aria(label=name))


def out(text: str, address: str) -> html.A:
    """A link to Label Studio, opened in another tab."""
    return html.A(
        text, href=address, target="_blank", rel="noopener noreferrer", **aria(label=f"{text} (opens in a new tab)")
    )


def item(content: Mapping[str, Any] | None, task_id: int) -> Any:
    """A task as people see it: its image or text."""
    if content is None:
        return html.P("Not read on this machine.", className="quiet")
    if "image" in content:
        return html.Img(src=content["image"], alt=f"Image of task {task_id}")
    return html.Blockquote(content["text"])


def select(label: str, options: Iterable[str | tuple[str, str]], value: str | None, *, identity: str) -> html.Div:
    """A labelled native menu; callbacks use ``Input(identity, "data")``.

    Options are values, or pairs of value and text.
    """
    pairs = [(option, option) if isinstance(option, str) else option for option in options]
    entries = [html.Option(text, value=each, selected=each == value) for each, text in pairs]
    wildcard: dict[str, Any] = {"data-store": identity}
    menu = html.Select(entries, id=f"{identity}-menu", **wildcard)
    named = html.Label(label, htmlFor=f"{identity}-menu")
    return html.Div([named, menu, dcc.Store(id=identity, data=value)], className="field")


def searched(label: str, options: Sequence[str], value: str | None, *, identity: str) -> html.Div:
    """Like `select`, for many options: people type part of one, and the browser offers those that contain it.

    If empty, it stands for the first option. A text that is not an option changes nothing, and is marked as wrong.
    """
    first, known = options[0], f"{identity}-options"
    typed = None if value == first else value
    box = dcc.Input(id=f"{identity}-menu", type="text", list=known, value=typed, placeholder=first, autoComplete="off")
    wildcard: dict[str, Any] = {"data-search": identity}
    choices = html.Datalist([html.Option(value=each) for each in options], id=known)
    named = html.Label(label, htmlFor=f"{identity}-menu")
    return html.Div([named, box, choices, dcc.Store(id=identity, data=value)], className="field", **wildcard)
