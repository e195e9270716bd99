/* tokenizer_steps.c - normalizer, pre-tokenizer and decoder of tokenizer.json: each one step, or a sequence of them. */
#include <string.h>

#include "text/charsmap.h"
#include "text/json_reader.h"

/* ---- normalizer ---- */

/* Text as code points. */
static size_t codes_of(const reader *r, str s, const uint32_t **out) {
    uint32_t *code = ARENA_ARRAY(r->t->a, s.n + 1, uint32_t);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) i += (size_t)utf8_decode(s.p + i, s.n - i, &code[n++]);
    *out = code;
    return n;
}

/* Patterns are literal text, or one character that stands n times or more: "X{n,}" or "X+". */
static hone_status read_replace(reader *r, const json *v, normalize_step *s) {
    const json *pattern = json_get(v, "pattern"), *literal = json_get(pattern, "String"),
               *regex = json_get(pattern, "Regex");
    s->n_to = codes_of(r, reader_text(v, "content", ""), &s->to);
    if (literal && literal->kind == JSON_STRING && literal->string.n) {
        s->n_from = codes_of(r, literal->string, &s->from);
        return HONE_OK;
    }
    if (!regex || regex->kind != JSON_STRING)
        return reader_refuse(r, v, "normalizer.pattern", "expected String or Regex");
    s->n_from = codes_of(r, regex->string, &s->from);
    const uint32_t *c = s->from;
    const int plain =
        s->n_from > 1 && (c[0] == ' ' || c[0] == 0x2581 ||
                          (c[0] >= 'A' && c[0] <= 'z' && c[0] != '\\' && c[0] != '[' && c[0] != '^'));
    if (plain && s->n_from == 2 && c[1] == '+') s->least = 1;
    if (plain && s->n_from == 5 && c[1] == '{' && c[2] >= '1' && c[2] <= '9' && c[3] == ',' && c[4] == '}')
        s->least = c[2] - '0';
    if (s->least) return HONE_OK;
    return reader_refuse_kind(r, regex, "normalizer.pattern", regex->string,
                              "a String, or a Regex like \" {2,}\"");
}

static hone_status read_map(reader *r, const json *v, normalize_step *s) {
    const char *what;
    s->map_text = reader_text(v, "precompiled_charsmap", "");
    s->map = charsmap_read(r->t->a, s->map_text, &what);
    return s->map ? HONE_OK : reader_refuse(r, v, "normalizer.precompiled_charsmap", what);
}

static const struct {
    const char *name;
    normalize_kind kind;
} normalizers[] = {{"BertNormalizer", NORMALIZE_BERT},
                   {"NFC", NORMALIZE_NFC},
                   {"NFD", NORMALIZE_NFD},
                   {"NFKC", NORMALIZE_NFKC},
                   {"NFKD", NORMALIZE_NFKD},
                   {"Lowercase", NORMALIZE_LOWERCASE},
                   {"StripAccents", NORMALIZE_STRIP_ACCENTS},
                   {"Nmt", NORMALIZE_NMT},
                   {"Strip", NORMALIZE_STRIP},
                   {"Prepend", NORMALIZE_PREPEND},
                   {"Replace", NORMALIZE_REPLACE},
                   {"Precompiled", NORMALIZE_MAP}};

