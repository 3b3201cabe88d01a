"""Languages: what is spoken, whole catalogues that say what the code says, and no sentence outside
them."""

import ast
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages import Catalog

from causalclip.examination.answer import short_name
from causalclip.languages import (
    END,
    ENGLISH,
    FOLDER,
    ISOLATE,
    LANGUAGES,
    _,
    any_of,
    best,
    bracketed,
    current,
    day,
    decimal,
    ended,
    figure,
    is_rtl,
    ngettext,
    number,
    paragraph,
    percent,
    speaking,
)
from causalclip.paths import shipped_folder
from scripts import catalogues
from scripts.catalogues import Message, messages


@pytest.mark.parametrize(
    ("accepted", "chosen", "language"),
    [
        ("", "", "en"),
        ("de-AT;q=0.7, fr;q=0.9", "", "fr"),
        ("fr;q=0, de", "", "de"),
        ("fr", "de", "de"),
        ("zh-TW, en;q=0.5", "", "zh"),
        ("fr", "zh-CN", "zh"),
        (";;;q=x,,de;q=high," + "a" * 9000, "", "en"),
        ("../../etc", "../../etc", "en"),
    ],
)
def test_the_choice_comes_before_what_the_browser_prefers(
    accepted: str, chosen: str, language: str
) -> None:
    assert best(accepted, chosen) == language


def test_it_is_spoken_inside_alone() -> None:
    with speaking("de"):
        assert current() == "de"
        with speaking("no language"):
            assert current() == ENGLISH
        assert _("Likely generated") == "Wahrscheinlich generiert"
    assert _("Likely generated") == "Likely generated"
    assert _("") == ""


@pytest.mark.parametrize(
    ("language", "whole", "broken", "when", "either"),
    [
        ("en", "12,345", "0.50", "5 November 2026", "a, b or c"),
        ("de", "12.345", "0,50", "5. November 2026", "a, b oder c"),
        ("ar", "12,345", "0.50", "5 نوفمبر 2026", "a أو b أو c"),
        ("ja", "12,345", "0.50", "2026年11月5日", "a、b、またはc"),
        ("zh", "12,345", "0.50", "2026年11月5日", "a、b或c"),
    ],
)
def test_numbers_days_and_lists_are_the_languages_own(
    language: str, whole: str, broken: str, when: str, either: str
) -> None:
    with speaking(language):
        assert number(12345) == whole
        assert decimal(0.5, digits=2) == broken
        assert figure(50.0) == "50"
        assert day(datetime(2026, 11, 5, tzinfo=UTC)) == when
        assert any_of(["a", "b", "c"]) == either


WRITTEN = {  # a share and a whole number
    "en": ("4.5%", "12,345"),
    "es": ("4,5\xa0%", "12.345"),
    "fr": ("4,5\xa0%", "12\u202f345"),
    "de": ("4,5\xa0%", "12.345"),
    "pt": ("4,5%", "12.345"),
    "ar": ("4.5%", "12,345"),
    "hi": ("4.5%", "12,345"),
    "id": ("4,5%", "12.345"),
    "ja": ("4.5%", "12,345"),
    "tr": ("%4,5", "12.345"),
    "uk": ("4,5%", "12\xa0345"),
    "zh": ("4.5%", "12,345"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_are_written_one_way_in_every_language(language: str) -> None:
    """Also those in a sentence, and those that a sentence says itself."""
    share, thousands = WRITTEN[language]
    with speaking(language):
        assert percent(0.045, digits=None) == percent(0.045, digits=1) == share
        assert number(12345) == thousands
        ninety = re.sub("4[.,]5", "91", share)
        assert percent(0.91) == ninety
        assert ninety in _("The map explains {percent} of the score.", percent=percent(0.91))
        assert percent(0.75) in _("cropped to 75%")


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "File. Score."), ("ja", "ファイル。スコア。"), ("zh", "文件。分数。")],
)
def test_sentences_are_put_together_as_the_language_does(language: str, said: str) -> None:
    with speaking(language):
        assert paragraph(ended(_("File")), "", ended(_("Score"))) == said


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "file name (Pixels)"), ("ja", "ファイル名（ピクセル）"), ("zh", "文件名（像素）")],
)
def test_brackets_are_the_languages_own(language: str, said: str) -> None:
    with speaking(language):
        assert bracketed(_("file name"), _("Pixels")) == said
        assert bracketed("file", "") == "file"


