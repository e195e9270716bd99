/* encode.c - a text on its way to ids: added tokens are found, what lies between is normalised, cut into
 * words and pieces; then truncation, then the template. */
#include <string.h>

#include "text/added.h"
#include "text/unicode.h"
#include "text/word_cache.h"
#include "base/err.h"
#include "base/mem.h"

typedef struct {
    characters raw, text, spare; /* a text as it is, normalised, and with characters put in */
    normalizer_scratch normalizer;
    text word; /* bytes of a word */
    word_cache *cache;
    encoding first, second;
} scratch;

void encoding_reserve(encoding *e, size_t n) {
    if (n <= e->cap) return;
    size_t cap = e->cap ? e->cap : 64;
    while (cap < n) cap *= 2;
    e->id = mem_grow(e->id, e->cap * sizeof *e->id, cap * sizeof *e->id, "encoding");
    e->type = mem_grow(e->type, e->cap, cap, "encoding");
    e->from = mem_grow(e->from, e->cap * sizeof *e->from, cap * sizeof *e->from, "encoding");
    e->to = mem_grow(e->to, e->cap * sizeof *e->to, cap * sizeof *e->to, "encoding");
    e->special = mem_grow(e->special, e->cap, cap, "encoding");
    e->cap = cap;
}

void encoding_put(encoding *e, int id, int type, int from, int to, int special) {
    if ((size_t)e->n == e->cap) encoding_reserve(e, (size_t)e->n + 1);
    e->id[e->n] = id;
    e->type[e->n] = (uint8_t)type;
    e->from[e->n] = from;
    e->to[e->n] = to;
    e->special[e->n++] = (uint8_t)special;
}

static void free_arrays(encoding *e) {
    mem_free(e->id);
    mem_free(e->type);
    mem_free(e->from);
    mem_free(e->to);
    mem_free(e->special);
}

void encoding_free(encoding *e) {
    scratch *s = e->scratch;
    if (s) {
        characters_free(&s->raw);
        characters_free(&s->text);
        characters_free(&s->spare);
        normalizer_scratch_free(&s->normalizer);
        text_free(&s->word);
        word_cache_free(s->cache);
        free_arrays(&s->first);
        free_arrays(&s->second);
        mem_free(s);
    }
    free_arrays(e);
    *e = (encoding){0};
}

/* ---- words ---- */

typedef struct {
    const tokenizer *t;
    scratch *s;
    encoding *e;
} word_sink;

/* The bytes of characters [first, end). */
static str word_bytes(text *out, const characters *c, size_t first, size_t end) {
    text_clear(out);
    if (out->cap < 4 * (end - first) + 1) {
        const size_t cap = 4 * (end - first) + 64;
        out->p = mem_grow(out->p, out->cap, cap, "word");
        out->cap = cap;
    }
    size_t n = 0;
    for (size_t i = first; i < end; i++) {
        if (c->code[i] < 128) out->p[n++] = (char)c->code[i];
        else n += (size_t)utf8_encode(c->code[i], out->p + n);
    }
    out->n = n;
    return (str){out->p, n};
}

static int utf8_bytes(uint32_t code) { return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4; }

/* A piece that ends within a character has the place of all of it, and so has the next one. Pieces that end at the same
 * byte (the bytes of an unknown part) have the place of the first of them. */
static void encode_word(void *arg, const characters *c, size_t first, size_t end) {
    const word_sink *w = arg;
    const str word = word_bytes(&w->s->word, c, first, end);
    int n;
    const piece *p = word_cache_cut(w->s->cache, w->t, word, &n);
    size_t k = first;     /* the character in which the piece begins ... */
    int32_t behind = 0;   /* ... and the byte behind it, once it is known */
    int32_t piece_at = 0; /* byte at which the piece begins */
    for (int i = 0; i < n; i++) {
        w->e->n_unknown += p[i].id == w->t->unk;
        if (i && p[i].end == piece_at) {
            encoding_put(w->e, p[i].id, 0, w->e->from[w->e->n - 1], w->e->to[w->e->n - 1], 0);
            continue;
        }
        if (!behind) behind = utf8_bytes(c->code[k]);
        while (behind <= piece_at && k + 1 < end) behind += utf8_bytes(c->code[++k]);
        const int32_t from = c->from[k];
        while (behind < p[i].end && k + 1 < end) behind += utf8_bytes(c->code[++k]);
        encoding_put(w->e, p[i].id, 0, from, c->to[k], 0);
        piece_at = p[i].end;
    }
}

/* ---- a text ---- */

/* A stretch of raw text without added tokens: normalise it, find the added tokens that are looked for there.
 */
