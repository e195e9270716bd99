#!/usr/bin/env python3
"""make_unicode_tables.py - host/text/unicode_{tables,forms}.c, by asking the `tokenizers` library about every code point.

The library's character classes belong to no single version of Unicode, so no system library matches them: they are what
it answers. usage: make_unicode_tables.py host/text    (tokenizers as in scripts/golden/requirements.txt, and regex, of
which Extended_Pictographic is taken: the one property that the library cannot be asked for)
"""
import struct
import sys
import unicodedata

import regex
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

OFF = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
clean, cjk, strip, lower = (normalizers.BertNormalizer(**{**OFF, k: True}) for k in ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"))
nfd, accents, pre = normalizers.NFD(), normalizers.StripAccents(), pre_tokenizers.BertPreTokenizer()
DROP, SPACE, CJK, PUNCTUATION, GAP, STRIP, LOWER, MARK, LETTER, NUMBER, BLANK, EXTENDS, PREPENDS, CONTROLS, PICTURE, COMBINING = (1 << i for i in range(16))
matches = {k: pre_tokenizers.Split(Regex(p), "removed") for k, p in ((LETTER, r"\p{L}"), (NUMBER, r"\p{N}"), (BLANK, r"\s"))}
picture = regex.compile(r"\p{Extended_Pictographic}")
whole = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")) # finds "Q" beside what is no part of a word
whole.add_tokens([AddedToken("Q", single_word=True, normalized=False)])
HANGUL = range(0xAC00, 0xAC00 + 11172)

def hangul(c):
    i = c - 0xAC00
    t = i % 28
    return [0x1100 + i // 588, 0x1161 + i % 588 // 28] + ([0x11A7 + t] if t else [])

# A map of characters that makes one "b" of every grapheme cluster below 6 bytes: a double array whose root has all first
# bytes as children, each with the same leaf. It tells where the library sees clusters.
units = [256 << 10] + [0] * 767
for c in range(1, 256):
    units[256 + c], units[512 + c] = c | 1 << 8 | 768 << 10, 1 << 31
clusters = normalizers.Precompiled(struct.pack("<I768I", 4 * 768, *units) + b"b\0")

# Marks of known canonical combining class that the library agrees on, to find the class of those that stripping leaves.
LOW, HIGH = "\u0334", "\u0301" # classes 1 and 230
known = {1: LOW}
for c in range(0x300, 0x1E000):
    k = unicodedata.combining(chr(c))
    if k > 1 and nfd.normalize_str(chr(c) + LOW) == LOW + chr(c):
        known.setdefault(k, chr(c))

def combining(x):
    """Canonical combining class of x by where NFD puts it beside marks whose class is known; 0: a starter."""
    if nfd.normalize_str(x + LOW) != LOW + x and nfd.normalize_str(HIGH + x) != x + HIGH:
        return 0
    for k, r in sorted(known.items()):
        if nfd.normalize_str(r + x) == r + x and nfd.normalize_str(x + r) == x + r:
            return k
    raise SystemExit("a combining class without a known mark: U+%04X" % ord(x))

classes, strips, lowers, marks, words = [0] * 0x110000, {}, {}, {}, []
forms = {"decompose": {}, "compat": {}} # NFD; NFKD where it differs
nfc, nfkd, pairs = normalizers.NFC(), normalizers.NFKD(), {}
for c in range(0x110000):
    if 0xD800 <= c < 0xE000:
        continue
    x = chr(c)
    k = 0
    y = clean.normalize_str("a" + x + "a")
    k |= DROP if y == "aa" else SPACE if y == "a a" else 0
    assert k or y == "a" + x + "a", hex(c)
    if cjk.normalize_str(x) != x:
        assert cjk.normalize_str(x) == " " + x + " "
        k |= CJK
    y = strip.normalize_str(x)
    if y != x:
        if c in HANGUL:
            assert [ord(i) for i in y] == hangul(c)
        else:
            strips[c] = [ord(i) for i in y]
        k |= STRIP
    # Marks order themselves behind a starter, also those that stripping takes away afterwards.
    if c >= 0x300:
        m = [combining(i) for i in nfd.normalize_str(x)]
        if 0 not in m and (len(m) == 1 or y == ""):
            marks[c] = m[0]
            k |= MARK
    y = lower.normalize_str(x)
    if y != x:
        lowers[c] = [ord(i) for i in y]
        k |= LOWER
    if c:
        n = len(pre.pre_tokenize_str("a" + x + "a"))
        k |= PUNCTUATION if n == 3 else GAP if n == 2 else 0
        for flag, split in matches.items():
            k |= 0 if split.pre_tokenize_str(x) else flag
        k |= EXTENDS if clusters.normalize_str("a" + x) == "b" else 0
        k |= PREPENDS if len(x.encode()) < 4 and c >= 128 and clusters.normalize_str(x + "a") == "b" else 0
        k |= CONTROLS if len(x.encode()) < 4 and clusters.normalize_str(x + "\u0301") == "bb" else 0
        k |= PICTURE if picture.match(x) else 0
        k |= 0 if accents.normalize_str(x) else COMBINING
    d, e = nfd.normalize_str(x), nfkd.normalize_str(x)
    if c not in HANGUL:
        if d != x:
            forms["decompose"][c] = [ord(i) for i in d]
        if e != d:
            forms["compat"][c] = [ord(i) for i in e]
        if d != x and nfc.normalize_str(d) == x: # the last character of d is what was added to the rest, composed
            pairs[(ord(nfc.normalize_str(d[:-1])), ord(d[-1]))] = c
    if 1 not in whole.encode(x + "Q").ids:
        if words and words[-1][1] == c - 1:
            words[-1][1] = c
        else:
            words.append([c, c])
    classes[c] = k

blocks, index = [], []
for b in range(0, 0x110000, 256):
    block = tuple(classes[b:b + 256])
    if block not in blocks:
        blocks.append(block)
    index.append(blocks.index(block))
assert len(blocks) < 256

def rows(numbers, form="%d", width=24):
    return ",\n".join("    " + ", ".join(form % n for n in numbers[i:i + width]) for i in range(0, len(numbers), width))

def table(name, entries):
    data, codes, at = [], sorted(entries), []
    for c in codes:
        at.append(len(data))
        data += entries[c]
    at.append(len(data))
    print(f"const int unicode_n_{name} = {len(codes)};\nconst uint32_t unicode_{name}_code[] = {{\n{rows(codes, '0x%x', 12)}}};")
    print(f"const uint16_t unicode_{name}_at[] = {{\n{rows(at, '%d', 20)}}};\nconst uint32_t unicode_{name}_to[] = {{\n{rows(data or [0], '0x%x', 12)}}};\n")

def begin(name):
    sys.stdout = open(f"{sys.argv[1]}/{name}", "w")
    print(f"/* {name} - made by scripts/make_unicode_tables.py from tokenizers {tokenizers.__version__}; see unicode.h. */")
    print('#include "text/unicode.h"\n\n/* clang-format off */')

begin("unicode_tables.c")
print(f"const uint8_t unicode_block[0x1100] = {{\n{rows(index)}}};\nconst uint16_t unicode_class_of[{len(blocks)}][256] = {{")
for b in blocks:
    print("    {" + ", ".join("%d" % n for n in b) + "},")
print("};\n")
table("strip", strips)
table("lower", lowers)
table("mark", {c: [m] for c, m in marks.items()})
print(f"const int unicode_n_word = {len(words)};\nconst uint32_t unicode_word_range[][2] = {{")
print(",\n".join("    " + ", ".join("{0x%x, 0x%x}" % tuple(w) for w in words[i:i + 5]) for i in range(0, len(words), 5)) + "};")
begin("unicode_forms.c")
for name, entries in forms.items():
    table(name, entries)
pairs = sorted(pairs.items())
print(f"const int unicode_n_pair = {len(pairs)};\nconst uint32_t unicode_pair[][3] = {{ /* first, second, composed */")
print(",\n".join("    " + ", ".join("{0x%x, 0x%x, 0x%x}" % (*p, c) for p, c in pairs[i:i + 4]) for i in range(0, len(pairs), 4)) + "};")
sys.stdout.flush()
print("%d blocks, %d strips, %d lowers, %d marks, %d pairs" % (len(blocks), len(strips), len(lowers), len(marks), len(pairs)), file=sys.stderr)