static hone_status read_normalize_step(reader *r, const json *v) {
    normalizer *n = &r->t->normalizer;
    size_t k = 0;
    while (k < sizeof normalizers / sizeof *normalizers && !str_is(reader_kind(v), normalizers[k].name)) k++;
    if (k == sizeof normalizers / sizeof *normalizers)
        return reader_refuse_kind(
            r, v, "normalizer.type", reader_kind(v),
            "BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, Strip, "
            "Prepend, Replace or Precompiled");
    if (n->n == NORMALIZER_STEPS) return reader_refuse(r, v, "normalizer", "more than 16 steps");
    normalize_step *s = &n->step[n->n++];
    s->kind = normalizers[k].kind;
    switch (s->kind) {
    case NORMALIZE_BERT:
        if (n->n > 1)
            return reader_refuse(r, v, "normalizer", "BertNormalizer, expected as the first step only");
        s->bert.clean_text = reader_flag(v, "clean_text", 1);
        s->bert.chinese_chars = reader_flag(v, "handle_chinese_chars", 1);
        s->bert.lowercase = reader_flag(v, "lowercase", 1);
        s->bert.strip_accents = reader_flag(v, "strip_accents", s->bert.lowercase); /* null: as lowercase */
        return HONE_OK;
    case NORMALIZE_STRIP:
        s->left = reader_flag(v, "strip_left", 1);
        s->right = reader_flag(v, "strip_right", 1);
        return HONE_OK;
    case NORMALIZE_PREPEND:
        s->n_to = codes_of(r, reader_text(v, "prepend", ""), &s->to);
        return HONE_OK;
    case NORMALIZE_REPLACE:
        return read_replace(r, v, s);
    case NORMALIZE_MAP:
        return read_map(r, v, s);
    default:
        return HONE_OK;
    }
}

hone_status reader_normalizer(reader *r, const json *v) {
    if (reader_null(v)) return HONE_OK;
    if (!str_is(reader_kind(v), "Sequence")) return read_normalize_step(r, v);
    const json *list = json_get(v, "normalizers");
    if (!list || list->kind != JSON_ARRAY)
        return reader_refuse(r, v, "normalizer", "expected an array normalizers");
    for (const json *e = list->child; e; e = e->next) HONE_TRY(reader_normalizer(r, e));
    return HONE_OK;
}

/* ---- pre-tokenizer ---- */

static hone_status read_bytelevel(reader *r, const json *v) {
    pretokenizer *p = &r->t->pretokenizer;
    const int own_pattern = reader_flag(v, "use_regex", 1);
    p->prefix_space = reader_flag(v, "add_prefix_space", 1);
    if (p->cut != CUT_NOT && (own_pattern || p->prefix_space))
        return reader_refuse(
            r, v, "pre_tokenizer",
            "ByteLevel behind another step, expected use_regex and add_prefix_space to be false");
    if (own_pattern) p->cut = CUT_GPT2;
    p->bytes = 1;
    return HONE_OK;
}

static hone_status read_split(reader *r, const json *v) {
    const json *pattern = json_get(v, "pattern"), *regex = json_get(pattern, "Regex");
    if (!regex || regex->kind != JSON_STRING)
        return reader_refuse(r, v, "pre_tokenizer.pattern", "expected Regex");
    if (!str_is(reader_text(v, "behavior", ""), "Isolated") || reader_flag(v, "invert", 0))
        return reader_refuse(r, v, "pre_tokenizer.behavior", "expected \"Isolated\", and not invert");
    for (int i = 0; i < n_pretokenize_patterns; i++)
        if (str_is(regex->string, pretokenize_patterns[i].pattern)) {
            r->t->pretokenizer.cut = pretokenize_patterns[i].cut;
            return HONE_OK;
        }
    return reader_refuse_kind(
        r, regex, "pre_tokenizer.pattern", regex->string,
        "a pattern that is known (GPT-2's, or that of SMILES): any other may take exponential time");
}

static hone_status read_metaspace(reader *r, const json *v) {
    pretokenizer *p = &r->t->pretokenizer;
    const str mark = reader_text(v, "replacement", "\xe2\x96\x81"),
              scheme = reader_text(v, "prepend_scheme", "always");
    if (utf8_decode(mark.p, mark.n, &p->mark) != (int)mark.n || !mark.n)
        return reader_refuse(r, v, "pre_tokenizer.replacement", "expected one character");
    p->at_marks = reader_flag(v, "split", 1);
    p->scheme = str_is(scheme, "first") ? MARK_FIRST : str_is(scheme, "never") ? MARK_NEVER : MARK_ALWAYS;
    if (!reader_flag(v, "add_prefix_space", 1)) p->scheme = MARK_NEVER; /* of older files */
    return HONE_OK;
}

