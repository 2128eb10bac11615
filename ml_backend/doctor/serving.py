"""Checks of the order: what Label Studio serves, compared with what the store says it should serve."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.doctor.order_proof import prove_order, standing
from ml_backend.doctor.words import command
from ml_backend.errors import StoreError
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING
from ml_backend.label_studio.publishing import TAB, TAB_TITLE, is_over, is_replaced
from ml_backend.label_studio.queue_names import parse_queue_name
from ml_backend.label_studio.task_fields import top_field


def sampling(context: Context) -> Finding:
    """Label Studio serves by score. Its settings page can switch that off without showing it."""
    name, found = "Sampling", context.project.sampling
    if found == UNCERTAINTY_SAMPLING:
        return Finding(name, "ok", f'"{found}".')
    return Finding(
        name,
        "error",
        f'"{found}", so the scores do not order the tasks. Saving the General settings page causes this.',
        command("doctor", context, "--fix"),
        fixable=True,
    )


def served_version(context: Context) -> Finding:
    """Label Studio serves the store's queue under exactly its name, and has its predictions."""
    name, served, wanted = "Served version", context.project.model_version, context.current.queue
    sync = command("sync", context)
    if wanted is None:
        return Finding(name, "skipped", "Not checked: no order was published yet.", sync)
    if served == wanted and wanted in context.versions:
        return Finding(name, "ok", f"{served}, {context.versions[served]:,} predictions.")
    if served == wanted:
        return Finding(name, "error", f"{served} has no predictions, so tasks come in random order.", sync)
    if is_newer(served, wanted):
        return Finding(
            name,
            "error",
            f"{served}, which is newer than the store's queue {wanted}: the store is another folder, or an old copy.",
            f"Set MODEL_DIR to the backend's folder. If it is that folder, publish a new order: {sync}",
        )
    message = f"{served or 'none'}, but the store's queue is {wanted}, so tasks come in another order or at random."
    if wanted in context.versions:
        return Finding(name, "error", message, command("doctor", context, "--fix"), fixable=True)
    return Finding(name, "error", f"{message} The queue's predictions are gone.", sync)


def is_newer(served: str, wanted: str) -> bool:
    """Whether Label Studio serves a later queue than the store knows."""
    theirs, ours = parse_queue_name(served), parse_queue_name(wanted)
    return theirs is not None and ours is not None and theirs.number > ours.number


def scores(context: Context) -> Finding:
    """Every score of the served version is a number from 0 to 1, and each task has only one."""
    name, rows = "Scores", context.served
    sync = f"Publish a new order: {command('sync', context)}"
    missing = sum(row["score"] is None for row in rows)
    outside = sum(row["score"] is not None and not 0 <= row["score"] <= 1 for row in rows)
    doubled = len(rows) - len({row["task"] for row in rows})
    if missing:
        return Finding(
            name, "error", f"{missing:,} of {len(rows):,} have none: SQLite serves these first, PostgreSQL last.", sync
        )
    if outside:
        return Finding(name, "error", f"{outside:,} of {len(rows):,} are outside 0 to 1.", sync)
    if doubled:
        return Finding(name, "warning", f"{doubled:,} tasks have two, and the Data Manager shows their average.", sync)
    return Finding(name, "ok", f"All {len(rows):,} are between 0 and 1.")


def coverage(context: Context) -> Finding:
    """How many open tasks the order contains, and whether it is used up."""
    name, open_tasks, sync = "Coverage", context.open_tasks, command("sync", context)
    covered = len(open_tasks & {row["task"] for row in context.served})
    message = f"{covered:,} of {len(open_tasks):,} open tasks are in the served order"
    if not open_tasks:
        return Finding(name, "ok", "No open tasks: everything is labelled.")
    if not covered:
        return Finding(name, "error", f"The order is used up: {message}; tasks come at random.", f"{sync} --train")
    if context.queue is not None:
        queued = open_tasks & {item.task_id for item in context.queue.predictions}
        lost = len(queued - {row["task"] for row in context.served})
        if lost:
            return Finding(name, "warning", f"{message}; {lost:,} lost their prediction.", sync)
    return Finding(name, "ok", f"{message}.")


def left_overs(context: Context) -> Finding:
    """No replaced queues of ours are left that are older than they are kept for open pages."""
    name, current = "Left-over versions", context.current.queue
    if current is None:
        return Finding(name, "skipped", "Not checked: no order was published yet.")
    found = _left_overs(context)
    if not found:
        replaced = sum(is_replaced(item, current) for item in context.versions)
        foreign = sum(parse_queue_name(item) is None for item in context.versions)
        told = f" Kept for pages that have a task open: {replaced} of ours." if replaced else ""
        told += f" Not touched: {foreign} of other origin." if foreign else ""
        return Finding(name, "ok", f"None.{told}")
    total = sum(context.versions[item] for item in found)
    return Finding(
        name,
        "warning",
        f"{', '.join(found)}: {total:,} predictions that nothing uses.",
        command("doctor", context, "--fix"),
        fixable=True,
    )


