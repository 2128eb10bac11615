"""Check of other models' predictions, for a project that is ordered by them."""

from __future__ import annotations

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.doctor.words import command
from ml_backend.label_studio.foreign import is_foreign


def predictions(context: Context) -> Finding:
    """There are predictions of the version that the settings name."""
    name = "Other models' predictions"
    if not context.by_predictions:
        return Finding(name, "ok", "Not needed: a model of ours orders the tasks.")
    params = context.store.extra_params()
    wanted = context.settings.project_settings(params, where=f"Project {context.project_id}").predictions_from
    there = {version: count for version, count in context.versions.items() if is_foreign(version)}
    told = ", ".join(f"{version or 'without a name'} ({count:,})" for version, count in sorted(there.items()))
    if wanted and wanted not in there:
        return Finding(
            name,
            "error",
            f"There are none of {wanted!r}, only of {told or 'nobody'}.",
            "Correct predictions_from in the extra params (Settings > Model), or let that model predict.",
        )
    if not there:
        remedy = f"Retrieve Predictions in the Data Manager, or import some; then {command('sync', context)}"
        return Finding(name, "warning", "There are none, so the order is random.", remedy)
    return Finding(name, "ok", f"{told}.")
