/* added.c - leftmost, longest: the tokens with the same first character stand together, longest first. */
#include <stdlib.h>
#include <string.h>

#include "text/added.h"
#include "text/unicode.h"

const added_token *added_by_id(const tokenizer *t, int id) {
    return id >= 0 && id < t->vocab.n && t->added_of[id] ? &t->added[t->added_of[id] - 1] : NULL;
}

void added_put(tokenizer *t, const added_token *x) {
    if (t->n_added == t->added_cap) {
        const added_token *old = t->added;
        t->added_cap = 2 * t->added_cap + 16;
        t->added = ARENA_ARRAY(t->a, (size_t)t->added_cap, added_token);
        if (old) memcpy(t->added, old, sizeof *old * (size_t)t->n_added);
    }
    t->added[t->n_added++] = *x;
}

/* Of those with the same id the last one stays, in the place of the first. */
static void index_ids(tokenizer *t) {
    int n = 0;
    t->added_of = ARENA_ARRAY(t->a, (size_t)t->vocab.n + 1, int32_t);
    for (int i = 0; i < t->n_added; i++) {
        int32_t *place = &t->added_of[t->added[i].id];
        if (!*place) *place = ++n;
        t->added[*place - 1] = t->added[i];
    }
    t->n_added = n;
}

/* Where two match alike, special ones come first, then the earlier one. */
static int compare_tokens(const void *a, const void *b) {
    const added_token *x = *(const added_token *const *)a, *y = *(const added_token *const *)b;
    if (x->normalized != y->normalized) return x->normalized < y->normalized ? -1 : 1;
    if (x->code[0] != y->code[0]) return x->code[0] < y->code[0] ? -1 : 1;
    if (x->n_codes != y->n_codes) return x->n_codes > y->n_codes ? -1 : 1;
    if (x->special != y->special) return x->special ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void show(tokenizer *t, added_token *x, const characters *c) {
    x->shown = x->content;
    if (!x->normalized || !t->normalizer.n) return;
    char *p = arena_alloc(t->a, 4 * c->n + 1);
    x->shown = (str){p, 0};
    for (size_t i = 0; i < c->n; i++) x->shown.n += (size_t)utf8_encode(c->code[i], p + x->shown.n);
}

void added_prepare(tokenizer *t) {
    static const normalizer as_it_is = {0};
    characters c = {0};
    normalizer_scratch scratch = {0};
    index_ids(t);
    t->sought = ARENA_ARRAY(t->a, (size_t)t->n_added + 1, const added_token *);
    for (int i = 0; i < t->n_added; i++) {
        added_token *x = &t->added[i];
        normalizer_run(x->normalized ? &t->normalizer : &as_it_is, x->content, 0, &c, &scratch);
        show(t, x, &c);
        if (!c.n) continue;
        x->n_codes = (int)c.n;
        x->code = ARENA_ARRAY(t->a, c.n, uint32_t);
        memcpy(x->code, c.code, sizeof *c.code * c.n);
        t->sought[t->n_sought++] = x;
        if (x->normalized) t->starts_normalized[x->code[0] & 255] = 1;
        else t->starts_raw[(unsigned char)x->content.p[0]] = 1;
    }
    characters_free(&c);
    normalizer_scratch_free(&scratch);
    for (int i = 0; i < t->n_added; i++) { /* the library asks the text that is shown, not the token */
        const str shown = t->added[i].shown;
        const added_token *same = added_by_id(t, vocab_find(&t->vocab, shown.p, shown.n));
        t->added[i].left_out = same && same->special;
    }
    qsort(t->sought, (size_t)t->n_sought, sizeof *t->sought, compare_tokens);
}

/* ---- finding ---- */

static int stands_alone(const characters *c, size_t from, size_t to) {
    return !(from > 0 && unicode_is_word(c->code[from - 1])) && !(to < c->n && unicode_is_word(c->code[to]));
}

static const added_token *token_at(const tokenizer *t, const characters *c, size_t i, int normalized) {
    const uint32_t first = c->code[i];
    int low = 0, high = t->n_sought;
    while (low < high) {
        const int mid = (low + high) / 2;
        const added_token *x = t->sought[mid];
        if (x->normalized < normalized || (x->normalized == normalized && x->code[0] < first)) low = mid + 1;
        else high = mid;
    }
    for (; low < t->n_sought; low++) {
        const added_token *x = t->sought[low];
        if (x->normalized != normalized || x->code[0] != first) return NULL;
        if ((size_t)x->n_codes <= c->n - i &&
            !memcmp(x->code, c->code + i, sizeof *x->code * (size_t)x->n_codes))
            return x;
    }
    return NULL;
}

static int hand_out(added_search *s, stretch *out, stretch x) {
    *out = x;
    s->done = x.end;
    return 1;
}

int added_next(const tokenizer *t, added_search *s, stretch *out) {
    const characters *c = s->c;
    if (s->waiting.end) {
        const stretch x = s->waiting;
        s->waiting.end = 0;
        return hand_out(s, out, x);
    }
    for (size_t i = s->at; i < c->n && t->n_sought;) {
        const added_token *x = !s->normalized || t->starts_normalized[c->code[i] & 255]
                                   ? token_at(t, c, i, s->normalized)
                                   : NULL;
        if (!x) {
            i++;
            continue;
        }
        size_t from = i, to = i + (size_t)x->n_codes;
        i = to;
        if (x->single_word && !stands_alone(c, from, to)) continue;
        while (x->lstrip && from > s->done && (unicode_class(c->code[from - 1]) & UNICODE_GAP)) from--;
        if (x->lstrip && from < s->done) from = s->done;
        while (x->rstrip && to < c->n && (unicode_class(c->code[to]) & UNICODE_GAP)) to++;
        s->at = i; /* white space that rstrip took may hold the next token all the same */
        if (from >= to) continue;
        const stretch token = {from, to, x->id};
        if (from <= s->done) return hand_out(s, out, token);
        s->waiting = token;
        return hand_out(s, out, (stretch){s->done, from, -1});
    }
    s->at = c->n;
    return s->done < c->n ? hand_out(s, out, (stretch){s->done, c->n, -1}) : 0;
}
