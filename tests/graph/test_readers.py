from __future__ import annotations

import sys

import polars as pl
import pytest

from pictokg.errors import ConfigError, DataError, DataWarning, MissingExtraError
from pictokg.graph.read import careful, ntriples, rdf, read_triples, table

TRIPLES = [("Zürich", "located in", "Schweiz"), ("東京", "capital of", "日本"), ('"a" #b', "r", "NA")]


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def tsv(rows):
    return "".join("\t".join(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        tsv(TRIPLES),
        tsv(TRIPLES)[:-1],
        tsv(TRIPLES).replace("\n", "\r\n"),
        "\ufeff" + tsv(TRIPLES),
        "\n \n" + tsv(TRIPLES).replace("\n", "\n\n"),
    ],
    ids=["plain", "no last line break", "carriage returns", "byte order mark", "blank lines"],
)
@pytest.mark.parametrize("name", ["triples.tsv", "train.txt"])
def test_tsv_names_of_any_script_with_spaces_and_quotes(tmp_path, name, text):
    assert read_triples(write(tmp_path, name, text)).rows() == TRIPLES


def test_a_declared_order_and_columns_to_leave_out(tmp_path):
    path = write(tmp_path, "a.tsv", "h\tt\tr\t.\na\tc\tb\t\n")
    frame = read_triples(path, ("head", "tail", "relation", "_"))
    assert frame.rows() == [("h", "r", "t"), ("a", "b", "c")]
    assert frame.columns == ["head", "relation", "tail"]


@pytest.mark.parametrize("columns", [("head", "tail"), ("head", "head", "tail"), ("h", "r", "t")])
def test_columns_that_are_not_head_relation_tail_are_refused(tmp_path, columns):
    with pytest.raises(ConfigError, match="once each"):
        read_triples(write(tmp_path, "a.tsv", "a\tb\tc\n"), columns)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "the file is empty"),
        ("\n\n", None, "the file is empty"),
        ("a\tb\tc\na\tb\n", 2, "expected 3 columns .* found 2"),
        ("a\tb\tc\n\na\tb\tc\td\n", 3, "expected 3 columns .* found 4"),
        ("a\tb\n", 1, "found 2"),
        ("a\tr\tb\nc\tr\td\t.\n", 2, "found 4"),
        ("a,b,c\n", 1, "separator: the line has no tab but commas.* or name the file .csv"),
        ("a\tb\tc\na b c\n", 2, "mixed.* but spaces"),
        ("a\tb\tc\n\t\t\n", 2, "the head is empty"),
        ("a\tb\tc\na\t\tc\n", 2, "the relation is empty"),
        ("word\n", 1, "found 1"),
        ("head\trelation\ttail\na\tb\tc\n", 1, "looks like a header"),
        (b"a\tb\tc\na\t\xff\tc\n", 2, "0xff at place 3 is not UTF-8"),
    ],
)
def test_bad_tsv_is_an_error_with_its_line(tmp_path, text, line, message):
    path = write(tmp_path, "train.tsv", text)
    with pytest.raises(DataError, match=message) as caught:
        read_triples(path)
    assert (caught.value.file, caught.value.line) == (path, line)


def test_the_fast_and_the_careful_reader_agree(tmp_path):
    path = write(tmp_path, "a.tsv", tsv(TRIPLES) + "\n" + tsv(TRIPLES))
    fast = table._read_fast(path, table.TRIPLE, 3, table.TRIPLE)
    assert fast is not None
    assert fast.equals(careful.read_carefully(path, table.TRIPLE, 3, table.TRIPLE))


def test_a_missing_file_and_an_unknown_ending_are_named(tmp_path):
    for name in ("a.tsv", "a.csv", "a.parquet", "a.nt", "a.ttl", "train2id.txt"):
        with pytest.raises(DataError, match=r"there is no such file"):
            read_triples(tmp_path / name)
    with pytest.raises(ConfigError, match=r"no reader for this ending; there are: .*\.parquet"):
        read_triples(tmp_path / "a.xlsx")


def test_csv_reads_by_header_with_quoting(tmp_path):
    text = 'tail,note,head,relation\n"Bern, BE",,"a ""b""",r\n\nx,y,東,s\n'
    assert read_triples(write(tmp_path, "a.csv", text)).rows() == [
        ('a "b"', "r", "Bern, BE"),
        ("東", "s", "x"),
    ]


