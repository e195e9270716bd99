/* tokenizer_models.c - the model of tokenizer.json. */
#include <stdio.h>
#include <string.h>

#include "text/bpe.h"
#include "text/json_reader.h"
#include "text/unigram.h"
#include "base/err.h"

static hone_status read_entry(reader *r, const json *e) {
    char what[160], safe[64];
    int clash;
    text_escape(safe, sizeof safe, e->key.p, e->key.n);
    if (!e->is_int || e->integer < 0 || e->integer >= VOCAB_MAX) {
        snprintf(what, sizeof what, "id of \"%s\", expected an integer in [0, %d)", safe, VOCAB_MAX);
        return reader_refuse(r, e, "model.vocab", what);
    }
    if (vocab_add(&r->t->vocab, r->t->a, e->key, (int)e->integer, &clash)) return HONE_OK;
    snprintf(what, sizeof what, "id %lld of \"%s\" is given twice", (long long)e->integer, safe);
    return reader_refuse(r, e, "model.vocab", what);
}

static hone_status read_vocab(reader *r, const json *v, const json *entries) {
    tokenizer *t = r->t;
    if (!entries || entries->kind != JSON_OBJECT)
        return reader_refuse(r, v, "model.vocab", "missing, expected an object of tokens and ids");
    if (entries->n > VOCAB_MAX) return reader_refuse(r, entries, "model.vocab", "too many tokens");
    vocab_init(&t->vocab, t->a, (int)entries->n);
    for (const json *e = entries->child; e; e = e->next) HONE_TRY(read_entry(r, e));
    for (int id = 0; id < t->vocab.n; id++)
        if (!t->vocab.token[id].p) {
            char what[96];
            snprintf(what, sizeof what, "no token has id %d, expected every id up to %d", id, t->vocab.n - 1);
            return reader_refuse(r, entries, "model.vocab", what);
        }
    t->n_model = t->vocab.n;
    return HONE_OK;
}

/* The unknown token: named, and in the vocabulary. */
static hone_status read_unknown(reader *r, const json *v, str unknown) {
    const json *unk = json_get(v, "unk_token");
    r->t->unk = vocab_find(&r->t->vocab, unknown.p, unknown.n);
    return r->t->unk < 0 ? reader_refuse(r, unk ? unk : v, "model.unk_token", "is not in the vocabulary")
                         : HONE_OK;
}

static hone_status read_wordpiece(reader *r, const json *v) {
    tokenizer *t = r->t;
    const json *entries = json_get(v, "vocab"), *prefix = json_get(v, "continuing_subword_prefix"),
               *most = json_get(v, "max_input_chars_per_word");
    HONE_TRY(read_vocab(r, v, entries));
    HONE_TRY(read_unknown(r, v, reader_text(v, "unk_token", "[UNK]")));
    t->prefix = prefix && prefix->kind == JSON_STRING ? prefix->string : STR("##");
    if (t->prefix.n > 32)
        return reader_refuse(r, prefix, "model.continuing_subword_prefix", "longer than 32 bytes");
    if (!reader_null(most) && (!most->is_int || most->integer < 1 || most->integer > WORDPIECE_MAX_CHARS))
        return reader_refuse(r, most, "model.max_input_chars_per_word", "expected an integer in [1, 500]");
    t->max_chars = reader_null(most) ? 100 : (int)most->integer;
    return HONE_OK;
}

/* A merge is "first second", or since 2024 ["first", "second"]. */
static hone_status read_merge(reader *r, bpe_model *m, const json *e) {
    str first = {0}, second = {0};
    if (e->kind == JSON_ARRAY && e->n == 2 && e->child->kind == JSON_STRING &&
        e->child->next->kind == JSON_STRING) {
        first = e->child->string;
        second = e->child->next->string;
    } else if (e->kind == JSON_STRING) {
        const char *blank = memchr(e->string.p, ' ', e->string.n);
        const size_t at = blank ? (size_t)(blank - e->string.p) : 0;
        if (blank) first = (str){e->string.p, at}, second = (str){blank + 1, e->string.n - at - 1};
    }
    if (!first.n || !second.n || memchr(second.p, ' ', e->kind == JSON_STRING ? second.n : 0))
        return reader_refuse(r, e, "model.merges", "expected two pieces");
    const char *what = bpe_add(m, &r->t->vocab, first, second);
    if (!what) return HONE_OK;
    char shown[64], line[192];
    snprintf(line, sizeof line, "\"%s\": %s",
             text_escape(shown, sizeof shown, e->kind == JSON_STRING ? e->string.p : second.p,
                         e->kind == JSON_STRING ? e->string.n : second.n),
             what);
    return reader_refuse(r, e, "model.merges", line);
}

