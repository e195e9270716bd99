#!/usr/bin/env python3
"""tokenizer.py - what the `tokenizers` library answers: small tokenizers with cases, sums over data and random texts.

usage: tokenizer.py DATA --out tests/data/tokenizer        (DATA: unicode/, tokenizer/, banking77/, ...; only sums of it are kept)
"""
import argparse
import array
import glob
import gzip
import hashlib
import itertools
import json
import os

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.implementations import BertWordPieceTokenizer

MASK = (1 << 64) - 1
PLANES = [(0x20, 0x7F), (0, 0x300), (0x300, 0x370), (0x370, 0x2000), (0x2000, 0x3100), (0x3100, 0xD800), (0xE000, 0x10000),
          (0x10000, 0x20000), (0x1D100, 0x1D250), (0x1E000, 0x1F000), (0x20000, 0x110000)]
DIGITS = 24 # of a SHA-256 that are kept
SPECIAL = ["[SEP]", " [MASK] ", "[cls]", "[UNK]x", "[PAD]", "\u0301[CLS]", "[MASK", "]"]


def random_text(i):
    """Text number i; tests/text/text_util.c makes the same ones."""
    state = (i + 1) * 0xD1342543DE82EF95 & MASK

    def draw(n): # splitmix64
        nonlocal state
        state = state + 0x9E3779B97F4A7C15 & MASK
        z = state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return (z ^ z >> 31) % n

    out, plane, mixed = "", draw(len(PLANES)), draw(2)
    for _ in range(1 + draw(40)):
        low, high = PLANES[draw(len(PLANES)) if mixed else plane]
        out += chr(low + draw(high - low))
    return out + SPECIAL[draw(len(SPECIAL))] + out if draw(8) == 0 else out


def add(h, e):
    offsets = list(itertools.chain.from_iterable(e.offsets))
    h.update(array.array("i", [len(e.ids), *e.ids, *e.type_ids, *offsets]).tobytes())


def total(t, inputs):
    h = hashlib.sha256()
    for i in range(0, len(inputs), 256):
        for e in t.encode_batch(inputs[i:i + 256]):
            add(h, e)
    return h.hexdigest()[:DIGITS]


def pairs(texts):
    return list(zip(texts[::2], texts[1::2]))


def both_sums(t, texts):
    """All texts alone, and the first 4,000 as pairs of neighbours."""
    return [total(t, texts), total(t, pairs(texts[:4000]))]


def cut(line):
    """Pieces of at most 4,096 characters: whole books stand in one line of some files."""
    return [line[i:i + 4096] for i in range(0, len(line), 4096)] or [""]


def files(data):
    for path in sorted(glob.glob(data + "/**/*", recursive=True)):
        if os.path.isfile(path) and "ubyte" not in path:
            raw = gzip.open(path).read() if path.endswith(".gz") else open(path, "rb").read()
            yield os.path.relpath(path, data), [piece for line in raw.decode("utf-8").split("\n") for piece in cut(line)]


VOCABS = {"uncased": ("bert-base-uncased-vocab.txt", dict(lowercase=True)),
          "cased": ("bert-base-cased-vocab.txt", dict(lowercase=False)),
          "uncased, accents kept": ("bert-base-uncased-vocab.txt", dict(lowercase=True, strip_accents=False)),
          "cased, accents stripped, no spaces": ("bert-base-cased-vocab.txt", dict(lowercase=False, strip_accents=True, handle_chinese_chars=False))}


def make_sums(data):
    texts, out = [random_text(i) for i in range(20000)], {"made_by": "tokenizers " + tokenizers.__version__, "vocabs": []}
    for name, (file, options) in VOCABS.items():
        t = BertWordPieceTokenizer(f"{data}/tokenizer/{file}", **options)
        row = {"name": name, "file": file, "options": {"do_lower_case": options["lowercase"], "strip_accents": options.get("strip_accents"),
                                                       "tokenize_chinese_chars": options.get("handle_chinese_chars", True)}}
        row["random"] = [both_sums(t, texts[i:i + 1000]) for i in range(0, 20000, 1000)]
        row["files"] = {f: both_sums(t, x) for f, x in files(data) if len(name) < 8 or f.startswith(("unicode", "tokenizer"))}
        out["vocabs"].append(row)
        print(name, flush=True)
    names, out["normalizers"] = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"), []
    for flags in itertools.product((False, True), repeat=4):
        n, h = normalizers.BertNormalizer(**dict(zip(names, flags))), hashlib.sha256()
        for x in texts:
            h.update(n.normalize_str(x).encode() + b"\n")
        out["normalizers"].append([*flags, h.hexdigest()[:DIGITS]])
    return out