def test_in_french_no_line_begins_with_a_mark() -> None:
    """What stands before : ; ? ! and within quotes does not break."""
    for message, forms in pairs(catalogues.read("fr")):
        assert not any(re.search(r" [:;?!»]|« ", form) for form in forms), message


def test_a_french_translation_may_be_written_with_plain_spaces() -> None:
    catalogue = Catalog("fr")
    catalogue.add("“It”: yes?", "« Il » : oui ?")
    catalogue.add(("a!", "as!"), ("un !", "des !"))
    catalogues.unbroken(catalogue)
    one, many = pairs(catalogue)
    assert one[1] == ("«\xa0Il\xa0»\xa0: oui\xa0?",)
    assert many[1] == ("un\xa0!", "des\xa0!")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_headline_names_a_program_without_what_is_in_brackets(language: str) -> None:
    with speaking(language):
        name = "Stable Diffusion web UI (Automatic1111, Forge or a program that writes the same)"
        assert _(name) != name or language == ENGLISH
        assert short_name(name) == "Stable Diffusion web UI"


def test_a_name_keeps_its_direction_in_arabic() -> None:
    with speaking("ar"):
        assert is_rtl()
        said = _("by {generator}", generator="Midjourney")
    assert f"{ISOLATE}Midjourney{END}" in said
    assert not is_rtl()


OTHERS = [language for language in LANGUAGES if language != ENGLISH]
FORMS = {  # counts, one for each form that the language has
    "es": (1, 1_000_000, 2),
    "fr": (0, 1_000_000, 2),
    "de": (1, 2),
    "pt": (1, 1_000_000, 2),
    "ar": (0, 1, 2, 3, 11, 100),
    "hi": (1, 2),
    "tr": (1, 2),
    "uk": (21, 2, 11),
    "id": (1,),
    "ja": (1,),
    "zh": (1,),
}


@pytest.fixture(params=OTHERS)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def catalogue(language: str) -> Catalog:
    return catalogues.read(language)


@pytest.fixture(scope="module")
def said() -> set[Message]:
    """What the code says: to read all of it takes half a second."""
    return set(catalogues.messages())


def pairs(catalogue: Catalog) -> Iterator[tuple[Message, tuple[str, ...]]]:
    """Every message with its translation, or its forms."""
    for message in catalogue:
        if message.id:
            yield (
                message.id,
                (message.string,) if isinstance(message.string, str) else tuple(message.string),
            )


def names(text: str) -> list[str]:
    return sorted(
        name
        for _text, name, _format, _conversion in string.Formatter().parse(text)
        if name is not None
    )


def test_every_language_that_is_offered_has_a_catalogue_and_no_other_lies_there() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.po")) == sorted(OTHERS)


def test_no_message_is_missing_or_is_said_no_more(catalogue: Catalog, said: set[Message]) -> None:
    assert catalogues.missing(catalogue) == []
    assert {message for message, _forms in pairs(catalogue)} == said
    assert not any(message.fuzzy for message in catalogue if message.id)


def test_names_tags_and_forms_are_those_of_the_message_and_the_catalogue(
    catalogue: Catalog,
) -> None:
    """One plural form may say a number as a word: "a picture".

    How many forms there are is said by the catalogue's own head, which the standard library's
    gettext follows; Babel's rule for a language changes with its version.
    """
    for message, forms in pairs(catalogue):
        if isinstance(message, str):
            assert names(forms[0]) == names(message)
            assert forms[0].count("<b>") == message.count("<b>") == forms[0].count("</b>")
            continue
        assert len(forms) == catalogue.num_plurals
        for form in forms:
            assert set(names(message[1])) - {"n"} <= set(names(form)) <= set(names(message[1]))


def test_a_count_takes_its_own_form(language: str, catalogue: Catalog) -> None:
    """Each of the counts has a form of its own, and that is the one which the catalogue has in its
    place."""
    forms = dict(pairs(catalogue))["{n} field", "{n} fields"]
    assert len(FORMS[language]) == len(forms)
    with speaking(language):
        said = [ngettext("{n} field", "{n} fields", n) for n in FORMS[language]]
        wanted = [_filled(forms[place], n) for place, n in enumerate(FORMS[language])]
    assert said == wanted


