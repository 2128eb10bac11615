"""What Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families


def scrape(client, **options):
    """Every sample of one scrape: name without prefix → labels → value."""
    answer = client.get("/metrics", **options)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            name = sample.name.removeprefix("active_learning_")
            found.setdefault(name, {})[tuple(sample.labels.values())] = sample.value
    return found