def _left_overs(context: Context) -> list[str]:
    current, served = context.current.queue or "", context.project.model_version
    keep = timedelta(seconds=context.settings.keep_queues_seconds)
    ages = context.version_ages.items()
    return [name for name, age in ages if is_over(name, age, current, keep) and name != served]


def empty_versions(context: Context) -> Finding:
    """The version that Label Studio names has predictions; connecting a backend puts the backend's title there."""
    name, served = "Versions without predictions", context.project.model_version
    if not served or served in context.versions:
        return Finding(name, "ok", "None.")
    return Finding(
        name,
        "error",
        f'"{served}" is to be served but has none, so tasks come in random order. Connecting a backend causes this.',
        f"{command('doctor', context, '--fix')} if an order was published, otherwise {command('sync', context)}",
    )


def tab(context: Context) -> Finding:
    """The Data Manager shows the same order."""
    name = "Data Manager tab"
    for row in context.client.tabs(context.project_id):
        if row["data"].get("title") == TAB_TITLE and all(row["data"].get(key) == value for key, value in TAB.items()):
            return Finding(name, "ok", f'"{TAB_TITLE}" is there.')
    message = f'"{TAB_TITLE}" is missing or was changed.'
    return Finding(name, "warning", message, command("doctor", context, "--fix"), fixable=True)


def locks(context: Context) -> Finding:
    """Not checked: Label Studio's API does not show who holds which task."""
    return Finding(
        "Task locks",
        "skipped",
        "Label Studio's API does not show who holds a task; one opened and left comes back after 24 hours.",
        command("doctor", context, "--order 20") + " names a task that this account holds.",
    )


def order(context: Context) -> Finding:
    """What Label Studio serves next is what the queue says."""
    name = "Order"
    if context.order is None:
        return Finding(
            name,
            "skipped",
            "Not proved, because that answers tasks (and deletes the answers again).",
            command("doctor", context, "--order 20"),
        )
    queue = context.queue
    left = tuple(item for item in queue.predictions if item.task_id in context.open_tasks) if queue else ()
    if queue is None or not left:
        return Finding(name, "skipped", "Nothing to prove: the queue is used up.", command("sync", context))
    queue = replace(queue, predictions=left)
    with standing(context.store):
        question = None if context.by_predictions else context.question
        proof = prove_order(context.client, context.project_id, queue, question, count=context.order)
    held = f" Task {proof.held}, which this account held open, came first." if proof.held else ""
    if proof.holds:
        return Finding(
            name,
            "ok",
            f"The next {len(proof.served):,} tasks are the queue's (answered, and the answers deleted).{held}",
        )
    return Finding(
        name,
        "error",
        f"{proof.difference()}.{held} Somebody may be labelling, or hold a task.",
        f"Try again when nobody labels; then {command('sync', context)}",
    )


def mend_sampling(context: Context) -> str:
    """Serve by score again."""
    context.client.request(
        "PATCH",
        f"api/projects/{context.project_id}",
        body={"sampling": UNCERTAINTY_SAMPLING},
        what=f"Project {context.project_id}",
    )
    return f'Set back to "{UNCERTAINTY_SAMPLING}".'


def mend_served_version(context: Context) -> str:
    """Serve the store's queue again, if its predictions are there."""
    with context.store.lock():  # a round that is running would be publishing another
        served = context.client.project(context.project_id).model_version
        queue = context.store.served(served).queue or ""
        if is_newer(served, queue) or queue not in context.client.prediction_versions(context.project_id):
            raise StoreError("The order has changed in the meantime; run this again.")
        context.client.serve_version(context.project_id, queue)
    return f"Label Studio serves {queue} again."


def mend_left_overs(context: Context) -> str:
    """Delete our old queues, but never the served one or other people's."""
    with context.store.lock(), context.fresh() as now:  # a round that is running has a queue that is not served yet
        if now.project.model_version != now.current.queue:
            raise StoreError("Label Studio does not serve the store's queue; fix that first.")
        found = _left_overs(now)
        for name in found:
            now.client.delete_version(now.project_id, name)
    return f"Deleted {', '.join(found) or 'nothing'}."


def mend_tab(context: Context) -> str:
    """Make the tab again."""
    fields = [f"data.{top_field(context.shown_field)}"] if context.shown_field else []
    shown = ("id", *fields, "predictions_score")
    context.client.ensure_tab(context.project_id, TAB_TITLE, TAB, columns=shown)
    return f'"{TAB_TITLE}" is there again.'
