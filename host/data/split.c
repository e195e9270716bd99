#include <stdlib.h>
#include <string.h>

#include "data/cache.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"

dataset *dataset_pick(const dataset *base, const int64_t *index, int64_t n) {
    int64_t n_tokens = 0;
    for (int64_t i = 0; i < n; i++) n_tokens += base->at[index[i] + 1] - base->at[index[i]];
    cache_layout l;
    HONE_ASSERT(cache_lay_out(&l, n, n_tokens, base->n_targets, base->word ? CACHE_WORDS : CACHE_TEXTS));
    dataset *d = dataset_new();
    char *memory = mem_new(l.bytes, "picked samples");
    ((dataset_owner *)d->owner)->memory = memory;
    cache_point(d, memory, &l);
    const size_t targets = (size_t)base->n_targets * sizeof(double);
    int64_t *at = (int64_t *)(memory + l.at);
    int32_t *type = mem_new(((size_t)base->max_length + 1) * sizeof *type, "types of a sample");
    for (int64_t i = 0; i < n; i++) {
        const int64_t length = base->at[index[i] + 1] - base->at[index[i]];
        dataset_tokens(base, index[i], (int32_t *)(memory + l.id) + at[i], type);
        for (int64_t k = 0; k < length; k++) memory[l.type + (size_t)(at[i] + k)] = (char)type[k];
        ((int32_t *)(memory + l.label))[i] = base->label[index[i]];
        ((int32_t *)(memory + l.line))[i] = base->line[index[i]];
        if (targets) memcpy(memory + l.target + (size_t)i * targets, base->target + index[i] * base->n_targets, targets);
        if (base->word) {
            memcpy(memory + l.word + (size_t)at[i] * sizeof(int32_t), base->word + base->at[index[i]], (size_t)length * sizeof(int32_t));
            memcpy(memory + l.tag + (size_t)at[i] * sizeof(int32_t), base->tag + base->at[index[i]], (size_t)length * sizeof(int32_t));
        }
        at[i + 1] = at[i] + length;
        if (length > d->max_length) d->max_length = (int)length;
    }
    mem_free(type);
    d->n = n;
    d->n_tokens = n_tokens;
    d->format = base->format;
    memcpy(d->key, base->key, 65);
    memcpy(d->sha256, base->sha256, 65);
    d->from_cache = base->from_cache;
    return d;
}

void dataset_keep(dataset **d, const int64_t *index, int64_t n) {
    dataset_owner *w = (*d)->owner;
    if (!(*d)->pair) {
        dataset *kept = dataset_pick(*d, index, n);
        dataset_free(*d);
        *d = kept;
        return;
    }
    HONE_ASSERT((*d)->pair == w->blocks);
    token_pair *pair = w->blocks;
    int64_t *at = (int64_t *)(uintptr_t)(*d)->at, end = 0;
    int32_t *line = (int32_t *)(uintptr_t)(*d)->line;
    for (int64_t i = 0; i < n; i++) { /* labels are all alike */
        const int64_t length = at[index[i] + 1] - at[index[i]];
        pair[i] = pair[index[i]], line[i] = line[index[i]];
        at[i] = end, end += length;
    }
    at[n] = end;
    (*d)->n = n, (*d)->n_tokens = end;
}

void dataset_regroup(dataset *d, int64_t length) {
    dataset_owner *w = d->owner;
    const int64_t n = d->n_tokens / length;
    HONE_ASSERT(n > 0 && !w->blocks);
    int64_t *at = w->blocks = mem_new(((size_t)n + 1) * sizeof *at + 2 * (size_t)n * sizeof(int32_t), "blocks of tokens");
    int32_t *label = (int32_t *)(at + n + 1), *line = label + n;
    for (int64_t i = 0, from = 0; i < n; i++) {
        at[i] = i * length;
        while (d->at[from + 1] <= at[i]) from++;
        label[i] = -1;
        line[i] = d->line[from]; /* of the text that it begins in */
    }
    at[n] = n * length;
    d->at = at, d->label = label, d->line = line, d->target = NULL, d->word = d->tag = NULL;
    d->n_targets = 0;
    d->n = n, d->n_tokens = at[n], d->max_length = (int)length;
}

/* Behind the last row of the document that begins with row `from`. */
static int64_t document_end(const dataset *d, int64_t from) {
    int64_t end = from + 1;
    while (d->format == ROWS_LINES && end < d->n && d->at[end] > d->at[end - 1] && d->at[end + 1] > d->at[end]) end++;
    return end;
}

static int64_t count_pieces(const dataset *d, int64_t room) {
    int64_t n = 0;
    for (int64_t row = 0, end; row < d->n; row = end) {
        end = document_end(d, row);
        n += (d->at[end] - d->at[row] + room - 1) / room;
    }
    return n;
}

