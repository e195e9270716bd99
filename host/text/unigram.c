/* unigram.c - Viterbi over the bytes of a word; sums in double, in the library's order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/unigram.h"

/* ---- the tree ---- */

typedef struct {
    str token;
    int id;
} entry;

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return str_compare(x->token, y->token);
}

typedef struct {
    const entry *e;
    VEC(trie_node) node;
} builder;

typedef struct {
    int first, end, at; /* tokens below node `at` */
    size_t depth;
} subtree;

/* Node by node, breadth first, so that children are side by side. */
static void grow(builder *b, int n) {
    VEC(subtree) waiting = {0};
    vec_push(&b->node, (trie_node){.id = -1});
    vec_push(&waiting, (subtree){0, n, 0, 0});
    for (size_t k = 0; k < waiting.n; k++) {
        subtree s = waiting.p[k];
        if (s.first < s.end && b->e[s.first].token.n == s.depth) b->node.p[s.at].id = b->e[s.first++].id;
        b->node.p[s.at].child = (int32_t)b->node.n;
        for (int i = s.first; i < s.end;) {
            const uint8_t byte = (uint8_t)b->e[i].token.p[s.depth];
            int next = i + 1;
            while (next < s.end && (uint8_t)b->e[next].token.p[s.depth] == byte) next++;
            vec_push(&waiting, (subtree){i, next, (int)b->node.n, s.depth + 1});
            vec_push(&b->node, (trie_node){.id = -1, .byte = byte});
            b->node.p[s.at].n++;
            i = next;
        }
    }
    vec_free(&waiting);
}

const unigram_model *unigram_build(arena *a, const vocab *v, int n, const double *score, int byte_fallback) {
    unigram_model *m = ARENA_NEW(a, unigram_model);
    entry *e = mem_new(sizeof *e * (size_t)(n + 1), "tokens in order");
    builder b = {.e = e};
    int n_entries = 0;
    m->score = score;
    m->byte_fallback = byte_fallback;
    double least = n ? score[0] : 0;
    for (int id = 0; id < n; id++) {
        if (score[id] < least) least = score[id];
        if (v->token[id].n) e[n_entries++] = (entry){v->token[id], id};
    }
    m->unknown = least - UNIGRAM_UNKNOWN;
    qsort(e, (size_t)n_entries, sizeof *e, compare_entries);
    grow(&b, n_entries);
    m->node = ARENA_ARRAY(a, b.node.n, trie_node);
    memcpy(m->node, b.node.p, b.node.n * sizeof *m->node);
    vec_free(&b.node);
    mem_free(e);
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte & 255);
        m->fallback_id[byte] = vocab_find(v, name, 6);
    }
    return m;
}

/* ---- a word ---- */

static int character_bytes(char c) {
    const uint8_t b = (uint8_t)c;
    return b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

/* Best way to byte i: where its last piece begins (-1: there is no way), that piece's id (-1: unknown). */
enum { BEGIN, PIECE_ID, N_NUMBERS };

static void offer(cut_scratch *s, size_t to, double score, size_t from, int32_t id) {
    int32_t *x = s->number.p + to * N_NUMBERS;
    if (x[BEGIN] >= 0 && score <= s->score.p[to]) return;
    s->score.p[to] = score;
    x[BEGIN] = (int32_t)from;
    x[PIECE_ID] = id;
}

static void find_ways(const unigram_model *m, str word, cut_scratch *s) {
    vec_reserve(&s->number, (word.n + 1) * N_NUMBERS);
    vec_reserve(&s->score, word.n + 1);
    for (size_t i = 0; i <= word.n; i++) s->number.p[i * N_NUMBERS + BEGIN] = -1, s->score.p[i] = 0;
    for (size_t i = 0; i < word.n;) {
        size_t one = (size_t)character_bytes(word.p[i]);
        if (one > word.n - i) one = word.n - i;
        const double so_far = s->score.p[i];
        int alone = 0; /* the character is a token by itself */
        int32_t at = 0;
        for (size_t k = i; k < word.n && (at = trie_step(m->node, at, (uint8_t)word.p[k])); k++) {
            const int32_t id = m->node[at].id;
            if (id < 0) continue;
            offer(s, k + 1, m->score[id] + so_far, i, id);
            alone |= k + 1 == i + one;
        }
        if (!alone) offer(s, i + one, m->unknown + so_far, i, -1);
        i += one;
    }
}

static int fall_back(const unigram_model *m, str part, int32_t end, pieces *out) {
    if (!m->byte_fallback) return 0;
    for (size_t i = 0; i < part.n; i++)
        if (m->fallback_id[(uint8_t)part.p[i]] < 0) return 0;
    for (size_t i = part.n; i-- > 0;) vec_push(out, (piece){m->fallback_id[(uint8_t)part.p[i]], end});
    return 1;
}

/* Pieces from the last to the first; unknown ones side by side are one (the unknown token itself among them), which may
 * happen to be a token. */
static void cut_unigram(const tokenizer *t, str word, cut_scratch *s, pieces *out) {
    const unigram_model *m = t->unigram;
    find_ways(m, word, s);
    out->n = 0;
    for (size_t end = word.n; end > 0;) {
        const int32_t *x = s->number.p + end * N_NUMBERS;
        size_t from = (size_t)x[BEGIN];
        int32_t id = x[PIECE_ID];
        if (id < 0 || id == t->unk) {
            while (from > 0) {
                const int32_t *y = s->number.p + from * N_NUMBERS;
                if (y[PIECE_ID] >= 0 && y[PIECE_ID] != t->unk) break;
                from = (size_t)y[BEGIN];
            }
            const str part = {word.p + from, end - from};
            id = vocab_find(&t->vocab, part.p, part.n);
            if (id >= t->n_model) id = -1;
            if (id < 0 && fall_back(m, part, (int32_t)end, out)) id = -2;
        }
        if (id != -2) vec_push(out, (piece){id < 0 ? t->unk : id, (int32_t)end});
        end = from;
    }
    for (size_t i = 0, k = out->n; i + 1 < k--; i++) {
        const piece swap = out->p[i];
        out->p[i] = out->p[k];
        out->p[k] = swap;
    }
}

const model_kind unigram_kind = {"Unigram", cut_unigram};