static hone_status read_pretokenize_step(reader *r, const json *v) {
    const pretokenizer *p = &r->t->pretokenizer;
    const str kind = reader_kind(v);
    const int first = p->cut == CUT_NOT && !p->bytes && !p->mark;
    if (str_is(kind, "ByteLevel") && !p->bytes && !p->mark) return read_bytelevel(r, v);
    if (str_is(kind, "Metaspace") && !p->mark && !p->bytes) return read_metaspace(r, v);
    if (str_is(kind, "Split") && first) return read_split(r, v);
    if (str_is(kind, "BertPreTokenizer") && first) r->t->pretokenizer.cut = CUT_BERT;
    else if (str_is(kind, "WhitespaceSplit") && first) r->t->pretokenizer.cut = CUT_BLANK;
    else
        return reader_refuse_kind(r, v, "pre_tokenizer.type", kind,
                                  first ? "BertPreTokenizer, ByteLevel, Metaspace, WhitespaceSplit or Split"
                                        : "ByteLevel or Metaspace behind another step");
    return HONE_OK;
}

hone_status reader_pretokenizer(reader *r, const json *v) {
    if (reader_null(v)) return HONE_OK;
    if (!str_is(reader_kind(v), "Sequence")) return read_pretokenize_step(r, v);
    const json *list = json_get(v, "pretokenizers");
    if (!list || list->kind != JSON_ARRAY)
        return reader_refuse(r, v, "pre_tokenizer", "expected an array pretokenizers");
    for (const json *e = list->child; e; e = e->next) HONE_TRY(read_pretokenize_step(r, e));
    return HONE_OK;
}

/* ---- decoder ---- */

static int count_of(const json *v, const char *key) {
    const json *x = json_get(v, key);
    return x && x->is_int && x->integer > 0 && x->integer < 1000000 ? (int)x->integer : 0;
}

static hone_status read_decode_step(reader *r, const json *v) {
    tokenizer *t = r->t;
    const str kind = reader_kind(v);
    const json *literal = json_get(json_get(v, "pattern"), "String");
    decode_step s = {0};
    if (str_is(kind, "WordPiece")) {
        s = (decode_step){.kind = DECODE_WORDPIECE,
                          .prefix = reader_text(v, "prefix", "##"),
                          .cleanup = reader_flag(v, "cleanup", 1)};
    } else if (str_is(kind, "ByteLevel")) {
        s.kind = DECODE_BYTES;
    } else if (str_is(kind, "Metaspace")) {
        s = (decode_step){.kind = DECODE_META,
                          .from = reader_text(v, "replacement", "\xe2\x96\x81"),
                          .left = !str_is(reader_text(v, "prepend_scheme", "always"), "never") &&
                                  reader_flag(v, "add_prefix_space", 1)};
    } else if (str_is(kind, "ByteFallback")) {
        s.kind = DECODE_BYTE_FALLBACK;
    } else if (str_is(kind, "Fuse")) {
        s.kind = DECODE_FUSE;
    } else if (str_is(kind, "Strip")) {
        s = (decode_step){.kind = DECODE_STRIP,
                          .from = reader_text(v, "content", " "),
                          .left = count_of(v, "start"),
                          .right = count_of(v, "stop")};
    } else if (str_is(kind, "Replace")) {
        if (!literal || literal->kind != JSON_STRING || !literal->string.n)
            return reader_refuse(r, v, "decoder.pattern", "expected String");
        s = (decode_step){
            .kind = DECODE_REPLACE, .from = literal->string, .to = reader_text(v, "content", "")};
    } else {
        return reader_refuse_kind(r, v, "decoder.type", kind,
                                  "WordPiece, ByteLevel, Metaspace, ByteFallback, Fuse, Strip or Replace");
    }
    if (t->n_decoder == DECODER_STEPS) return reader_refuse(r, v, "decoder", "more than 8 steps");
    t->decoder[t->n_decoder++] = s;
    return HONE_OK;
}

hone_status reader_decoder(reader *r, const json *v) {
    if (reader_null(v)) return HONE_OK;
    if (!str_is(reader_kind(v), "Sequence")) return read_decode_step(r, v);
    const json *list = json_get(v, "decoders");
    if (!list || list->kind != JSON_ARRAY)
        return reader_refuse(r, v, "decoder", "expected an array decoders");
    for (const json *e = list->child; e; e = e->next) HONE_TRY(read_decode_step(r, e));
    return HONE_OK;
}