static hone_status read_bpe(reader *r, const json *v) {
    tokenizer *t = r->t;
    static const char *const unwanted[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const json *merges = json_get(v, "merges"), *dropout = json_get(v, "dropout"),
               *unk = json_get(v, "unk_token");
    HONE_TRY(read_vocab(r, v, json_get(v, "vocab")));
    for (int i = 0; i < 2; i++)
        if (reader_text(v, unwanted[i], "").n)
            return reader_refuse(r, json_get(v, unwanted[i]), unwanted[i],
                                 "is not yet available, expected null");
    if (!reader_null(dropout) && !(dropout->kind == JSON_NUMBER && dropout->number == 0))
        return reader_refuse(r, dropout, "model.dropout", "is not yet available, expected null");
    t->unk = -1;
    if (!reader_null(unk)) HONE_TRY(read_unknown(r, v, reader_text(v, "unk_token", "")));
    if (!merges || merges->kind != JSON_ARRAY || merges->n > VOCAB_MAX)
        return reader_refuse(r, merges ? merges : v, "model.merges", "missing, expected an array");
    bpe_model *m = bpe_new(t->a, (int)merges->n);
    for (const json *e = merges->child; e; e = e->next) HONE_TRY(read_merge(r, m, e));
    bpe_prepare(m, &t->vocab, t->pretokenizer.bytes);
    m->byte_fallback = reader_flag(v, "byte_fallback", 0);
    m->fuse_unk = reader_flag(v, "fuse_unk", 0);
    m->ignore_merges = reader_flag(v, "ignore_merges", 0);
    t->bpe = m;
    return HONE_OK;
}

/* A number as the library reads it (serde_json): digits into 64 bits as far as they go, then one multiplication or division
 * by a power of ten. That may differ from the nearest double in the last bit, and where two ways to cut a word are equally
 * good the last bit decides. */
static double read_number(const char *p) {
    const int negative = *p == '-';
    uint64_t digits = 0;
    int exponent = 0, written = 0, full = 0, point = 0;
    for (p += negative; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        if (*p == '.') {
            point = 1;
            continue;
        }
        const uint64_t digit = (uint64_t)(*p - '0');
        full |= digits > (UINT64_MAX - digit) / 10;
        if (full) exponent += !point; /* further digits are passed over */
        else digits = 10 * digits + digit, exponent -= point;
    }
    if (*p == 'e' || *p == 'E') {
        const int minus = p[1] == '-';
        for (p += p[1] == '-' || p[1] == '+' ? 2 : 1; *p >= '0' && *p <= '9' && written < 10000; p++)
            written = 10 * written + (*p - '0');
        exponent += minus ? -written : written;
    }
    double x = (double)digits;
    for (; exponent < -308 && x > 0; exponent += 308) x /= 1e308;
    char power[16];
    double ten = 1;
    const int n = snprintf(power, sizeof power, "1e%d", exponent < 0 ? -exponent : exponent);
    if (exponent) str_to_double((str){power, (size_t)n}, &ten);
    x = exponent < 0 ? x / ten : x * ten;
    return negative ? -x : x;
}

static hone_status read_unigram(reader *r, const json *v) {
    tokenizer *t = r->t;
    const json *list = json_get(v, "vocab"), *unk = json_get(v, "unk_id");
    if (!list || list->kind != JSON_ARRAY || list->n > VOCAB_MAX || !list->n)
        return reader_refuse(r, list ? list : v, "model.vocab",
                             "missing, expected an array of tokens and scores");
    double *score = ARENA_ARRAY(t->a, list->n, double);
    vocab_init(&t->vocab, t->a, (int)list->n);
    for (const json *e = list->child; e; e = e->next) {
        int clash;
        if (e->kind != JSON_ARRAY || e->n != 2 || e->child->kind != JSON_STRING ||
            e->child->next->kind != JSON_NUMBER)
            return reader_refuse(r, e, "model.vocab", "expected [token, score]");
        score[t->vocab.n] = read_number(r->content.p + e->child->next->offset);
        if (!vocab_add(&t->vocab, t->a, e->child->string, t->vocab.n, &clash))
            return reader_refuse(r, e, "model.vocab", "a token that is there already");
    }
    t->n_model = t->vocab.n;
    if (!unk || !unk->is_int || unk->integer < 0 || unk->integer >= t->n_model)
        return reader_refuse(r, unk ? unk : v, "model.unk_id", "expected the id of a token");
    t->unk = (int)unk->integer;
    t->unigram = unigram_build(t->a, &t->vocab, t->n_model, score, reader_flag(v, "byte_fallback", 0));
    return HONE_OK;
}

static hone_status read_wordlevel(reader *r, const json *v) {
    HONE_TRY(read_vocab(r, v, json_get(v, "vocab")));
    return read_unknown(r, v, reader_text(v, "unk_token", "<unk>"));
}

static const struct {
    const model_kind *kind;
    hone_status (*read)(reader *r, const json *v);
} models[] = {{&wordpiece_kind, read_wordpiece},
              {&bpe_kind, read_bpe},
              {&unigram_kind, read_unigram},
              {&wordlevel_kind, read_wordlevel}};

/* Old files do not say what the model is; what they hold does. */
static str model_kind_of(const json *v) {
    if (json_get(v, "type")) return reader_kind(v);
    return json_get(v, "merges") ? STR("BPE") : json_get(v, "unk_id") ? STR("Unigram") : STR("WordPiece");
}

hone_status reader_model(reader *r, const json *v) {
    if (!v || v->kind != JSON_OBJECT) return reader_refuse(r, v, "model", "missing, expected an object");
    const str kind = model_kind_of(v);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (str_is(kind, models[i].kind->name)) {
            r->t->model = models[i].kind;
            HONE_TRY(models[i].read(r, v));
            if (!r->t->pretokenizer.bytes || r->t->bpe) return HONE_OK;
            return reader_refuse(r, v, "model", "ByteLevel words are for BPE only");
        }
    return reader_refuse_kind(r, json_get(v, "type"), "model.type", kind,
                              "WordPiece, BPE, Unigram or WordLevel");
}
