"""`lsal pool hold-out`: evaluation tasks from the whole pool."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, progress_bar, tell_errors, warn

CountOption = Annotated[int, typer.Option("--count", min=1, help="How many evaluation tasks of the pool in all.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Fixes which rows are drawn.")]


@tell_errors
def hold_out(project: ProjectOption, count: CountOption = 200, seed: SeedOption = 0, url: UrlOption = None) -> None:
    """Hold rows out for measuring: drawn uniformly from the whole pool, they become tasks that no model learns from."""
    from ml_backend.cli.joining import joined
    from ml_backend.pool import engine, hold_out
    from ml_backend.rounds.evaluation_tasks import TAB_TITLE
    from ml_backend.store.registry import stores_of

    settings, client = connect(url)
    engine.use(settings.ray_address)
    store = stores_of(settings).get(client.project(project).uid)
    with progress_bar() as bar:
        shown = bar.add_task("Holding out", total=None)
        fed, before = joined(
            lambda: hold_out.hold_out(
                client,
                project,
                store,
                count,
                seed=seed,
                progress=lambda done, total: bar.update(shown, completed=done, total=total),
            ),
            project,
            settings,
        )
    for told in fed.lost:
        warn(f"Left out: {told}")
    for row, why in fed.refused.items():
        warn(f"{row}: {why}")
    console.print(f"{len(fed.tasks):,} new evaluation tasks; {before:,} were there.", highlight=False)
    if fed.tasks:
        console.print(
            f"Next: lsal sync --project {project}, and label them in Label Studio's tab “{TAB_TITLE}”.",
            highlight=False,
            soft_wrap=True,
        )