WORDS = """[PAD] [UNK] [CLS] [SEP] [MASK] hello world the quick brown fox un ##want ##ed ##runn ##ing running ##s go don t ' s re do not
! ? , . - ; : ( ) / # @ & % $ € [ ] < > * + = _ ` ~ ^ " \\ | { } a b c d e f g h i j k l m n o p q r u v w x y z 0 1 2 3 ##0 ##1 ##2 ##a ##b ##c ##d ##e
##f ##g ##h ##i ##l ##m ##n ##o ##r ##t ##u ##y cafe caf ##é é ü ss ß 中 国 ##国 日 本 語 ا ل ##ل क ##् ##क ि ##ि ω σ ς ##ς ##σ i̇ ##̇ Hello World H ##H É
x1 new york newyork new-york ' 've ve ll n't 'm""".split()
WORDS = list(dict.fromkeys(WORDS))

ON = dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)


def small(normalizer=ON, added=(), template="bert", decoder=True, cleanup=True, **model):
    vocab = {w: i for i, w in enumerate(WORDS)}
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", **model))
    if normalizer is not None:
        t.normalizer = normalizers.BertNormalizer(**normalizer)
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if decoder:
        t.decoder = decoders.WordPiece(cleanup=cleanup)
    t.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    for special, token in added:
        (t.add_special_tokens if special else t.add_tokens)([token])
    if template == "bert":
        t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    elif template == "odd": # several ids for one name, the second text first, types of its own
        t.post_processor = processors.TemplateProcessing(single="$A:3 [END]:4", pair="$B:5 [END] $A:6 [CLS]:7", special_tokens=[
            ("[CLS]", 2), {"id": "[END]", "ids": [3, 4], "tokens": ["[SEP]", "[MASK]"]}])
    elif template == "processing":
        t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


A = AddedToken
SMALL = {
    "bert": small(),
    "cased": small(dict(ON, lowercase=False)),
    "bare": small(None, template=None, decoder=False),
    "accents": small(dict(ON, strip_accents=False), template="processing", cleanup=False),
    "unclean": small(dict(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False), template="odd", max_input_chars_per_word=5),
    "added": small(added=[(False, A("<ent>")), (False, A("New York", normalized=True)), (False, A("whole", single_word=True)), (False, A("LEFT", lstrip=True, normalized=False)),
                          (False, A("RIGHT", rstrip=True)), (True, A("<s>", lstrip=True, rstrip=True)), (False, A("<ent><ent>")), (False, A("Ünï", single_word=True)),
                          (False, A("fox", normalized=False)), (True, A("<S>", normalized=True)), (False, A("中国")), (False, A("a b", single_word=True, normalized=False))]),
}

TEXTS = ["", " ", "Hello, World!", "hello world", "unwanted running", "UNwanted RUNNING", "the quick brown fox", "don't do not we've n't 's", "Café CAFÉ cafe\u0301 CAFE\u0301", "ß ẞ ss",
         "中国 hello中国world 日本語", "الل", "क्कि कि", "ΩΣ ΣΑΣ σς", "İ i̇ I ı", "a\u0000b\u200bc\u00adde\ufffdf", "tab\tnew\nline\r\nnbsp\u00a0ideo\u3000end\u2028x\u0085y",
         "x" * 100, "x" * 101, "a" * 5, "a" * 6, "[CLS] hello [SEP] [MASK][MASK] [mask] [PAD]x[UNK]", "[ CLS ]", "hello [SEP", "e\u0301\u0323 e\u0323\u0301 a\u0315\u0300\u05ae\u0062", "가각힣 ㄱ", "ﬁ ﬂ ① ½ Å Å",
         "$5 + €3 = 1^2 ~`|<>", "“quotes” ‘single’ — dash … ¿que? ¡si!", "🙂 👩\u200d👩\u200d👧 🇩🇪 e🙂f", "\u0301hello \u0301", "hello\u0301\u200d\u0301 a", "𝕳𝖊𝖑𝖑𝖔 𐐀𐐨 \U0001D15E", "\ue000 \U0010fffd", "ẛ̣ q̣̇ q̣̇", "ᾳ ᾼ Ǆ ǅ ǆ"]
TEXTS_ADDED = ["<ent>", "a<ent>b", "<ent><ent> <ent><ent><ent>", "<ENT> <Ent>", "new york New York NEW  YORK newyork new yorker", "whole wholesome awhole whole. (whole) whole_ whole€ whole\u0301 ②whole wholewhole whole whole",
               "a  LEFT  b LEFT", "a RIGHT  b right\u00a0\u3000c RIGHT", "x <s>  <s> y<s>z", "  <s>  ", "<S> <s>", "ünï Ünï UNI uni unis", "fox FOX foxfox", "中国 中 国 x中国y", "a b a b. ca b", "<ent> <s><ent>RIGHT LEFT", "LEFT LEFT RIGHT  LEFT"]
DECODED = [[5, 6, 11, 12], [2, 5, 25, 6, 3], [0, 1, 2, 3, 4], [], [12, 13], [20, 21, 22]]


