"""Label Studio at ``https://host/ls`` and our server at ``https://host/ml``, behind a real nginx.

One installation has both paths, TLS by a private authority, several names of this machine, and a proxy that answers
nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from support.installation import Installation, annotate, connect
from support.label_studio import LiveLabelStudio, LiveProject, live_label_studio, project_maker
from support.nginx import Front, front
from support.waiting import until

from ml_backend.config import Settings
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Context, examine, mend
from ml_backend.fetching.clients import tls_context
from ml_backend.label_studio.connection import make_fetcher, new_client
from ml_backend.label_studio.media import MediaReader
from ml_backend.records import Task

LS, ML = "/ls", "/ml"
PICTURES = (
    '<View><Image name="i" value="$image"/><Choices name="c" toName="i"><Choice value="dark"/><Choice value="light"/>'
    "</Choices></View>"
)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Front:
    return front(tmp_path_factory.mktemp("nginx"))


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory: pytest.TempPathFactory, nginx: Front) -> Iterator[LiveLabelStudio]:
    """Below a path; it trusts the authority too."""
    env = {"LABEL_STUDIO_HOST": nginx.url + LS, "REQUESTS_CA_BUNDLE": str(nginx.ca_file)}
    with live_label_studio(tmp_path_factory, env) as live:
        yield live


@pytest.fixture(scope="module")
def product(
    tmp_path_factory: pytest.TempPathFactory, nginx: Front, label_studio: LiveLabelStudio
) -> Iterator[Installation]:
    """Our server, behind nginx as Label Studio is, while neither is asked at its own port."""
    with pytest.MonkeyPatch.context() as environment:
        for name in Settings.model_fields:
            environment.delenv(name.upper(), raising=False)
        environment.setenv("TEXT_MODEL", "headlines")
        environment.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody: this machine is asked straight
        settings = Settings(
            label_studio_url=f"https://127.0.0.1:{nginx.port}{LS}",
            label_studio_api_key=label_studio.token,
            model_dir=tmp_path_factory.mktemp("versions"),
            queue_size=8,
            poll_seconds=0,
            ca_file=nginx.ca_file,
            trusted_proxy="127.0.0.1",
        )
        installation = Installation(settings)
        try:
            with nginx.serve({LS: label_studio.url, ML: installation.url}):
                yield installation
        finally:
            installation.close()


@pytest.fixture(scope="module")
def project(label_studio: LiveLabelStudio, product: Installation, nginx: Front) -> Iterator[LiveProject]:
    """Headlines with twelve labels, connected at the public address, and one round."""
    client = new_client(product.settings)
    rows = [{"text": f"{('flood in the river', 'football tonight')[n % 2]}, story {n}"} for n in range(40)]
    for row in rows[:2]:
        row["split"] = "evaluation"
    made = project_maker(label_studio)("headlines", rows, client=client)
    for number, task in enumerate(made.task_ids[:12]):
        client.annotate(task, made.answer(("related", "not related")[number % 2]))
    connect(made, nginx.url + ML, product.settings)
    client.request("POST", f"api/ml/{client.backends(made.id)[0]['id']}/train", body={})
    until(lambda: product.rounds(made), "the first round")
    yield made
    client.close()


def test_labels_come_by_the_webhook_through_the_proxy(
    product: Installation, project: LiveProject, nginx: Front
) -> None:
    (first,) = product.rounds(project)
    assert first["error"] is None
    (hook,) = project.client.webhooks(project.id)
    assert hook["url"] == f"{nginx.url}{ML}/webhook"
    annotate(project, 4)
    until(lambda: product.rounds(project)[1:], "a round for the labels, of which only the webhook told")


def test_the_sdk_and_the_doctor_reach_both(product: Installation, project: LiveProject, nginx: Front) -> None:
    from label_studio_sdk.client import LabelStudio  # here: all workers would wait for it as they collect

    with httpx.Client(verify=tls_context(nginx.ca_file), trust_env=False) as http:
        sdk = LabelStudio(
            base_url=nginx.url + LS, api_key=product.settings.label_studio_api_key.get_secret_value(), httpx_client=http
        )
        assert sdk.projects.get(id=project.id).title == project.project.title
    with Context(product.settings, project.id) as context:
        found = {finding.name: finding for finding in examine(context, CHECKS)}
    wrong = {name: finding.message for name, finding in found.items() if finding.status in ("error", "warning")}
    assert wrong == {}
    assert found["Connected once"].message == f"{nginx.url}{ML} is connected once."


def test_two_names_of_one_server_are_told_and_mended(
    product: Installation, project: LiveProject, nginx: Front, label_studio: LiveLabelStudio
) -> None:
    others = [f"https://127.0.0.1:{nginx.port}{ML}", product.url, product.url.replace("127.0.0.1", "localhost")]
    for number, url in enumerate(others):
        body = {"project": project.id, "url": url, "title": f"by hand {number}", "auth_method": "NONE"}
        project.client.request("POST", "api/ml", body=body, once=True)
    project.client.create_webhook(project.id, f"{nginx.url}{LS}/webhook", {})  # somebody else's
    with Context(product.settings, project.id) as context:
        findings = list(examine(context, CHECKS))
        (found,) = [finding for finding in findings if finding.name == "Connected once"]
        assert found.status == "error"
        assert all(url in found.message for url in others)
        assert all(done.done for done in mend(context, findings, CHECKS))
    assert [row["url"] for row in project.client.backends(project.id)] == [nginx.url + ML]
    left = {row["url"] for row in project.client.webhooks(project.id)}
    assert left == {f"{nginx.url}{ML}/webhook", f"{nginx.url}{LS}/webhook"}
    # The round for the labels of before may end while this runs, and puts up a newer order.
    until(lambda: project.project.model_version == product.rounds(project)[-1]["queue"], "the last round's order")


def test_files_of_tasks_by_each_of_the_names(
    product: Installation, label_studio: LiveLabelStudio, nginx: Front
) -> None:
    raw = BytesIO()
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(raw, format="PNG")
    client = new_client(product.settings)
    try:
        project = client.create_project("Pictures", PICTURES)
        with httpx.Client(verify=tls_context(nginx.ca_file), trust_env=False) as http:
            http.post(
                f"{nginx.url}{LS}/api/projects/{project.id}/import",
                headers={"Authorization": f"Token {label_studio.token}"},
                files={"file": ("light.png", raw.getvalue(), "image/png")},
                timeout=60,
            ).raise_for_status()
        (row,) = [row for page in client.all_tasks(project.id) for row in page]
        stored = next(iter(row["data"].values()))
        assert stored.startswith(f"{LS}/data/upload/")
        reader = MediaReader(client, fetcher=make_fetcher(product.settings))
        for url in (stored, nginx.url + stored, stored.removeprefix(LS), f"https://127.0.0.1:{nginx.port}{stored}"):
            assert reader.read(Task(1, {"image": url}), field="image", object_tag="Image") == raw.getvalue()
    finally:
        client.close()


def test_many_tasks_are_labelled_under_a_persons_name(
    product: Installation, project: LiveProject, label_studio: LiveLabelStudio
) -> None:
    task = project.client.next_task(project.id)["id"]
    body = {"action": "c0ffee" * 5 + "00", "label": "related", "task_ids": [task], "token": label_studio.token}
    answer = httpx.post(f"{product.url}/dashboard/api/projects/{project.id}/bulk", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    (given,) = project.client.request("GET", f"api/tasks/{task}/").json()["annotations"]
    assert given["completed_by"]["id"] == project.client.whoami()["id"]


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def test_the_dashboard_works_below_the_path(
    visitor: Page, product: Installation, project: LiveProject, nginx: Front
) -> None:
    bad: list[str] = []
    visitor.on("response", lambda answer: bad.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    visitor.on(
        "request",
        lambda asked: (
            bad.append(asked.url) if not asked.url.startswith((f"{nginx.url}{ML}/", "data:", "blob:")) else None
        ),
    )
    base = f"{nginx.url}{ML}/dashboard/"
    visitor.goto(base)
    visitor.get_by_role("link", name=project.project.title, exact=True).click()
    expect(visitor.get_by_role("heading", name="Overview")).to_be_visible()
    assert visitor.url == f"{base}{project.id}/overview"
    for link in visitor.locator("nav[aria-label='Pages of this project'] a").all_inner_texts():
        visitor.get_by_role("link", name=link, exact=True).first.click()
        expect(visitor.locator("[aria-current=page]")).to_have_text(link)
        expect(visitor.locator("main h1")).to_be_visible()
        assert visitor.url.startswith(f"{base}{project.id}/")
    visitor.goto(f"{base}{project.id}/queue")
    rounds = len(product.rounds(project))
    with visitor.expect_response(re.compile(rf"{ML}/dashboard/api/projects/{project.id}/wishes$")) as answer:
        visitor.locator("[data-override=pin]").first.click()
    assert answer.value.ok
    until(lambda: product.rounds(project)[rounds:], "a round that puts it in front")
    visitor.goto(f"{base}docs/")
    visitor.locator("main a").first.click()
    expect(visitor.locator("main h1").first).to_be_visible()
    assert visitor.url.startswith(f"{base}docs/")
    assert bad == []
