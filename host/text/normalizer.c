/* normalizer.c - the steps one after the other; most turn characters into edits, which are then carried out. */
#include <string.h>

#include "text/charsmap.h"
#include "text/unicode.h"

void normalizer_scratch_free(normalizer_scratch *s) {
    characters_free(&s->spare);
    vec_free(&s->edits);
}

/* An inserted character has the place of what was passed last; the library gives one before all (0, 0). */
static void carry_out(const edits *list, const characters *in, characters *out) {
    size_t i = 0;
    out->n = 0;
    characters_reserve(out, list->n);
    for (size_t k = 0; k < list->n; k++) {
        const edit x = list->p[k];
        if (x.change > 0) {
            characters_put(out, x.code, i ? in->from[i - 1] : 0, i ? in->to[i - 1] : 0);
            continue;
        }
        if (i < in->n) characters_put(out, x.code, in->from[i], in->to[i]);
        i += 1 + (size_t)-x.change;
    }
}

static void keep(characters *c, size_t *kept, size_t i, uint32_t code) {
    c->code[*kept] = code;
    c->from[*kept] = c->from[i];
    c->to[(*kept)++] = c->to[i];
}

static void lowercase(const characters *in, edits *out) {
    for (size_t i = 0; i < in->n; i++) {
        uint32_t to[8];
        const int n = unicode_class(in->code[i]) & UNICODE_LOWER ? unicode_lower(in->code[i], to)
                                                                 : (to[0] = in->code[i], 1);
        for (int k = 0; k < n; k++) vec_push(out, (edit){to[k], k > 0});
    }
}

static void strip_accents(characters *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++)
        if (!(unicode_class(c->code[i]) & UNICODE_COMBINING)) keep(c, &kept, i, c->code[i]);
    c->n = kept;
}

static int nmt_drops(uint32_t c) {
    return (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f;
}

static int nmt_blanks(uint32_t c) {
    return c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
           c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
}

static void nmt(characters *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++)
        if (!nmt_drops(c->code[i])) keep(c, &kept, i, nmt_blanks(c->code[i]) ? ' ' : c->code[i]);
    c->n = kept;
}

static void strip(characters *c, int left, int right) {
    size_t first = 0, end = c->n;
    while (left && first < end && unicode_class(c->code[first]) & UNICODE_GAP) first++;
    while (right && end > first && unicode_class(c->code[end - 1]) & UNICODE_GAP) end--;
    c->n = 0;
    for (size_t i = first; i < end; i++) keep(c, &c->n, i, c->code[i]);
}

/* How many characters from i on the pattern takes; 0: it does not stand here. */
static size_t match(const normalize_step *s, const characters *c, size_t i) {
    if (s->least) {
        size_t n = 0;
        while (i + n < c->n && c->code[i + n] == s->from[0]) n++;
        return n >= s->least ? n : 0;
    }
    const int here = s->n_from <= c->n - i && !memcmp(s->from, c->code + i, s->n_from * sizeof *s->from);
    return here ? s->n_from : 0;
}

/* Every character put in has the place of the last one taken away. */
static void replace(const normalize_step *s, const characters *in, characters *out) {
    out->n = 0;
    for (size_t i = 0; i < in->n;) {
        const size_t n = match(s, in, i);
        characters_reserve(out, 1 + s->n_to);
        if (!n) {
            characters_put(out, in->code[i], in->from[i], in->to[i]);
            i++;
            continue;
        }
        for (size_t k = 0; k < s->n_to; k++)
            characters_put(out, s->to[k], in->from[i + n - 1], in->to[i + n - 1]);
        i += n;
    }
}

static void prepend(const normalize_step *s, const characters *in, characters *out) {
    out->n = 0;
    if (!in->n) return;
    characters_reserve(out, in->n + s->n_to);
    for (size_t k = 0; k < s->n_to; k++) characters_put(out, s->to[k], in->from[0], in->to[0]);
    for (size_t i = 0; i < in->n; i++) characters_put(out, in->code[i], in->from[i], in->to[i]);
}

static void swap(characters *a, characters *b) {
    const characters x = *a;
    *a = *b;
    *b = x;
}

static void run_step(const normalize_step *s, characters *c, normalizer_scratch *scratch) {
    edits *list = &scratch->edits;
    list->n = 0;
    switch (s->kind) {
    case NORMALIZE_BERT:
        break; /* makes characters of bytes, at the beginning only */
    case NORMALIZE_STRIP_ACCENTS:
        strip_accents(c);
        return;
    case NORMALIZE_NMT:
        nmt(c);
        return;
    case NORMALIZE_STRIP:
        strip(c, s->left, s->right);
        return;
    case NORMALIZE_PREPEND:
        prepend(s, c, &scratch->spare);
        break;
    case NORMALIZE_REPLACE:
        replace(s, c, &scratch->spare);
        break;
    case NORMALIZE_NFC:
        normalize_form(c, 0, 1, list);
        break;
    case NORMALIZE_NFD:
        normalize_form(c, 0, 0, list);
        break;
    case NORMALIZE_NFKC:
        normalize_form(c, 1, 1, list);
        break;
    case NORMALIZE_NFKD:
        normalize_form(c, 1, 0, list);
        break;
    case NORMALIZE_LOWERCASE:
        lowercase(c, list);
        break;
    case NORMALIZE_MAP:
        charsmap_run(s->map, c, list);
        break;
    }
    if (s->kind != NORMALIZE_PREPEND && s->kind != NORMALIZE_REPLACE) carry_out(list, c, &scratch->spare);
    swap(c, &scratch->spare);
}

void normalizer_run(const normalizer *n, str s, size_t at, characters *out, normalizer_scratch *scratch) {
    const int bert = n->n && n->step[0].kind == NORMALIZE_BERT;
    out->n = 0;
    normalize_text(out, bert ? &n->step[0].bert : NULL, s, at);
    for (int i = bert; i < n->n; i++) run_step(&n->step[i], out, scratch);
}
