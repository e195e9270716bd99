/* encode.c - a text on its way to ids: added tokens are found, what lies between is normalised, cut into
 * words and pieces; then truncation, then the template. */
#include <string.h>

#include "text/tokenizer_parts.h"
#include "text/unicode.h"
#include "base/err.h"
#include "base/mem.h"

typedef struct {
    characters raw, text; /* a text as it is, and normalised */
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
        free_arrays(&s->first);
        free_arrays(&s->second);
        mem_free(s);
    }
    free_arrays(e);
    *e = (encoding){0};
}

/* ---- words ---- */

/* Words of characters [first, end): white space ends one, punctuation is one by itself. */
static void encode_words(const tokenizer *t, const characters *c, size_t first, size_t end, encoding *e) {
    size_t word = first;
    for (size_t i = first; i < end; i++) {
        const unsigned k =
            t->has_pretokenizer ? unicode_class(c->code[i]) & (UNICODE_GAP | UNICODE_PUNCTUATION) : 0;
        if (!k) continue;
        if (i > word) wordpiece_encode(t, c, word, i, 0, e);
        if (k & UNICODE_PUNCTUATION) wordpiece_encode(t, c, i, i + 1, 0, e);
        word = i + 1;
    }
    if (end > word) wordpiece_encode(t, c, word, end, 0, e);
}

/* ---- added tokens ---- */

static int is_word_character(uint32_t code) {
    if (code < 128)
        return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
               code == '_';
    const unsigned k = unicode_class(code);
    return !(k & (UNICODE_GAP | UNICODE_PUNCTUATION | UNICODE_DROP | UNICODE_SPACE));
}

/* The longest added token that stands at i, NULL: none. */
static const added_token *token_at(const tokenizer *t, const characters *c, size_t i, int normalized) {
    const added_token *best = NULL;
    for (int k = 0; k < t->n_added; k++) {
        const added_token *x = &t->added[k];
        if (x->normalized != normalized || !x->n_codes || (size_t)x->n_codes > c->n - i ||
            (best && x->n_codes <= best->n_codes))
            continue;
        if (!memcmp(x->code, c->code + i, sizeof *x->code * (size_t)x->n_codes)) best = x;
    }
    return best;
}

static int stands_alone(const characters *c, size_t from, size_t to) {
    return !(from > 0 && is_word_character(c->code[from - 1])) &&
           !(to < c->n && is_word_character(c->code[to]));
}

typedef void between(const tokenizer *t, scratch *s, str whole, const characters *c, size_t first, size_t end,
                     encoding *e);

/* Call rest for what lies between added tokens, and put their ids. */
static void split_added(const tokenizer *t, scratch *s, str whole, const characters *c, int normalized,
                        between *rest, encoding *e) {
    const uint8_t *starts = normalized ? t->starts_normalized : t->starts_added;
    size_t done = 0;
    for (size_t i = 0; i < c->n;) {
        const added_token *x = starts[c->code[i] & 255] ? token_at(t, c, i, normalized) : NULL;
        if (!x || (x->single_word && !stands_alone(c, i, i + (size_t)x->n_codes))) {
            i++;
            continue;
        }
        size_t from = i, to = i + (size_t)x->n_codes;
        while (x->lstrip && from > done && (unicode_class(c->code[from - 1]) & UNICODE_GAP)) from--;
        while (x->rstrip && to < c->n && (unicode_class(c->code[to]) & UNICODE_GAP)) to++;
        if (from > done) rest(t, s, whole, c, done, from, e);
        encoding_put(e, x->id, 0, c->from[from], c->to[to - 1], 0);
        i = done = to;
    }
    if (c->n > done) rest(t, s, whole, c, done, c->n, e);
}

static void words_between(const tokenizer *t, scratch *s, str whole, const characters *c, size_t first,
                          size_t end, encoding *e) {
    (void)s;
    (void)whole;
    encode_words(t, c, first, end, e);
}

/* A stretch of raw text without added tokens: normalise it, find the added tokens that are looked for there.
 */
static void normalize_between(const tokenizer *t, scratch *s, str whole, const characters *c, size_t first,
                              size_t end, encoding *e) {
    const size_t from = (size_t)c->from[first], to = (size_t)c->to[end - 1];
    s->text.n = 0;
    normalize_text(&s->text, t->has_normalizer ? &t->normalize : NULL, (str){whole.p + from, to - from},
                   from);
    split_added(t, s, whole, &s->text, 1, words_between, e);
}

static void encode_text(const tokenizer *t, scratch *s, str whole, encoding *e) {
    e->n = e->n_unknown = 0;
    int any = 0;
    for (size_t i = 0; i < whole.n && !any; i++) any = t->starts_added[(unsigned char)whole.p[i]];
    s->raw.n = 0;
    if (any) { /* most texts hold no first byte of an added token, and need not be looked through */
        normalize_text(&s->raw, NULL, whole, 0);
        split_added(t, s, whole, &s->raw, 0, normalize_between, e);
        return;
    }
    s->text.n = 0;
    normalize_text(&s->text, t->has_normalizer ? &t->normalize : NULL, whole, 0);
    split_added(t, s, whole, &s->text, 1, words_between, e);
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

static hone_status truncate_texts(int room, truncation how, encoding *a, encoding *b, int *n_cut,
                                  hone_err *err) {
    const int total = a->n + (b ? b->n : 0), over = total - room;
    if (room < 0)
        return hone_fail(err, HONE_EUSAGE,
                         "max_seq_length: the special tokens alone are longer, expected %d or more", -room);
    if (over <= 0) return HONE_OK;
    if (!b && how != TRUNCATE_ONLY_SECOND) {
        a->n = room;
    } else if (how == TRUNCATE_LONGEST_FIRST) {
        longest_first(room, &a->n, &b->n);
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
    encoding_reserve(e, (size_t)e->n + (size_t)x->n);
    memcpy(e->id + e->n, x->id, sizeof *x->id * (size_t)x->n);
    memcpy(e->from + e->n, x->from, sizeof *x->from * (size_t)x->n);
    memcpy(e->to + e->n, x->to, sizeof *x->to * (size_t)x->n);
    memset(e->type + e->n, type, (size_t)x->n);
    memset(e->special + e->n, 0, (size_t)x->n);
    e->n += x->n;
}

hone_status tokenizer_encode(const tokenizer *t, str first, str pair, const encode_options *o, encoding *e,
                             hone_err *err) {
    static const template_form bare = {.piece = {{-1, 0, 0}, {-1, 1, 1}}, .n = 2};
    if (!e->scratch) e->scratch = mem_new(sizeof(scratch), "encoding");
    if (first.n > INT32_MAX / 4 || pair.n > INT32_MAX / 4)
        return hone_fail(err, HONE_EDATA, "a text of %zu bytes, expected at most %d",
                         first.n > pair.n ? first.n : pair.n, INT32_MAX / 4);
    scratch *s = e->scratch;
    const template_form *form = o->no_special ? &bare : pair.p ? &t->pair : &t->single;
    encoding *second = pair.p ? &s->second : NULL;
    encode_text(t, s, first, &s->first);
    if (second) encode_text(t, s, pair, second);
    e->n = e->n_cut = 0;
    e->n_unknown = s->first.n_unknown + (second ? second->n_unknown : 0);
    if (o->max_length)
        HONE_TRY(
            truncate_texts(o->max_length - form->n_special, o->strategy, &s->first, second, &e->n_cut, err));
    for (int i = 0; i < form->n; i++) {
        const template_piece *p = &form->piece[i];
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