def _filled(form: str, count: int) -> str:
    n = f"{ISOLATE}{number(count)}{END}" if is_rtl() else number(count)
    return form.format(n=n)


def test_no_sentence_is_another_languages() -> None:
    spoken: dict[tuple[Message, str], list[str]] = {}
    for language in OTHERS:
        for message, forms in pairs(catalogues.read(language)):
            if len(re.findall(r"[^\W\d]{3,}", re.sub("{.*?}", "", forms[-1]))) > 3:
                spoken.setdefault((message, forms[-1]), []).append(language)
    assert {key: languages for key, languages in spoken.items() if len(languages) > 1} == {}


ROOT = Path(__file__).resolve().parents[2]
MARKS = {"_", "N_", "ngettext"}
FOR_PROGRAMS = {  # and for whoever runs the app; and the patterns of marks
    *(f"ui/{name}.py" for name in ("api", "languages", "serving")),
    *(f"causalclip/marks/{name}.py" for name in ("hints", "names", "rules", "texts")),
}
IN_ENGLISH = {"server"}
PACKAGES = (
    *(f"causalclip/{name}" for name in ("examination", "images", "marks", "provenance", "report")),
    "ui",
)
FILES = (
    "causalclip/reference.py",
    "purifier/scenario.py",
    "purifier/models.py",
)
COVERED = [
    path
    for path in (
        *map(Path, FILES),
        *(p.relative_to(ROOT) for one in PACKAGES for p in (ROOT / one).rglob("*.py")),
    )
    if path.as_posix() not in FOR_PROGRAMS and path.parent.name not in IN_ENGLISH
]
SENTENCE = re.compile(r"[A-Z][a-z]+ [a-z]+ [a-z]+|[a-z]+ [a-z]+ [a-z]+ [a-z]+")
# JavaScript, or HTML's tags, whose words are looked at apart
SCRIPT = re.compile(r"=>|const |=\"|='")
KEYS = {  # of files, and what is written into one in English, whoever reads it
    ", whose file has the SHA-256 ",
    "Cut out by CausalCLIP.",
    "Token for the browser extension: ",  # in the terminal of whoever starts the app
    "CausalCLIP: an attack on a vision-language model, and its purification",
    "Nobody waits for this answer any more.",  # to nobody, as it says
    "A packet with a document type is not read.",  # of an error that is caught
    "A packet of so many nodes is not read.",
    " on the shorter side",  # of the sentence that programs read
    "a photograph pasted into a photograph",
    "pictures of every owner",
    "bright in the middle, whatever is there",
    "What animal is it?",  # to a model that understands English only
    "What is the main object?",
    "Can you see a person?",
    "how many people are there?",
}
KNOWN = KEYS | set(messages())
RAISED = {"TypeError", "RuntimeError", "AssertionError", "NotImplementedError"}  # for programmers


def unmarked(source: str) -> Iterator[str]:
    """Texts of at least three or four words outside the marks, docstrings and errors for
    programmers."""
    tree = ast.parse(source)
    passed: set[int | str] = set()
    for node in ast.walk(tree):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        # what a command says of itself, and what the app prints at its start, is English
        helps = isinstance(node, ast.keyword) and node.arg in {"help", "description", "epilog"}
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))
        elif (
            helps
            or isinstance(node, ast.Assert)
            or called in MARKS | RAISED
            or called.startswith("log.")
        ):
            passed |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        said = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if said and not {id(node), node.value} & (passed | KNOWN):
            words = re.sub(r"<[^>]*>?", " ", node.value)
            if SENTENCE.search(words) and not SCRIPT.search(words):
                yield node.value


@pytest.mark.parametrize("path", COVERED, ids=str)
def test_no_sentence_is_outside_the_catalogues(path: Path) -> None:
    assert list(unmarked((ROOT / path).read_text(encoding="utf-8"))) == []


def test_the_reports_template_has_no_words_of_its_own() -> None:
    page = (
        (shipped_folder("assets") / "report.html")
        .read_text(encoding="utf-8")
        .partition("<body>")[2]
    )
    words = re.sub(
        r"{{.*?}}|{%.*?%}|<code>.*?</code> \(phash, 64 bits\)|<[^>]*>", " ", page, flags=re.DOTALL
    )
    assert re.findall(r"[A-Za-z]{3,}", words) == []