void dataset_pieces(dataset *d, int64_t length, int32_t cls, int32_t sep) {
    dataset_owner *w = d->owner;
    const int64_t room = length - 2, n = count_pieces(d, room);
    HONE_ASSERT(room > 0 && !w->blocks);
    token_pair *pair = w->blocks = mem_new((size_t)n * (sizeof *pair + sizeof(int64_t) + 2 * sizeof(int32_t)) + sizeof(int64_t),
                                           "pieces of documents");
    int64_t *at = (int64_t *)(pair + n), i = 0;
    int32_t *label = (int32_t *)(at + n + 1), *line = label + n;
    d->max_length = 0;
    for (int64_t row = 0, end; row < d->n; row = end) {
        end = document_end(d, row);
        for (int64_t from = d->at[row], held; from < d->at[end]; from += held, i++) {
            held = d->at[end] - from < room ? d->at[end] - from : room;
            pair[i] = (token_pair){{from, 0}, {held, 0}};
            at[i + 1] = at[i] + held + 2;
            label[i] = -1;
            line[i] = d->line[row];
            if (held + 2 > d->max_length) d->max_length = (int)held + 2;
        }
    }
    d->at = at, d->label = label, d->line = line, d->pair = pair, d->target = NULL;
    d->cls = cls, d->sep = sep;
    d->n = n, d->n_tokens = at[n];
}

/* How long the piece is that begins at token `from` of a document that ends before `end`: none is left with a single token,
 * of which nothing is the next. */
static int64_t piece(int64_t from, int64_t end, int64_t length) {
    const int64_t left = end - from;
    return left <= length ? left : left == length + 1 && length > 2 ? length - 1 : length;
}

void dataset_cut(dataset *d, int32_t end_id, int64_t length) {
    dataset_owner *w = d->owner;
    const int64_t all = d->n_tokens;
    int64_t n = 0, cap = 0, *start = NULL;
    HONE_ASSERT(length > 1 && !w->blocks);
    for (int64_t from = 0, end = 0; from < all;) {
        if (end <= from)
            for (end = from + 1; end < all && d->id[end - 1] != end_id;) end++;
        if (n == cap) {
            const int64_t more = 2 * cap + 1024;
            start = mem_grow(start, (size_t)cap * sizeof *start, (size_t)more * sizeof *start, "pieces of documents");
            cap = more;
        }
        start[n++] = from;
        from += piece(from, end, length);
    }
    int64_t *at = w->blocks = mem_new(((size_t)n + 1) * sizeof *at + 2 * (size_t)n * sizeof(int32_t), "pieces of documents");
    int32_t *label = (int32_t *)(at + n + 1), *line = label + n;
    d->max_length = 0;
    for (int64_t i = 0, row = 0; i < n; i++) {
        at[i] = start[i];
        at[i + 1] = i + 1 < n ? start[i + 1] : all;
        while (d->at[row + 1] <= at[i]) row++;
        label[i] = -1;
        line[i] = d->line[row];
        if (at[i + 1] - at[i] > d->max_length) d->max_length = (int)(at[i + 1] - at[i]);
    }
    mem_free(start);
    d->at = at, d->label = label, d->line = line, d->target = NULL;
    d->n = n;
}

typedef struct {
    int32_t label;
    uint64_t draw;
    int64_t sample;
} ticket;

/* By class, and within a class by the number drawn. */
static int by_class_then_draw(const void *a, const void *b) {
    const ticket *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    if (x->draw != y->draw) return x->draw < y->draw ? -1 : 1;
    return x->sample < y->sample ? -1 : x->sample > y->sample;
}

/* How many of a class of n go to the validation part. */
static int64_t share(int64_t n, double fraction) {
    int64_t k = (int64_t)((double)n * fraction + 0.5);
    if (k < 1 && fraction > 0) k = 1;
    if (k >= n) k = n - 1;
    return k < 0 ? 0 : k;
}

void dataset_split(const dataset *d, double fraction, uint64_t seed, int64_t *train, int64_t *n_train,
                   int64_t *validation, int64_t *n_validation) {
    ticket *t = mem_new((size_t)d->n * sizeof *t, "split");
    uint8_t *chosen = mem_new((size_t)d->n, "split");
    for (int64_t i = 0; i < d->n; i++)
        t[i] = (ticket){d->label[i], rng_bits(seed, RNG_SPLIT, 0, (uint64_t)i), i};
    qsort(t, (size_t)d->n, sizeof *t, by_class_then_draw);
    for (int64_t from = 0, to; from < d->n; from = to) {
        for (to = from; to < d->n && t[to].label == t[from].label;) to++;
        const int64_t k = share(to - from, fraction);
        for (int64_t i = from; i < from + k; i++) chosen[t[i].sample] = 1;
    }
    *n_train = *n_validation = 0;
    for (int64_t i = 0; i < d->n; i++) {
        if (chosen[i]) validation[(*n_validation)++] = i;
        else train[(*n_train)++] = i;
    }
    mem_free(t);
    mem_free(chosen);
}
