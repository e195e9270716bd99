/* bpe.c - symbols in a list, the merges that are possible in a heap. */
#include <stdio.h>
#include <string.h>

#include "text/bpe.h"
#include "text/bytelevel.h"
#include "base/err.h"
#include "base/hash.h"

/* ---- merges ---- */

static size_t slot_of(const bpe_model *m, uint64_t pair) {
    return (size_t)((pair * 0x9e3779b97f4a7c15u) >> 20) & (m->n_slots - 1);
}

static uint64_t pair_of(int32_t a, int32_t b) { return (uint64_t)(uint32_t)a << 32 | (uint32_t)b; }

bpe_model *bpe_new(arena *a, int n_merges) {
    bpe_model *m = ARENA_NEW(a, bpe_model);
    m->n_slots = 1024;
    while (m->n_slots < 2 * (size_t)n_merges) m->n_slots *= 2;
    m->slot = ARENA_ARRAY(a, m->n_slots, bpe_merge);
    return m;
}

const bpe_merge *bpe_find(const bpe_model *m, int32_t first, int32_t second) {
    const uint64_t pair = pair_of(first, second);
    for (size_t h = slot_of(m, pair);; h = (h + 1) & (m->n_slots - 1)) {
        if (!m->slot[h].rank) return NULL;
        if (m->slot[h].pair == pair) return &m->slot[h];
    }
}

const char *bpe_add(bpe_model *m, const vocab *v, str first, str second) {
    char both[1024];
    const int a = vocab_find(v, first.p, first.n), b = vocab_find(v, second.p, second.n);
    if (a < 0 || b < 0)
        return a < 0 ? "its first piece is not in the vocabulary"
                     : "its second piece is not in the vocabulary";
    if (first.n + second.n > sizeof both) return "longer than 1024 bytes";
    memcpy(both, first.p, first.n);
    memcpy(both + first.n, second.p, second.n);
    const int id = vocab_find(v, both, first.n + second.n);
    if (id < 0) return "what it makes is not in the vocabulary";
    const uint64_t pair = pair_of(a, b);
    size_t h = slot_of(m, pair);
    while (m->slot[h].rank && m->slot[h].pair != pair) h = (h + 1) & (m->n_slots - 1);
    m->slot[h] = (bpe_merge){pair, (uint32_t)++m->n_merges, id};
    return NULL;
}

void bpe_prepare(bpe_model *m, const vocab *v, int bytes) {
    m->bytes = bytes;
    for (int b = 0; b < 256; b++) {
        char c[8], name[8];
        const int n = utf8_encode(byte_character((uint8_t)b), c);
        m->byte_id[b] = vocab_find(v, c, (size_t)n);
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b & 255);
        m->fallback_id[b] = vocab_find(v, name, 6);
    }
}

/* ---- a word ---- */

/* Symbol i: id, end (byte behind it; -1: it went into the one before), the neighbours, and the rank of its merge
 * with the next one (0: none). */
enum { ID, END, PREV, NEXT, RANK, N_NUMBERS };

static void put_symbol(cut_scratch *s, int32_t id, int32_t end) {
    const int32_t i = (int32_t)(s->number.n / N_NUMBERS);
    vec_reserve(&s->number, s->number.n + N_NUMBERS);
    int32_t *x = s->number.p + s->number.n;
    x[ID] = id, x[END] = end, x[PREV] = i - 1, x[NEXT] = i + 1, x[RANK] = 0;
    s->number.n += N_NUMBERS;
}

static int put_fallback(const bpe_model *m, str c, cut_scratch *s, int32_t *end) {
    for (size_t i = 0; i < c.n; i++)
        if (m->fallback_id[(uint8_t)c.p[i]] < 0) return 0;
    for (size_t i = 0; i < c.n; i++) put_symbol(s, m->fallback_id[(uint8_t)c.p[i]], ++*end);
    return 1;
}

/* Characters that the vocabulary lacks are unknown, or, where there is no such token, left out. An unknown one waits for
 * the next that is known, past those that fall back to bytes: that is the library's order. */
