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
import struct

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
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



def charsmap(rules):
    """A precompiled map of characters as SentencePiece writes it: a double array of the keys' bytes, and the replacements."""
    trie, blob = {}, b""
    for key, value in rules:
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[None] = len(blob)
        blob += value.encode() + b"\0"
    units, taken, size = {}, {0}, 1

    def place(node, at, label):
        nonlocal size
        base = 1 # the first place where the children (the end of a key is child 0) find free units
        children = sorted((0 if b is None else b) for b in node)
        while any((base ^ c) in taken for c in children):
            base += 1
        taken.update(base ^ c for c in children)
        size = max(size, *((base ^ c) + 1 for c in children))
        units[at] = (base ^ at) << 10 | (None in node) << 8 | label
        for b, child in node.items():
            if b is None:
                units[base] = 1 << 31 | child
            else:
                place(child, base ^ b, b)

    place(trie, 0, 0)
    size = (size + 511) // 256 * 256 # the library looks up to 255 units behind the last one without asking
    return struct.pack(f"<I{size}I", 4 * size, *(units.get(i, 0) for i in range(size))) + blob


MAP = charsmap([("\r", " "), ("\n", " "), ("\t", " "), ("\u3000", " "), ("\u200b", ""), ("\ufb01", "fi"), ("\u2460", "1"), ("\u00bd", "1/2"), ("e\u0301", "\u00e9"),
                ("E\u0301", "\u00c9"), ("\uac00", "ga"), ("\U0001d573", "H"), ("\u2122", "TM"), ("\u00ad", ""), ("\u212b", "\u00c5"), ("u\u0308", "\u00fc")])
SMILES = r"(\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|\%[0-9]{2}|[0-9])"


def small_bytes(prefix=False, post=None, special=("<|endoftext|>",), split=False, **model):
    """Byte-level BPE of 400 tokens, trained on the words above."""
    t = Tokenizer(models.BPE(**model))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    t.train_from_iterator([" ".join(WORDS), "hello world, the quick brown fox is running; don't we've they'll Caf\u00e9 " * 3],
                          trainers.BpeTrainer(vocab_size=400, special_tokens=[x for x in special if isinstance(x, str)], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if split:
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"), "isolated"),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.add_special_tokens([x for x in special if not isinstance(x, str)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = post or processors.ByteLevel(trim_offsets=False)
    return t


def small_pieces(normalizer, pre, decoder, post=None, fallback=False, added=()):
    """Unigram: the words above with scores by length."""
    words = [w for w in WORDS if not w.startswith(("[", "##"))]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -3.5)]
    pieces += [("\u2581" + w, -6.25 - i / 64) for i, w in enumerate(words)] + [(w, -7.5 - i / 128) for i, w in enumerate(words)]
    pieces += [(c, -9.0 - i / 16) for i, c in enumerate("HEQRtion\u00e9\u00c51") if c not in words]
    pieces += [(f"<0x{i:02X}>", -12.0) for i in range(256)] if fallback else []
    t = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=fallback))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer, t.decoder = pre, decoder
    t.add_special_tokens(["<pad>", "</s>", "<unk>", AddedToken("<extra_id_0>", lstrip=True, rstrip=True)])
    t.add_tokens(list(added))
    if post:
        t.post_processor = post
    return t


def small_characters(fallback, fuse):
    """BPE of characters as Llama has it."""
    alphabet = ["<unk>", "<s>", "\u2581"] + ["<0x%02X>" % i for i in range(256)] * fallback + list("helowrdtquickbnfx")
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("\u2581", "hello"), ("\u2581", "t"), ("\u2581t", "he"), ("o", "r"), ("\u2581", "\u2581")]
    vocab = {w: i for i, w in enumerate(alphabet + [a + b for a, b in merges])}
    t = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=fallback, fuse_unk=fuse))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.add_special_tokens(["<unk>", "<s>"])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t


def small_molecules():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "C", "c", "N", "O", "(", ")", "1", "2", "=", "Cl", "Br", "[nH]", "[C@@H]", "%10", "/", "\\", ">>", "#"]
    t = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    t.pre_tokenizer, t.decoder = pre_tokenizers.Split(Regex(SMILES), "isolated"), decoders.Fuse()
    t.add_special_tokens(words[:5])
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