def make_cases():
    rows = []

    def case(name, text, pair=None, **o):
        t = SMALL[name]
        t.no_truncation()
        if "max_length" in o:
            t.enable_truncation(o["max_length"], strategy=o.get("strategy", "longest_first"))
        row = {"tokenizer": name, "text": text, **({"pair": pair} if pair is not None else {}), **o}
        try:
            e = t.encode(text, pair, add_special_tokens=not o.get("no_special", False))
            row.update(ids=e.ids, types=e.type_ids, offsets=list(itertools.chain.from_iterable(e.offsets)), special=e.special_tokens_mask)
        except Exception as x: # a text that cannot be cut so far
            row["refused"] = True
        rows.append(row)

    for name in SMALL:
        for text in TEXTS + (TEXTS_ADDED if name == "added" else []):
            if name != "bare" or "\0" not in text:
                case(name, text)
        for a, b in (("hello world", "the fox"), ("", "fox"), ("fox", ""), ("", ""), ("Café [SEP]", "中国 x")):
            case(name, a, b)
            case(name, a, b, no_special=True)
        case(name, "unwanted fox", no_special=True)
    words = "the quick brown fox go don t s re do".split()
    for n, m in itertools.product((0, 1, 2, 3, 5, 8), repeat=2):
        for length in (3, 4, 5, 6, 7, 9, 12):
            case("bert", " ".join(words[:n]), " ".join(words[:m]), max_length=length)
    for strategy in ("only_first", "only_second"):
        for n, m, length in ((5, 3, 9), (5, 3, 7), (3, 5, 6), (3, 5, 4), (1, 1, 3), (8, 8, 12)):
            case("bert", " ".join(words[:n]), " ".join(words[:m]), max_length=length, strategy=strategy)
    for length in (2, 3, 4, 6, 9):
        for strategy in ("longest_first", "only_first"):
            case("bert", "unwanted quick brown fox", max_length=length, strategy=strategy)
            case("bert", "unwanted quick brown fox", max_length=length, strategy=strategy, no_special=True)
    decoded = []
    for name, t in SMALL.items():
        t.no_truncation()
        lists = DECODED + [t.encode(x).ids for x in TEXTS if "\0" not in x or name != "bare"] + [list(range(i, i + 20)) for i in range(0, t.get_vocab_size() - 20, 20)]
        for ids in lists:
            for skip in (False, True):
                decoded.append({"tokenizer": name, "ids": ids, "skip": skip, "text": t.decode(ids, skip_special_tokens=skip)})
    return rows, decoded


CONFIG_TEXT = "Hello running [MASK] caf\u00e9 \u00c9 \u4e2d\u56fd H [SEP] [sep] [CLS]"


def make_configs():
    """What transformers makes of tokenizer_config.json beside vocab.txt (json null) and beside tokenizer.json."""
    import tempfile
    import transformers

    rows, bert = [], {"tokenizer_class": "BertTokenizer"}
    roles = {str(i): {"content": w, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True} for i, w in enumerate(WORDS[:5])}
    configs = [None, {}, bert, {**bert, "do_lower_case": False}, {**bert, "do_lower_case": True}, {**bert, "strip_accents": False}, {**bert, "strip_accents": None},
               {**bert, "do_lower_case": False, "strip_accents": True}, {**bert, "tokenize_chinese_chars": False}, {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False},
               {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False, "strip_accents": False}, {**bert, "added_tokens_decoder": roles},
               {**bert, "additional_special_tokens": [], "extra_special_tokens": {}}, {**bert, "cls_token": "hello", "sep_token": {"__type": "AddedToken", "content": "world", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}},
               {**bert, "mask_token": None}]
    for name, config in itertools.product((None, "bert", "cased"), configs):
        if name and config is None:
            continue # tokenizer.json alone is the library's
        if name and config.get("cls_token") or not name and config and "Fast" in config.get("tokenizer_class", ""):
            continue # not what such a folder holds
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/vocab.txt", "w") as f:
                f.write("".join(w + "\n" for w in WORDS))
            with open(folder + "/config.json", "w") as f:
                f.write('{"model_type": "bert"}')
            if config is not None:
                with open(folder + "/tokenizer_config.json", "w") as f:
                    json.dump(config, f)
            if name:
                SMALL[name].save(folder + "/tokenizer.json")
            ids = transformers.AutoTokenizer.from_pretrained(folder)(CONFIG_TEXT)["input_ids"]
        rows.append({"json": name, "config": None if config is None else json.dumps(config), "text": CONFIG_TEXT, "ids": ids})
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument("data")
    p.add_argument("--out", required=True)
    p.add_argument("--no-sums", action="store_true", help="leave sums.json, which takes minutes, as it is")
    a = p.parse_args()
    for name, t in SMALL.items():
        t.no_truncation()
        os.makedirs(f"{a.out}/{name}", exist_ok=True)
        t.save(f"{a.out}/{name}/tokenizer.json", pretty=False)
    rows, decoded = make_cases()
    for name, value in (("cases", rows), ("decoded", decoded), ("configs", make_configs())):
        # U+0000 is no text for hone's reader of JSON: it stands there as U+F8FF.
        with open(f"{a.out}/{name}.json", "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(x, separators=(",", ":")).replace("\\u0000", "\\uf8ff") for x in value) + "\n]\n")
    if a.no_sums:
        return
    sums = make_sums(a.data)
    with open(f"{a.out}/sums.json", "w") as f:
        f.write(json.dumps(sums, indent=0) + "\n")


main()