static void put_characters(const tokenizer *t, str word, cut_scratch *s) {
    const bpe_model *m = t->bpe;
    int32_t end = 0, waiting = 0; /* bytes of the unknown that waits */
    for (size_t i = 0; i < word.n;) {
        uint32_t code;
        int n = utf8_decode(word.p + i, word.n - i, &code);
        if (!n) n = 1;
        const str c = {word.p + i, (size_t)n};
        const int id = vocab_find(&t->vocab, c.p, c.n);
        i += (size_t)n;
        if (id >= 0 && id < t->n_model) {
            if (waiting) put_symbol(s, t->unk, end += waiting), waiting = 0;
            put_symbol(s, id, end += n);
        } else if (m->byte_fallback && put_fallback(m, c, s, &end)) {
            continue;
        } else if (t->unk >= 0) {
            if (waiting && !m->fuse_unk) put_symbol(s, t->unk, end += waiting), waiting = 0;
            waiting += n;
        }
    }
    if (waiting) put_symbol(s, t->unk, end + waiting);
}

static void put_bytes(const bpe_model *m, str word, cut_scratch *s) {
    int32_t end = 0;
    for (size_t i = 0; i < word.n; i++) {
        const int32_t id = m->byte_id[(uint8_t)word.p[i]];
        if (id >= 0) put_symbol(s, id, ++end);
    }
}

static void heap_push(cut_scratch *s, uint64_t x) {
    vec_push(&s->heap, x);
    uint64_t *h = s->heap.p;
    size_t i = s->heap.n - 1;
    for (; i > 0 && h[(i - 1) / 2] > x; i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
    h[i] = x;
}

static uint64_t heap_pop(cut_scratch *s) {
    uint64_t *h = s->heap.p;
    const uint64_t top = h[0], x = h[--s->heap.n];
    const size_t n = s->heap.n;
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < n; i = k) {
        if (k + 1 < n && h[k + 1] < h[k]) k++;
        if (h[k] >= x) break;
        h[i] = h[k];
    }
    if (n) h[i] = x;
    return top;
}

/* Look up the merge of symbol i with the next one. */
static void consider(const bpe_model *m, cut_scratch *s, int32_t i, int32_t n) {
    int32_t *x = s->number.p + (size_t)i * N_NUMBERS;
    x[RANK] = 0;
    if (x[NEXT] >= n) return;
    const bpe_merge *merge = bpe_find(m, x[ID], s->number.p[(size_t)x[NEXT] * N_NUMBERS + ID]);
    if (!merge) return;
    x[RANK] = (int32_t)merge->rank;
    heap_push(s, (uint64_t)merge->rank << 32 | (uint32_t)i);
}

/* The heap's entries that no longer hold are known by another rank. */
static void merge_all(const bpe_model *m, cut_scratch *s) {
    const int32_t n = (int32_t)(s->number.n / N_NUMBERS);
    s->heap.n = 0;
    for (int32_t i = 0; i + 1 < n; i++) consider(m, s, i, n);
    while (s->heap.n) {
        const uint64_t top = heap_pop(s);
        const int32_t i = (int32_t)(uint32_t)top;
        int32_t *x = s->number.p + (size_t)i * N_NUMBERS;
        if (x[END] < 0 || x[RANK] != (int32_t)(top >> 32)) continue;
        int32_t *y = s->number.p + (size_t)x[NEXT] * N_NUMBERS;
        x[ID] = bpe_find(m, x[ID], y[ID])->id;
        x[END] = y[END];
        x[NEXT] = y[NEXT];
        y[END] = -1;
        if (x[NEXT] < n) s->number.p[(size_t)x[NEXT] * N_NUMBERS + PREV] = i;
        consider(m, s, i, n);
        if (x[PREV] >= 0) consider(m, s, x[PREV], n);
    }
}

/* The token that a word is as a whole, -1: none. */
static int whole_word(const tokenizer *t, str word) {
    if (!t->bpe->bytes) return vocab_find(&t->vocab, word.p, word.n);
    text written = {0};
    bytes_write(&written, word.p, word.n);
    const int id = vocab_find(&t->vocab, written.p, written.n);
    text_free(&written);
    return id;
}

static void cut_bpe(const tokenizer *t, str word, cut_scratch *s, pieces *out) {
    const bpe_model *m = t->bpe;
    out->n = 0;
    const int whole = m->ignore_merges ? whole_word(t, word) : -1;
    if (whole >= 0 && whole < t->n_model) {
        vec_push(out, (piece){whole, (int32_t)word.n});
        return;
    }
    s->number.n = 0;
    if (m->bytes) put_bytes(m, word, s);
    else put_characters(t, word, s);
    merge_all(m, s);
    for (size_t i = 0; i < s->number.n; i += N_NUMBERS)
        if (s->number.p[i + END] >= 0) vec_push(out, (piece){s->number.p[i + ID], s->number.p[i + END]});
}

const model_kind bpe_kind = {"BPE", cut_bpe};
