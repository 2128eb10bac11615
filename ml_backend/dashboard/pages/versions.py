"""All stored versions: compare two, go back to one, download one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.actions import ask, store_of
from ml_backend.dashboard.address import link
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.reading.form import setting_label
from ml_backend.dashboard.reading.versions import read_comparison, read_versions
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError, StoreError

NAMES: Final = {
    "accuracy": "Accuracy",
    "f_macro": "F-score, mean of the classes",
    "f_micro": "F-score of all choices",
    "f_positive": "F-score of the rarer class",
    "auc": "AUC",
    "nll": "Loss on the evaluation tasks",
    "ece": "Calibration error",
    "n": "Evaluation tasks",
    "labels": "Labels",
    "trained": "Trained",
    "model": "Model",
    "learnt from": "Learnt from",
}
SHARES: Final = ("accuracy", "f_macro", "f_micro", "f_positive", "auc")
"""Shown as percentages, like on all other pages."""
LEARNT_FROM: Final = {"labels": "labels", "pool": "all tasks"}


def read(view: View) -> Data:
    """The table; ``a`` and ``b`` in the address name two versions to compare."""
    data = read_versions(view.store) | {"project": view.project_id, "comparison": None, "problem": None}
    sound = [row["name"] for row in data["versions"] if not row["damaged"]]
    asked = view.parameters
    pair = (asked.get("a") or (sound[1] if len(sound) > 1 else ""), asked.get("b") or (sound[0] if sound else ""))
    data |= {"a": pair[0], "b": pair[1], "sound": sound}
    if not all(pair):
        return data
    try:
        return data | {"comparison": read_comparison(view.store, *pair)}
    except StoreError as exc:
        return data | {"problem": str(exc)}


def view(data: Data) -> Any:
    """Table and comparison."""
    lead = "Every training keeps its model, whole, with what it said about each evaluation task."
    if not data["versions"]:
        empty = parts.nothing_yet(
            "No model yet.", "Label tasks of two classes, then press “Train now” on the overview."
        )
        return parts.page("Versions", empty, lead=lead)
    content: list[Any] = [_table(data)]
    if len(data["sound"]) > 1:
        content.append(_compare(data))
    return parts.page("Versions", *content, lead=lead)


def _table(data: Data) -> html.Section:
    head = ("Version", "Trained", "Labels", "Learnt from", "Accuracy", "F-score", "AUC", "Size", "Use", "")
    rows = [_row(row, data["project"]) for row in data["versions"]]
    table = parts.table(head, rows, caption="Stored versions, newest first", numbers=(2, 4, 5, 6, 7))
    answer = html.Div(id="version-answer", role="status")
    return parts.section("Stored versions", table, answer)


def _row(row: dict[str, Any], project: int) -> tuple[Any, ...]:
    name = html.Td(row["name"], className="code")
    if row["damaged"]:
        return (name, "damaged: delete its folder", "", "", "", "", "", "", ", ".join(row["use"]), "")
    metrics = row["metrics"] or {}
    f_score = metrics.get("f_positive") if metrics.get("f_positive") is not None else metrics.get("f_macro")
    use = [*row["use"], *([] if row["promoted"] else ["held back: clearly worse"])]
    use += ["no better than guessing"] if row["guesses"] else []
    actions: list[Any] = [
        html.A(
            "Download",
            href=link(f"{project}/versions/{row['name']}.zip"),
            **parts.aria(label=f"Download {row['name']}"),
        )
    ]
    if "in use" not in row["use"]:
        identity = {"type": "serve", "version": row["name"]}
        button = html.Button(
            "Roll back", className="button plain small", n_clicks=0, **parts.aria(label=f"Roll back to {row['name']}")
        )
        message = f"Serve {row['name']} from now on, and keep it until it is unpinned?"
        actions.append(dcc.ConfirmDialogProvider(button, id=identity, message=message))
    return (
        name,
        html.Td(datetime.fromisoformat(row["created_at"]).strftime("%Y-%m-%d %H:%M"), className="nowrap"),
        f"{row['labels']:,}",
        LEARNT_FROM.get(row["learnt_from"], row["learnt_from"]),
        words.percent(metrics.get("accuracy")),
        words.percent(f_score),
        words.percent(metrics.get("auc")),
        words.size(row["bytes"]),
        ", ".join(use),
        html.Td(html.Div(actions), className="row-actions"),
    )


def _compare(data: Data) -> html.Section:
    pickers = html.Div(
        [
            parts.select("This version", data["sound"], data["a"], identity="compare-a"),
            parts.select("and this one", data["sound"], data["b"], identity="compare-b"),
        ],
        className="form pickers",
    )
    return parts.section("Compare two", pickers, html.Div(comparison(data), id="comparison"), topic="held back")


def comparison(data: Data) -> Any:
    """Two versions side by side."""
    if data["problem"]:
        return parts.notice(data["problem"], "warning")
    found = data["comparison"]
    if found is None:
        return None
    head = ("", found["a"], found["b"])
    rows = [
        (_name(row["name"]), _cell(row["name"], row["a"]), _cell(row["name"], row["b"]))
        for row in [*found["facts"], *found["metrics"]]
        if row["a"] is not None or row["b"] is not None
    ]
    content: list[Any] = [_verdict(found), parts.table(head, rows, caption="Figures", numbers=(1, 2))]
    if found["settings"]:
        differences = [
            (setting_label(row["name"]), _cell("", row["a"]), _cell("", row["b"])) for row in found["settings"]
        ]
        content.append(parts.table(head, differences, caption="Settings that differ", numbers=(1, 2)))
    else:
        content.append(html.P("Both were trained with the same settings.", className="note"))
    return content


def _verdict(found: dict[str, Any]) -> Any:
    test = found["mcnemar"]
    if test["problem"]:
        return parts.notice(test["problem"], "info")
    better = test["accuracy"] - test["accuracy_before"]
    word = "as good as" if better == 0 else "better than" if better > 0 else "worse than"
    chance = "" if better == 0 else f" Chance alone would bring so much in {words.percent(test['p_value'])} of cases."
    return parts.notice(
        f"On the same {test['n']:,} evaluation tasks {found['b']} is {word} {found['a']}: "
        f"{words.count(test['won'], 'task')} more right, {test['lost']:,} more wrong.{chance}"
    )


def _name(figure: str) -> Any:
    """A figure's name, with a link to its explanation."""
    topics = {"ece": "calibration error", "nll": "loss", "auc": "AUC", "f_macro": "f-score", "f_positive": "f-score"}
    name = NAMES.get(figure, figure)
    return [name, parts.explain(topics[figure])] if figure in topics else name


