"""The way in without any script: a person types the backend's address into Settings > Model of a project of theirs."""

import re
from urllib.parse import quote, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, Response, expect
from support.annotators import headlines
from support.installation import annotate
from support.label_studio import LiveLabelStudio, MakeProject
from support.waiting import until

from ml_backend.label_studio.webhook_secret import HEADER

USER, PASSWORD = "label", "stüdio"


@pytest.mark.parametrize("with_password", [True, False])
def test_a_project_connected_on_the_page_learns_at_once(
    make_project: MakeProject, install, page: Page, label_studio: LiveLabelStudio, with_password: bool
) -> None:
    project = headlines(make_project, labelled=12, in_all=40)
    secret = {"basic_auth_user": USER, "basic_auth_pass": PASSWORD} if with_password else {}
    product = install(queue_size=20, poll_seconds=1, **secret)
    type_backend(page, f"{label_studio.url}/projects/{project.id}/settings/ml", product.url, with_password)

    (first,) = until(lambda: product.rounds(project), "a round for the labels that were there")
    assert (first["error"], first["labels"]) == (None, 12)
    (hook,) = project.client.webhooks(project.id)
    assert hook["url"] == f"{product.url}/webhook"
    assert (HEADER in (hook["headers"] or {})) == with_password
    told = [text for text in first["messages"] if "carries the present one now" in text]
    assert len(told) == with_password
    assert project.project.sampling.startswith("Uncertainty"), "tasks come by the model's order"

    heard = heard_events(product)
    annotate(project, 10)
    until(lambda: product.rounds(project)[1:], "a round for the ten labels")
    assert product.rounds(project)[1]["trigger"] == "labels"
    assert heard_events(product) - heard >= 10, "by the webhook, not by polling alone"

    login = {"username": USER, "password": PASSWORD}
    visitor = page.context.browser.new_context(http_credentials=login if with_password else None).new_page()
    visitor.goto(f"{product.url}/dashboard/{project.id}")
    expect(visitor.get_by_role("heading", name="Overview")).to_be_visible()
    visitor.context.close()

    # As people keep it in a bookmark: browsers refuse what such a page fetches, so it is opened anew without.
    stranger = page.context.browser.new_context().new_page()
    stranger.goto(f"{product.url.replace('//', f'//{quote(USER)}:{quote(PASSWORD)}@')}/dashboard/{project.id}?a=b#c")
    expect(stranger.get_by_role("heading", name="Overview")).to_be_visible()
    expect(stranger).to_have_url(f"{product.url}/dashboard/{project.id}?a=b#c")
    stranger.context.close()


def heard_events(product) -> float:
    """Events of webhooks that were let in."""
    login = (USER, PASSWORD) if product.settings.basic_auth_user else None
    found = httpx.get(f"{product.url}/metrics", auth=login, timeout=60).raise_for_status().text
    counts = re.findall(r'http_request_seconds_count\{method="POST",route="/webhook",status="200"\} (\S+)', found)
    return sum(map(float, counts))


def type_backend(page: Page, address: str, url: str, with_password: bool) -> None:
    """What the person does."""
    page.goto(address)
    page.get_by_text("Connect Model").last.click()
    page.locator("[name=title]").fill("Active learning")
    page.locator("[name=url]").fill(url)
    if with_password:
        page.get_by_text("No Authentication").last.click()
        page.get_by_text("Basic Authentication").last.click()
        page.locator("[name=basic_auth_user]").fill(USER)
        page.locator("[name=basic_auth_pass]").fill(PASSWORD)
    for _ in range(3):  # Label Studio waits 3 s for the backend; where its disk was busy, a person presses again
        with page.expect_response(is_connecting) as answer:
            page.get_by_text("Validate and Save").click()
        if "timed out" not in answer.value.text():
            break
    # Exactly: "Successfully connected to … but it doesn't look like a valid ML backend" says that it was refused.
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()


def is_connecting(response: Response) -> bool:
    """Whether it answers the request that makes a connection."""
    return response.request.method == "POST" and urlsplit(response.url).path.rstrip("/").endswith("/api/ml")
