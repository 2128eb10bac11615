"""What a version confuses, the tasks behind it, and labels that deserve a second look."""

from __future__ import annotations

from typing import Any, Final

from dash import Dash, Input, Output, State, html, no_update

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.actions import project_of, store_of
from ml_backend.dashboard.figures import FEW, confusion_figure
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.reading.mistakes import MOST, SHOWN, read_mistakes
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError

SIDE: Final = {"few": 400, "many": 640}
"""Height of the matrix in pixels."""
ALL: Final = "(all)"


def read(view: View) -> Data:
    """Mistakes of the version that the address names; ``target``, ``guess`` and ``limit`` choose among them."""
    asked = view.parameters
    limit = asked.get("limit", "")
    data = read_mistakes(
        view.store,
        version=asked.get("version"),
        target=asked.get("target", ""),
        guess=asked.get("guess", ""),
        limit=min(int(limit), MOST) if limit.isascii() and limit.isdigit() else SHOWN,
    )
    return data | {"label_studio": view.services.label_studio_link(view.project_id)}


def view(data: Data) -> Any:
    """Matrix, mistakes, doubts."""
    content: list[Any] = []
    if data["versions"]:
        content.append(_choices(data))
        content.append(html.Div(body(data), id="mistakes-body", className="page"))
    elif data["problem"] is None:
        content.append(parts.not_measured(data["numbers"], data["label_studio"]))
    content.append(doubts(data))
    return parts.page(
        "Mistakes",
        *content,
        lead=[
            "Errors on the evaluation tasks, the most confident first.",
            parts.explain("evaluation tasks"),
        ],
    )


def body(data: Data) -> list[Any]:
    """The part that depends on the choices."""
    if data["problem"]:
        return [parts.notice(data["problem"], "warning")]
    return [_classes(data) if data["by_class"] is not None else _matrix(data), _errors(data)]


def _choices(data: Data) -> html.Div:
    labels = [ALL, *data["labels"]]
    menu = parts.select if len(labels) <= parts.LONG_MENU else parts.searched
    return html.Div(
        [
            parts.select("Version", reversed(data["versions"]), data["version"], identity="mistakes-version"),
            menu("People say", labels, data["target"] or ALL, identity="mistakes-target"),
            menu("The model says", labels, data["guess"] or ALL, identity="mistakes-guess"),
        ],
        className="form pickers",
    )


def _matrix(data: Data) -> html.Section:
    drawn, wrong, count = data["drawn"], data["wrong"], data["evaluated"]
    summary = f"{data['version']} has {count - wrong:,} of {count:,} evaluation tasks right, {wrong:,} wrong."
    if data["pairs"]:
        worst = data["pairs"][0]
        summary += (
            f" Most often “{worst['target']}” is taken for “{worst['guess']}” ({words.count(worst['count'], 'time')})."
        )
    height = SIDE["few" if len(drawn) <= FEW else "many"]
    matrix = parts.graph(
        confusion_figure(data), name="Confusion matrix", summary=summary, identity="confusion", height=height
    )
    content: list[Any] = [matrix]
    if data["pairs"]:
        rows = [(pair["target"], pair["guess"], f"{pair['count']:,}") for pair in data["pairs"]]
        table = parts.table(
            ("People say", "The model says", "Tasks"), rows, caption="Most frequent confusions", numbers=(2,)
        )
        content.append(table)
    left = len(data["labels"]) - len(drawn)
    note = f"The {len(drawn)} classes with the most errors; {left:,} others are not drawn." if left else None
    return parts.section("Confusion matrix", html.Div(content, className="matrix"), note=note, topic="confusion matrix")


def _classes(data: Data) -> html.Section:
    """For answers that are sets: each class by itself."""
    rows = [(row["label"], *(f"{row[name]:,}" for name in ("given", "missed", "added"))) for row in data["by_class"]]
    head = ("Label", "People say it of", "The model misses", "The model adds")
    table = parts.table(head, rows, caption="Errors by label, in tasks", numbers=(1, 2, 3))
    note = f"{data['wrong']:,} of {data['evaluated']:,} evaluation tasks have a label too many or too few."
    return parts.section("Errors by label", table, note=note, topic="errors by label")


def _errors(data: Data) -> html.Section:
    total, shown = data["shown_wrong"], len(data["mistakes"])
    if not total:
        text = "No such mistakes." if data["target"] or data["guess"] else "No mistakes on the evaluation tasks."
        return parts.section("Errors", parts.notice(text, "good"), name="errors")
    tasks = [_task(row, data["label_studio"], _told(row)) for row in data["mistakes"]]
    content: list[Any] = [html.Ul(tasks, className="tasks")]
    if shown < total:
        content.append(
            html.Button(f"Show more ({total - shown:,} left)", id="mistakes-more", className="button plain", n_clicks=0)
        )
    note = f"{words.count(total, 'task')}, {shown:,} shown. A confident error is often a wrong label."
    return parts.section("Errors", *content, note=note, name="errors")


def _told(row: dict[str, Any]) -> Any:
    return html.P(
        [
            "People: ",
            html.Strong(row["target"]),
            html.Br(),
            f"Model: {row['guess']} ({words.percent(row['confidence'], 0)})",
        ]
    )


def _task(row: dict[str, Any], address: str, told: Any) -> html.Li:
    link = html.P(parts.out(f"Task {row['task']}", f"{address}?task={row['task']}"))
    return html.Li([parts.item(row["item"], row["task"]), told, link], className="task")


def doubts(data: Data) -> html.Section:
    """Annotations that cross-validated models consider unlikely."""
    title, name = "Annotations in doubt", "doubts"
    if data["doubted"] is None:
        step = "On the overview, set “Doubtful labels to list” to, say, 20: rounds then look for them."
        return parts.section(title, parts.nothing_yet("Nobody has looked for doubtful labels yet.", step), name=name)
    if not data["doubted"]:
        return parts.section(title, parts.notice("No label is in doubt.", "good"), name=name)
    tasks = [
        _task(row, data["label_studio"], html.P(["People: ", html.Strong(", ".join(row["labels"]) or words.MISSING)]))
        for row in data["doubted"]
    ]
    note = (
        "Models that did not see these labels find them unlikely, the least likely first. Correct them in Label Studio."
    )
    return parts.section(title, html.Ul(tasks, className="tasks"), note=note, name=name, topic="doubts")


def register(app: Dash, services: Services) -> None:
    """Choices of version and labels."""

    def show(path: str, version: str | None, target: str, guess: str, limit: int) -> Any:
        try:
            data = read_mistakes(
                store_of(services, path),
                version=version,
                target="" if target == ALL else target,
                guess="" if guess == ALL else guess,
                limit=min(limit, MOST),
            )
            return body(data | {"label_studio": services.label_studio_link(project_of(path))})
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "error")

    choices = [State("mistakes-version", "data"), State("mistakes-target", "data"), State("mistakes-guess", "data")]

    @app.callback(
        Output("mistakes-body", "children"),
        *[Input(each.component_id, "data") for each in choices],
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def choose(version: str | None, target: str, guess: str, path: str) -> Any:
        return show(path, version, target, guess, SHOWN)

    @app.callback(
        Output("mistakes-body", "children", allow_duplicate=True),
        Input("mistakes-more", "n_clicks"),
        *choices,
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def more(clicks: int | None, version: str | None, target: str, guess: str, path: str) -> Any:
        return show(path, version, target, guess, MOST) if clicks else no_update


PAGE = Page("mistakes", "Mistakes", read, view, register)