T5 = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
META = pre_tokenizers.Metaspace
NEW = {
    "gpt2": small_bytes(),
    "gpt2-prefix": small_bytes(True, processors.ByteLevel(trim_offsets=True, add_prefix_space=True), ["<|endoftext|>", A("<ent>", lstrip=True), A(" tab\t", normalized=False)]),
    "gpt2-split": small_bytes(False, processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=False), processors.TemplateProcessing(
        single="<|endoftext|> $A", pair="<|endoftext|> $A $B:1", special_tokens=[("<|endoftext|>", 0)])]), split=True, ignore_merges=True),
    "roberta": small_bytes(False, processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False), ["<s>", "<pad>", "</s>", "<unk>", A("<mask>", lstrip=True)]),
    "t5": small_pieces(normalizers.Sequence([normalizers.Precompiled(MAP), normalizers.Replace(Regex(" {2,}"), " ")]), META(), decoders.Metaspace(), T5),
    "xlm-roberta": small_pieces(normalizers.Precompiled(MAP), pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), META()]), decoders.Metaspace(),
                                processors.TemplateProcessing(single="<pad> $A </s>", pair="<pad> $A </s> </s> $B </s>", special_tokens=[("<pad>", 0), ("</s>", 1)])),
    "pieces-bytes": small_pieces(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip(), normalizers.Prepend("x ")]), META(prepend_scheme="first", split=False),
                                 decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first"), decoders.Fuse(), decoders.Strip(" ", 1, 0)]), T5, True, ["<ent>", A("caf\u00e9", single_word=True)]),
    "pieces-nfd": small_pieces(normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Nmt()]), META(prepend_scheme="never"), decoders.Metaspace(prepend_scheme="never")),
    "pieces-nfkd": small_pieces(normalizers.Sequence([normalizers.Nmt(), normalizers.NFKD(), normalizers.Replace("ss", "\u00df!")]), META(prepend_scheme="always"), decoders.Metaspace()),
    "pieces-bert": small_pieces(normalizers.Sequence([normalizers.BertNormalizer(), normalizers.NFC(), normalizers.Strip(left=False)]), META(prepend_scheme="first"), decoders.Metaspace(prepend_scheme="first")),
    "llama": small_characters(True, True),
    "characters-fused": small_characters(False, True),
    "characters": small_characters(False, False),
    "molecules": small_molecules(),
}
TEXTS_NEW = ["it's we've they'll I'm 'S 'll' ''s x's's", "1234 x12y \u00b2\u00b3 \u0661\u0662 \u2167", "a   b  c d   ", "  \n\n x\t\ty \r\n z", "\u00a0x\u00a0\u00a0y \u3000z\u2003", "!?.. #$% \u201cx\u201d \u2014\u2014", "hello</s>hello <mask> x<mask>y  <mask>",
             "<|endoftext|>x <|endoftext|> hello", "<ent> x  <ent>  <ent>y tab\t z", "<extra_id_0> x  <extra_id_0>  y <unk> <pad>z", "\r\n e\u0301e\u0301\u0301 u\u0308\u0301 \u2460\u0301 \uac00\u0301x \u2122\u200d\u2122 fi\ufb01", "\u2581hello \u2581\u2581 \u2581the", "hello \U0001f642\U0001f642 \u4e2d\u56fd the",
             "\u0344\u0958 \u09c7\u09be \u1100\u1161\u11a8 \u0041\u030a\u0323 \ufdfa", "CC(=O)Nc1ccc(O)cc1", "C[C@@H](N)C(=O)O.[Na+].Cl>>Br%10%1 [x] []", "[CLS]C1=CC=CC=C1[nH]\\C/C#N[SEP]", "the" * 60, "x" * 300, "a" + "\u0301\u0323\u0334\u0345" * 9 + "e\u0315\u0300\u05ae\u0316", "<0x41><0xE2> \u20ac"]


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
        t = SMALL.get(name) or NEW[name]
        t.no_truncation()
        if "max_length" in o:
            t.enable_truncation(o["max_length"], strategy=o.get("strategy", "longest_first"))
        row = {"tokenizer": name, "text": text, **({"pair": pair} if pair is not None else {}), **o}
        try:
            e = t.encode(text, pair, add_special_tokens=not o.get("no_special", False))
            if pair is not None and name in NEW: # which tokens are of the second text
                row.update(second=[int(x == 1) for x in e.sequence_ids])
            row.update(ids=e.ids, types=e.type_ids, offsets=list(itertools.chain.from_iterable(e.offsets)), special=e.special_tokens_mask)
        except Exception: # a text that cannot be cut so far
            row["refused"] = True
        except BaseException as x: # a panic of the library: it has no answer
            print("the library panics:", name, ascii(text)[:60], x)
            return
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
    for name, t in NEW.items():
        for text in TEXTS + TEXTS_NEW:
            if "\0" not in text:
                case(name, text)
        for x, y in (("hello world", "the fox"), ("", "fox"), ("fox", ""), ("Caf\u00e9  x", " \u4e2d\u56fd <mask> x")):
            case(name, x, y)
            case(name, x, y, no_special=True)
        lists = DECODED + [row["ids"] for row in rows if row["tokenizer"] == name and row["text"] in TEXTS_NEW and "ids" in row] + [list(range(i, i + 20)) for i in range(0, 300, 60)]
        for ids in lists:
            for skip in (False, True):
                ids = [x for x in ids if x < t.get_vocab_size()]
                decoded.append({"tokenizer": name, "ids": ids, "skip": skip, "text": t.decode(ids, skip_special_tokens=skip)})
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