def test_csv_without_header_by_declared_order(tmp_path):
    path = write(tmp_path, "a.csv", "a,c,b\n")
    assert read_triples(path, ("head", "tail", "relation")).rows() == [("a", "b", "c")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "empty"),
        ("head,relation,tail\n", None, "no triples"),
        ("a,b,c\n", 1, "the header must name head, relation and tail"),
        ("head,relation\na,b\n", 1, "must name"),
        ("head,relation,tail\na,b,c\na,b\n", 3, "expected 3 columns"),
        ("head,relation,tail\na,b,c,d\n", 2, "found 4"),
        ("head,relation,tail\na,,c\n", 2, "a name is empty"),
        (b"head,relation,tail\na,\xff,c\n", None, "not UTF-8"),
    ],
)
def test_bad_csv_is_an_error_with_its_line(tmp_path, text, line, message):
    with pytest.raises(DataError, match=message) as caught:
        read_triples(write(tmp_path, "a.csv", text))
    assert caught.value.line == line


def test_parquet_by_name_by_order_and_with_numbers(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"tail": [3], "head": ["a"], "relation": ["r"], "more": [0]}).write_parquet(path)
    assert read_triples(path).rows() == [("a", "r", "3")]
    pl.DataFrame({"x": ["a"], "y": ["b"], "z": ["r"]}).write_parquet(path)
    assert read_triples(path, ("head", "tail", "relation")).rows() == [("a", "r", "b")]
    with pytest.raises(DataError, match="expected the columns head, relation, tail; found: x, y, z"):
        read_triples(path)


def test_bad_parquet_is_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"head": ["a", None], "relation": ["r", "r"], "tail": ["b", "b"]}).write_parquet(path)
    with pytest.raises(DataError, match="row 2 has no head"):
        read_triples(path)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_triples(write(tmp_path, "b.parquet", "head\n"))
    pl.DataFrame(schema=dict.fromkeys(table.TRIPLE, pl.String)).write_parquet(path)
    with pytest.raises(DataError, match="no triples"):
        read_triples(path)


NTRIPLES = r"""# a comment
<http://e/a> <http://e/p> <http://e/b> .

<http://e/a> <http://e/name> "an \"A\" > <b>"@en-GB .
 <http://e/a>	<http://e/p>  _:x.1 . # blank node
<http://e/b><http://e/p><http://e/\u00e9\U0001F600>.
_:x.1 <http://e/age> "4"^^<http://www.w3.org/2001/XMLSchema#integer> .
<http://e/last> <http://e/p> <http://e/b> .
"""
STATEMENTS = [
    ("http://e/a", "http://e/p", "http://e/b"),
    ("http://e/a", "http://e/p", "_:x.1"),
    ("http://e/b", "http://e/p", "http://e/é😀"),
    ("http://e/last", "http://e/p", "http://e/b"),
]


@pytest.mark.parametrize("block", [1, 100, 2**20])
def test_ntriples_in_blocks_of_any_size_with_literals_counted(tmp_path, monkeypatch, block):
    monkeypatch.setattr(ntriples, "BLOCK", block)
    path, notes = write(tmp_path, "a.nt", NTRIPLES), []
    assert read_triples(path, notes=notes).rows() == STATEMENTS
    assert notes == [f"{path}: 2 statements whose object is a literal were skipped"]


def test_skipped_literals_are_warned_of_where_nobody_collects_notes(tmp_path):
    with pytest.warns(DataWarning, match="2 statements whose object is a literal"):
        read_triples(write(tmp_path, "a.nt", NTRIPLES))


@pytest.mark.parametrize("block", [1, 2**20])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"<http://e/a> <http://e/p> <http://e/b>", "expected '<subject> <predicate> <object> .'"),
        (b'"a" <http://e/p> <http://e/b> .', "expected"),
        (b"<http://e/a> _:p <http://e/b> .", "expected"),
        (b"a\tb\tc", "name the file by its own format"),
        (b"<http://e/\xff> <http://e/p> <http://e/b> .", "not UTF-8"),
    ],
)
def test_a_malformed_statement_is_an_error_with_its_line(tmp_path, monkeypatch, block, bad, message):
    monkeypatch.setattr(ntriples, "BLOCK", block)
    good = b"<http://e/a> <http://e/p> <http://e/b> .\n\n"
    with pytest.raises(DataError, match=message) as caught:
        read_triples(write(tmp_path, "a.nt", good + bad + b"\n" + good))
    assert caught.value.line == 3


def test_a_file_without_links_between_entities_is_an_error(tmp_path):
    notes = []
    for name, text in (("a.nt", ""), ("b.nt", '<http://e/a> <http://e/p> "b" .\n'), ("c.ttl", "")):
        with pytest.raises(DataError, match="no statement between two entities"):
            read_triples(write(tmp_path, name, text), notes=notes)


