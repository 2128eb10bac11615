"""Whatever a config, a result or a file is: no traceback, and nothing is lost in silence. `make endurance` has more."""

from hypothesis import given
from support import generated as g

SOME = 200


@g.many(SOME)
@given(g.configs())
def test_configs_are_read_as_label_studio_reads_them_or_refused(xml):
    g.check_config(xml)


def test_enough_of_the_configs_are_read_to_learn_from_them():
    read = []

    @g.many(SOME)
    @given(g.configs())
    def count(xml):
        read.append(g.check_config(xml) is not None)

    count()
    assert 0.1 < sum(read) / len(read) < 0.9


@g.many(SOME)
@given(g.results)
def test_results_are_labels_open_or_told(result):
    g.check_result(result)


def test_rows_of_json_are_read_or_named(tmp_path):
    g.many(SOME)(given(g.st.lists(g.json_rows, max_size=6))(lambda rows: g.check_json(tmp_path, rows)))()


def test_rows_of_tables_are_read_or_named(tmp_path):
    g.many(SOME)(given(g.tables)(lambda table: g.check_table(tmp_path, *table)))()


def test_stray_quotes_take_no_other_line(tmp_path):
    g.many(SOME)(given(g.broken_lines)(lambda lines: g.check_broken_table(tmp_path, lines)))()