static void encode_stretch(const tokenizer *t, scratch *s, str part, size_t at, encoding *e) {
    stretch x;
    const word_sink sink = {t, s, e};
    normalizer_run(&t->normalizer, part, at, &s->text, &s->normalizer);
    added_search search = {.c = &s->text, .normalized = 1};
    while (added_next(t, &search, &x)) {
        if (x.id < 0)
            pretokenize(&t->pretokenizer, &s->text, x.first, x.end, &s->spare, encode_word, (void *)&sink);
        else encoding_put(e, x.id, 0, s->text.from[x.first], s->text.to[x.end - 1], 0);
    }
}

/* How many spaces begin (or end) the text of a token. */
static int spaces_of(str token, int from_end) {
    int n = 0;
    while (token.n) {
        uint32_t code = 0;
        size_t at = 0;
        if (from_end)
            for (at = token.n - 1; at > 0 && ((uint8_t)token.p[at] & 0xc0) == 0x80;) at--;
        const int bytes = utf8_decode(token.p + at, token.n - at, &code);
        if (!bytes || (code != 0x120 && !(unicode_class(code) & UNICODE_GAP))) break;
        token.n -= (size_t)bytes;
        if (!from_end) token.p += bytes;
        n++;
    }
    return n;
}

/* Leave out of each token's place the spaces at its ends, as the library's ByteLevel does; it counts characters, and
 * keeps the space before all that add_prefix_space put in (or found there). An added token is the text that it took. */
static void trim_offsets(const tokenizer *t, str whole, encoding *e) {
    for (int i = 0; i < e->n; i++) {
        const str token = added_by_id(t, e->id[i])
                              ? (str){whole.p + e->from[i], (size_t)(e->to[i] - e->from[i])}
                              : t->vocab.token[e->id[i]];
        int left = spaces_of(token, 0), right = spaces_of(token, 1);
        if (left && t->trims_prefix && (i == 0 || e->from[i] == 0)) left--;
        for (; left > 0 && e->from[i] < e->to[i]; left--) {
            do e->from[i]++;
            while (e->from[i] < e->to[i] && ((uint8_t)whole.p[e->from[i]] & 0xc0) == 0x80);
        }
        for (; right > 0 && e->to[i] > e->from[i]; right--) {
            do e->to[i]--;
            while (e->to[i] > e->from[i] && ((uint8_t)whole.p[e->to[i]] & 0xc0) == 0x80);
        }
    }
}

static void encode_untrimmed(const tokenizer *t, scratch *s, str whole, encoding *e) {
    e->n = e->n_unknown = 0;
    int any = 0;
    for (size_t i = 0; i < whole.n && !any; i++) any = t->starts_raw[(unsigned char)whole.p[i]];
    if (!any) { /* most texts hold no first byte of an added token, and need not be looked through */
        encode_stretch(t, s, whole, 0, e);
        return;
    }
    stretch x;
    s->raw.n = 0;
    normalize_text(&s->raw, NULL, whole, 0);
    added_search search = {.c = &s->raw};
    while (added_next(t, &search, &x)) {
        const size_t from = (size_t)s->raw.from[x.first], to = (size_t)s->raw.to[x.end - 1];
        if (x.id < 0) encode_stretch(t, s, (str){whole.p + from, to - from}, from, e);
        else encoding_put(e, x.id, 0, (int)from, (int)to, 0);
    }
}

static void encode_text(const tokenizer *t, scratch *s, str whole, encoding *e) {
    encode_untrimmed(t, s, whole, e);
    if (t->trims) trim_offsets(t, whole, e);
}

/* ---- truncation and template ---- */

/* Lengths to cut to so that both fit into `room`, as the library's longest_first has them. */
static void longest_first(int room, int *a, int *b) {
    const int swap = *a > *b;
    int n1 = swap ? *b : *a, n2;
    if (n1 > room) n2 = n1;
    else n2 = n1 > room - n1 ? n1 : room - n1;
    if (n1 + n2 > room) n1 = room / 2, n2 = n1 + room % 2;
    const int low = swap ? n2 : n1, high = swap ? n1 : n2;
    *a = low < *a ? low : *a;
    *b = high < *b ? high : *b;
}