RDF = {
    "a.ttl": "@prefix e: <http://e/> . e:a e:p e:b , [ e:q e:c ] ; e:name 'x' .",
    "a.trig": "@prefix e: <http://e/> . e:g { e:a e:p e:b , [ e:q e:c ] ; e:name 'x' . }",
    "a.nq": "<http://e/a> <http://e/p> <http://e/b> <http://e/g> .\n_:x <http://e/q> <http://e/c> .\n"
    '<http://e/a> <http://e/p> _:x .\n<http://e/a> <http://e/name> "x" .\n',
    "a.rdf": '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/">'
    '<rdf:Description rdf:about="http://e/a"><e:p rdf:resource="http://e/b"/><e:p><rdf:Description>'
    '<e:q rdf:resource="http://e/c"/></rdf:Description></e:p><e:name>x</e:name></rdf:Description></rdf:RDF>',
    "a.jsonld": '{"@id": "http://e/a", "http://e/p": [{"@id": "http://e/b"}, {"http://e/q": {"@id": "http://e/c"}}],'
    ' "http://e/name": "x"}',
}
RDF["a.xml"] = RDF["a.rdf"]


@pytest.mark.parametrize("name", RDF)
def test_rdf_syntaxes_say_the_same_with_stable_blank_nodes(tmp_path, monkeypatch, name):
    pytest.importorskip("pyoxigraph")
    monkeypatch.setattr(rdf, "BLOCK", 2)
    path, notes = write(tmp_path, name, RDF[name]), []
    frames = [read_triples(path, notes=notes) for _ in range(2)]
    assert frames[0].equals(frames[1])
    assert sorted(frames[0].rows()) == [
        ("_:b0", "http://e/q", "http://e/c"),
        ("http://e/a", "http://e/p", "_:b0"),
        ("http://e/a", "http://e/p", "http://e/b"),
    ]
    assert notes[0].endswith("1 statements whose object is a literal were skipped")


def test_a_syntax_error_in_turtle_has_its_line(tmp_path):
    pytest.importorskip("pyoxigraph")
    with pytest.raises(DataError) as caught:
        read_triples(write(tmp_path, "a.ttl", "@prefix e: <http://e/> .\ne:a e:p e:b .\ne:a oops .\n"))
    assert caught.value.line == 3


def test_rdf_without_pyoxigraph_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pictokg\[rdf\]'"):
        read_triples(write(tmp_path, "a.ttl", RDF["a.ttl"]))


def openke(folder, triples="2\n0 1 0\n2\t0\t1\n"):
    write(folder, "entity2id.txt", "3\nNew York\t1\na\t0\n東京\t2\n")
    write(folder, "relation2id.txt", "2\nr 0\ns 1\n")
    return write(folder, "train2id.txt", triples)


@pytest.mark.parametrize("triples", ["2\n0 1 0\n2\t0\t1\n", "0 1 0\n\n2  0 1\n"])
def test_openke_is_head_tail_relation(tmp_path, triples):
    assert read_triples(openke(tmp_path, triples)).rows() == [("a", "r", "New York"), ("東京", "s", "a")]


def test_openke_in_another_declared_order(tmp_path):
    path = openke(tmp_path, "2\n0 1 0\n2 0 1\n")
    assert read_triples(path, table.TRIPLE).rows() == [("a", "s", "a"), ("東京", "r", "New York")]


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("train2id.txt", "3\n0 1 0\n", 1, "states 3 lines, but 1 follow"),
        ("train2id.txt", "1\n0 1\n", 2, "expected 3 ids"),
        ("train2id.txt", "2\n0 1 0\n0 1 0 2\n", 3, "expected 3 ids"),
        ("train2id.txt", "2\n0 1\n0 1 0 2\n", 2, "expected 3 ids"),
        ("train2id.txt", "1\na b c\n", 2, "expected 3 ids"),
        ("train2id.txt", "1\n0 1 5\n", None, "the relation id 5, but there are 2 names"),
        ("train2id.txt", "", None, "empty"),
        ("entity2id.txt", "1\nalone\n", 2, "expected a name and an id"),
        ("entity2id.txt", "a 0\nb 0\n", 2, "the id 0 stands twice"),
        ("entity2id.txt", "a 0\nb 2\n", None, "1 is not among them"),
        ("entity2id.txt", "5\na 0\nb 1\n", 1, "states 5"),
        ("entity2id.txt", b"\xff 0\n", None, "not UTF-8"),
    ],
)
def test_bad_openke_files_are_errors(tmp_path, name, text, line, message):
    path = openke(tmp_path)
    write(tmp_path, name, text)
    with pytest.raises(DataError, match=message) as caught:
        read_triples(path)
    assert caught.value.line == line
    assert str(caught.value.file).endswith(name)
