"""The doctor and a healthy installation."""

from dataclasses import replace

from support.doctored import NOT_PROVED, QUEUE
from support.faulty_proxy import Fault, FaultyProxy

from ml_backend.doctor.checks import CHECKS
from ml_backend.label_studio.projects import TESTED_VERSIONS


def test_a_healthy_installation_has_nothing_wrong(installation, run):
    found = installation.findings()
    assert {name: item for name, item in found.items() if item.status != "ok"}.keys() == NOT_PROVED
    assert found["Label Studio"].message.endswith(f"version {TESTED_VERSIONS[-1]}.")
    assert "Legacy token of " in found["Token"].message
    assert found["Coverage"].message == f"{QUEUE} of 14 open tasks are in the served order."
    assert f"{QUEUE} are between 0 and 1" in found["Scores"].message
    assert "with its secret" in found["Webhook"].message
    assert "refuses others" in found["Backend's password"].message
    assert [check.name for check in CHECKS] == list(found)
    # Looking changes nothing, and --fix finds nothing to do.
    before = installation.project.project
    told = run("--fix").stdout
    assert "mended" not in told
    assert f"{len(CHECKS) - 2} ok, 0 warning, 0 error, 2 skipped" in told
    assert installation.project.project == before


def test_the_order_is_proved_only_when_asked_and_everything_is_taken_back(installation, run):
    before = installation.project.project.annotation_count
    result = run("--order", "3")
    assert "The next 3 tasks are the queue's" in result.stdout
    assert "answers the next 3 tasks as this account, and deletes these answers" in result.stderr
    assert installation.project.project.annotation_count == before
    # Tasks that were labelled since the publication are no mistake in the order.
    installation.client.annotate(
        installation.store.queue(installation.store.current().queue).predictions[0].task_id,
        installation.project.answer("related"),
    )
    assert installation.findings(order=2)["Order"].status == "ok"


def test_a_release_that_nobody_tested_gets_a_warning_and_its_order_is_proved(installation, label_studio):
    proxy = FaultyProxy(label_studio.url)
    proxy.start(lambda request: Fault.UNKNOWN_RELEASE if request.name == "GET api/version" else None)
    installation.settings = installation.settings.model_copy(update={"label_studio_url": proxy.url})
    try:
        found = installation.findings(order=3)
    finally:
        proxy.close()
    assert "1.99.0 was not tested" in found["Label Studio"].message
    assert {item.status for name, item in found.items() if name not in {"Label Studio", *NOT_PROVED}} == {"ok"}
    assert found["Order"].status == "ok"


def test_no_order_is_proved_while_a_round_runs(installation):
    with installation.store.lock():
        found = installation.findings(order=2)["Order"]
    assert found.status == "error"
    assert "Another process is working on this project" in found.message


def test_a_wrong_order_is_found(installation):
    queue = installation.store.queue(installation.store.current().queue)
    installation.store.write_queue(replace(queue, predictions=queue.predictions[::-1]))
    found = installation.findings(order=2)["Order"]
    assert found.status == "error"
    assert "published task" in found.message
    assert "lsal sync" in found.remedy
