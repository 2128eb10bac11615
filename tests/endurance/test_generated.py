"""Three thousand configs, results and files of each kind; sixty of the configs in a browser."""

from hypothesis import given
from support import generated as g
from support.shown_configs import shown, stored

MANY = 3_000


@g.many(MANY)
@given(g.configs())
def test_configs(xml):
    g.check_config(xml)


@g.many(MANY)
@given(g.results)
def test_results(result):
    g.check_result(result)


def test_files(tmp_path):
    g.many(MANY)(given(g.st.lists(g.json_rows, max_size=6))(lambda rows: g.check_json(tmp_path, rows)))()
    g.many(MANY)(given(g.tables)(lambda table: g.check_table(tmp_path, *table)))()
    g.many(MANY)(given(g.broken_lines)(lambda lines: g.check_broken_table(tmp_path, lines)))()


def test_the_page_shows_the_question_of_each_config_that_is_read(page, label_studio):
    problems, seen = {}, 0
    for xml, config in g.accepted_configs(60):
        if not config.question.by_url:
            seen += 1
            wrong = shown(page, label_studio, xml, config.question, "a text", stored(config.question, "a text"))
            problems |= {xml: wrong} if wrong else {}
    assert problems == {}
    assert seen > 50