static hone_status truncate_texts(int max_length, int n_special, truncation how, encoding *a, encoding *b,
                                  int *n_cut, hone_err *err) {
    const int total = a->n + (b ? b->n : 0), room = max_length - n_special, over = total - room;
    if (room < 0)
        return hone_fail(err, HONE_EUSAGE, "max_seq_length: %d, expected %d or more, for the special tokens",
                         max_length, n_special);
    if (over <= 0) return HONE_OK;
    if (!room) { /* whatever the strategy, as in the library */
        a->n = 0;
        if (b) b->n = 0;
    } else if (how == TRUNCATE_LONGEST_FIRST) {
        if (b) longest_first(room, &a->n, &b->n);
        else a->n = room;
    } else {
        encoding *x = how == TRUNCATE_ONLY_FIRST ? a : b;
        if (!x) return hone_fail(err, HONE_EDATA, "truncation: only_second, but there is no second text");
        if (x->n <= over)
            return hone_fail(err, HONE_EDATA,
                             "truncation: the text to be cut has %d tokens, %d must go; expected "
                             "longest_first, or a larger max_seq_length",
                             x->n, over);
        x->n -= over;
    }
    *n_cut = total - a->n - (b ? b->n : 0);
    return HONE_OK;
}

static void append(encoding *e, const encoding *x, int type) {
    if (!x->n) return;
    encoding_reserve(e, (size_t)e->n + (size_t)x->n);
    memcpy(e->id + e->n, x->id, sizeof *x->id * (size_t)x->n);
    memcpy(e->from + e->n, x->from, sizeof *x->from * (size_t)x->n);
    memcpy(e->to + e->n, x->to, sizeof *x->to * (size_t)x->n);
    memset(e->type + e->n, type, (size_t)x->n);
    memset(e->special + e->n, 0, (size_t)x->n);
    e->n += x->n;
}

static scratch *scratch_of(encoding *e) {
    if (e->scratch) return e->scratch;
    scratch *made = mem_new(sizeof *made, "encoding");
    made->cache = word_cache_new();
    return e->scratch = made;
}

static hone_status check_size(size_t n, hone_err *err) {
    if (n <= INT32_MAX / 4) return HONE_OK;
    return hone_fail(err, HONE_EDATA, "a text of %zu bytes, expected at most %d", n, INT32_MAX / 4);
}

/* What s->first (and second) hold, cut and put into the template. */
static hone_status assemble(const tokenizer *t, scratch *s, encoding *second, const encode_options *o, encoding *e,
                            hone_err *err) {
    const template_form *form = second ? &t->pair : &t->single;
    const int n_special = o->no_special ? 0 : form->n_special;
    e->n = e->n_cut = 0;
    e->n_unknown = s->first.n_unknown + (second ? second->n_unknown : 0);
    if (o->max_length)
        HONE_TRY(truncate_texts(o->max_length, n_special, o->strategy, &s->first, second, &e->n_cut, err));
    for (int i = 0; i < form->n; i++) {
        const template_piece *p = &form->piece[i];
        if (p->id >= 0 && o->no_special) continue;
        if (p->id >= 0) encoding_put(e, p->id, p->type, 0, 0, 1);
        else if (!p->pair) append(e, &s->first, p->type);
        else if (second) append(e, second, p->type);
    }
    if (e->n_cut && e->n_unknown) {
        e->n_unknown = 0;
        for (int i = 0; i < e->n; i++) e->n_unknown += e->id[i] == t->unk && !e->special[i];
    }
    return HONE_OK;
}

hone_status tokenizer_encode(const tokenizer *t, str first, str pair, const encode_options *o, encoding *e,
                             hone_err *err) {
    HONE_TRY(check_size(first.n > pair.n ? first.n : pair.n, err));
    scratch *s = scratch_of(e);
    encoding *second = pair.p ? &s->second : NULL;
    encode_text(t, s, first, &s->first);
    if (second) encode_text(t, s, pair, second);
    return assemble(t, s, second, o, e, err);
}

static int wants_space(const tokenizer *t, str word) {
    return t->pretokenizer.bytes && !t->pretokenizer.prefix_space && word.n && word.p[0] != ' ';
}

/* A word behind a space, in the scratch's own memory. */
static str behind_space(text *room, str word) {
    text_clear(room);
    text_str(room, " ");
    text_add(room, word.p, word.n);
    return (str){room->p, room->n};
}

hone_status tokenizer_encode_words(const tokenizer *t, const str *word, int n, const encode_options *o, encoding *e,
                                   hone_err *err) {
    scratch *s = scratch_of(e);
    encoding *all = &s->first, *one = &s->second;
    text room = {0};
    hone_status status = HONE_OK;
    all->n = all->n_unknown = 0;
    for (int i = 0; i < n && !status; i++) {
        status = check_size(word[i].n, err);
        if (status) break;
        encode_untrimmed(t, s, wants_space(t, word[i]) ? behind_space(&room, word[i]) : word[i], one);
        for (int k = 0; k < one->n; k++) encoding_put(all, one->id[k], 0, i, i + 1, 0);
        all->n_unknown += one->n_unknown;
    }
    text_free(&room);
    return status ? status : assemble(t, s, NULL, o, e, err);
}