def make_merges():
    """vocab.json and merges.txt, and what transformers makes of them with these files of configuration."""
    import tempfile
    import transformers

    rows = []
    text = "Hello running <mask> caf\u00e9 <|endoftext|> \u4e2d\u56fd <s>x</s>  it's"
    for name, configs in (("gpt2", [{"tokenizer_class": "GPT2Tokenizer"}, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}]),
                          ("roberta", [{"tokenizer_class": "RobertaTokenizer"}, {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True},
                                       {"tokenizer_class": "RobertaTokenizer", "mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}}])):
        model = json.loads(NEW[name].to_str())["model"]
        vocab = json.dumps(model["vocab"], ensure_ascii=False)
        merges = "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in model["merges"])
        if name == "roberta":
            vocab = json.dumps({**model["vocab"], "<mask>": len(model["vocab"])}, ensure_ascii=False)
        for config in configs:
            with tempfile.TemporaryDirectory() as folder:
                for file, content in (("vocab.json", vocab), ("merges.txt", merges), ("tokenizer_config.json", json.dumps(config)), ("config.json", json.dumps({"model_type": name}))):
                    with open(f"{folder}/{file}", "w", encoding="utf-8") as f:
                        f.write(content)
                t = transformers.AutoTokenizer.from_pretrained(folder)
                rows.append({"vocab": vocab, "merges": merges, "config": json.dumps(config), "text": text, "pair": "x <mask>", "ids": t(text)["input_ids"], "pair_ids": t(text, "x <mask>")["input_ids"]})
    return rows


TRAINED_TEXT = ["aaaa aaa aa a\n", "low lower lowest newest widest\n", "the quick brown fox, the lazy dog\n", "Caf\u00e9 caf\u00e9 \u4e2d\u56fd \u4e2d\n", "abab abab ab ba baba  x\n"] * 3 + ["once only zzz\n", "no newline"]


def make_trained():
    """What BpeTrainer learns from a small text: ties, runs of one letter, words seen once."""
    rows = []
    for size, least in ((300, 1), (290, 2), (1000, 3)):
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        t.train_from_iterator(TRAINED_TEXT, trainers.BpeTrainer(vocab_size=size, min_frequency=least, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
        model = json.loads(t.to_str())["model"]
        rows.append({"size": size, "least": least, "text": "".join(TRAINED_TEXT), "vocab": sorted(model["vocab"], key=model["vocab"].get), "merges": [" ".join(m) for m in model["merges"]]})
    return rows


def make_gpt2_sums(data):
    """GPT-2's own files over random texts, and over lines (with their newlines) of some of the data."""
    vocab = json.load(open(data + "/tokenizer/gpt2-encoder.json"))
    merges = [tuple(x.split(" ")) for x in open(data + "/tokenizer/gpt2-vocab.bpe", encoding="utf-8").read().split("\n")[1:] if x]
    t = Tokenizer(models.BPE(vocab, merges))
    t.pre_tokenizer, t.post_processor = pre_tokenizers.ByteLevel(add_prefix_space=False), processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens(["<|endoftext|>"])
    files = {}
    for name in ("unicode/blns.txt", "unicode/unicode-emoji-test.txt", "unicode/NormalizationTest-8.0.0.txt.gz", "unicode/udhr2.jsonl.gz", "gutenberg/alice.txt.gz", "wikitext-2/valid.txt", "molecules/BBBP.csv"):
        raw = (gzip.open if name.endswith(".gz") else open)(f"{data}/{name}", "rb").read().decode("utf-8")
        files[name] = total(t, [x for x in raw.replace("\n", "\n\0").split("\0") if x])
    return {"made_by": "tokenizers " + tokenizers.__version__, "random": total(t, [random_text(i) for i in range(20000)]), "files": files}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("data")
    p.add_argument("--out", required=True)
    p.add_argument("--no-sums", action="store_true", help="leave sums.json, which takes many minutes, as it is")
    a = p.parse_args()
    for name, t in [*SMALL.items(), *NEW.items()]:
        t.no_truncation()
        os.makedirs(f"{a.out}/{name}", exist_ok=True)
        t.save(f"{a.out}/{name}/tokenizer.json", pretty=False)
    rows, decoded = make_cases()
    for name, value in (("cases", rows), ("decoded", decoded), ("configs", make_configs()), ("merges", make_merges()), ("trained", make_trained())):
        # U+0000 is no text for hone's reader of JSON: it stands there as U+F8FF.
        with open(f"{a.out}/{name}.json", "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(x, separators=(",", ":")).replace("\\u0000", "\\uf8ff") for x in value) + "\n]\n")
    with open(f"{a.out}/gpt2-sums.json", "w") as f:
        f.write(json.dumps(make_gpt2_sums(a.data), indent=0) + "\n")
    if a.no_sums:
        return
    sums = make_sums(a.data)
    with open(f"{a.out}/sums.json", "w") as f:
        f.write(json.dumps(sums, indent=0) + "\n")


main()