def _cell(name: str, value: Any) -> str:
    if value is None:
        return words.MISSING
    if name in SHARES:
        return words.percent(value)
    if name == "learnt from":
        return LEARNT_FROM.get(value, str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text[:16].replace("T", " ") if "T" in text and text[:2] == "20" else text


def register(app: Dash, services: Services) -> None:
    """Comparison and rollback."""

    @app.callback(
        Output("comparison", "children"),
        Input("compare-a", "data"),
        Input("compare-b", "data"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def compare(a: str, b: str, path: str) -> Any:
        try:
            return comparison(
                {"problem": None, "comparison": read_comparison(store_of(services, path), str(a), str(b))}
            )
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "warning")

    @app.callback(
        Output("version-answer", "children"),
        Input({"type": "serve", "version": ALL}, "submit_n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def serve(clicks: list[int | None], path: str) -> Any:
        if not any(clicks) or not isinstance(ctx.triggered_id, dict):
            return no_update
        version = str(ctx.triggered_id.get("version"))
        try:
            if version not in store_of(services, path).versions():
                return parts.notice(f"{version} is not stored any more; load the page again.", "error")
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "error")
        return ask(services, path, f"{version} will be served, and kept.", train=False, pin=version)


PAGE = Page("versions", "Versions", read, view, register)
