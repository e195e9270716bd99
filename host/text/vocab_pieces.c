/* vocab_pieces.c - expectation maximisation with probabilities as they are, not their logarithms: words are cut into parts
 * of at most 32 characters for training, whose products stay far above what a double can hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/unigram.h"
#include "text/vocab_merge.h"
#include "text/vocab_pieces.h"
#include "text/word_table.h"
#include "base/err.h"
#include "base/hash.h"

#define N_SHARDS 16
#define PART_CHARACTERS 32
#define PIECE_CHARACTERS 16
#define MAX_SUBSTRINGS ((size_t)8 << 20) /* rarer words give none once there are so many */
#define SEEDS_A_PIECE 10                 /* seeds by the pieces wanted ... */
#define MAX_SEEDS 1000000                /* ... but no more than these */
#define KEPT_A_ROUND 0.75
#define LEAST_COUNT 0.5 /* a piece expected less often is taken away */
#define LEAST_PROBABILITY 1e-9

typedef struct {
    str text;
    double p, expected;
    int required; /* a single character */
} candidate;

typedef VEC(candidate) candidates;
typedef VEC(word_count) parts;

/* ---- parts of words: of known characters only ---- */

static int character_at(str s, size_t at, uint32_t *code) {
    const int n = utf8_decode(s.p + at, s.n - at, code);
    return n ? n : 1;
}

static void add_parts(parts *out, const word_count *w, const uint8_t *known) {
    size_t from = 0, i = 0;
    int n = 0;
    while (i < w->word.n) {
        uint32_t code = 0;
        const size_t bytes = (size_t)character_at(w->word, i, &code);
        if (n == PART_CHARACTERS || !known[code]) {
            if (i > from) vec_push(out, (word_count){{w->word.p + from, i - from}, w->count});
            from = known[code] ? i : i + bytes;
            n = 0;
        }
        n += known[code];
        i += bytes;
    }
    if (i > from) vec_push(out, (word_count){{w->word.p + from, i - from}, w->count});
}

/* ---- the first pieces: single characters, and the substrings whose count times length is greatest ---- */

typedef struct {
    str text;
    double weight;
} seed;

static int compare_seeds(const void *a, const void *b) {
    const seed *x = a, *y = b;
    return x->weight != y->weight ? (x->weight > y->weight ? -1 : 1) : str_compare(x->text, y->text);
}

static int count_characters(str s) {
    int n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void count_substrings(word_table *t, const parts *list) {
    for (size_t w = 0; w < list->n && t->n_words < MAX_SUBSTRINGS; w++) {
        const str s = list->p[w].word;
        uint32_t code;
        for (size_t i = 0; i < s.n; i += (size_t)character_at(s, i, &code)) {
            size_t end = i;
            for (int n = 0; n < PIECE_CHARACTERS && end < s.n; n++) {
                end += (size_t)character_at(s, end, &code);
                word_table_add(t, (str){s.p + i, end - i}, hash64(s.p + i, end - i, 0), list->p[w].count);
            }
        }
    }
}

static void plant(candidates *out, arena *a, const parts *list, const piece_options *o) {
    word_table t = {0};
    VEC(seed) seeds = {0};
    count_substrings(&t, list);
    for (size_t i = 0; i < t.n_slots; i++) {
        const word_slot *s = &t.slot[i];
        const str part = {t.bytes.p + s->at, s->n};
        const int n = s->n ? count_characters(part) : 0;
        if (n == 1)
            vec_push(out, (candidate){.text = {arena_copy(a, part.p, part.n), part.n},
                                      .p = (double)s->count,
                                      .required = 1});
        if (n > 1 && s->count >= o->min_count) vec_push(&seeds, (seed){part, (double)s->count * n});
    }
    if (seeds.n) qsort(seeds.p, seeds.n, sizeof *seeds.p, compare_seeds);
    const size_t most =
        (size_t)o->size * SEEDS_A_PIECE < MAX_SEEDS ? (size_t)o->size * SEEDS_A_PIECE : MAX_SEEDS;
    for (size_t i = 0; i < seeds.n && i < most; i++)
        vec_push(out,
                 (candidate){.text = {arena_copy(a, seeds.p[i].text.p, seeds.p[i].text.n), seeds.p[i].text.n},
                             .p = seeds.p[i].weight});
    double sum = 0;
    for (size_t i = 0; i < out->n; i++) sum += out->p[i].p;
    for (size_t i = 0; i < out->n; i++) out->p[i].p /= sum;
    vec_free(&seeds);
    word_table_free(&t);
}

static int compare_texts(const void *a, const void *b) {
    return str_compare(((const candidate *)a)->text, ((const candidate *)b)->text);
}

/* ---- expectation ---- */

typedef struct {
    int from, to, id;
} edge;

typedef struct {
    const trie_node *node;
    const candidate *piece;
    const parts *list;
    double *expected; /* [N_SHARDS][n] */
    size_t n;
} expectation;

typedef struct {
    VEC(edge) edge;
    double alpha[4 * PART_CHARACTERS + 1], beta[4 * PART_CHARACTERS + 1];
} lattice;

static void expect_part(const expectation *x, const word_count *w, double *expected, lattice *l) {
    const str s = w->word;
    l->edge.n = 0;
    memset(l->alpha, 0, sizeof l->alpha);
    memset(l->beta, 0, sizeof l->beta);
    l->alpha[0] = l->beta[s.n] = 1;
    for (size_t i = 0; i < s.n; i++) {
        if (((uint8_t)s.p[i] & 0xc0) == 0x80) continue;
        int32_t at = 0;
        for (size_t k = i; k < s.n && (at = trie_step(x->node, at, (uint8_t)s.p[k])); k++) {
            const int id = x->node[at].id;
            if (id < 0) continue;
            l->alpha[k + 1] += l->alpha[i] * x->piece[id].p;
            vec_push(&l->edge, (edge){(int)i, (int)k + 1, id});
        }
    }
    if (!(l->alpha[s.n] > 0)) return;
    const double scale = (double)w->count / l->alpha[s.n];
    for (size_t e = l->edge.n; e-- > 0;) {
        const edge *g = &l->edge.p[e];
        const double onward = x->piece[g->id].p * l->beta[g->to];
        l->beta[g->from] += onward;
        expected[g->id] += l->alpha[g->from] * onward * scale;
    }
}

static void expect_shard(void *arg, int64_t shard, int thread) {
    const expectation *x = arg;
    lattice *l = mem_new(sizeof *l, "ways to cut a word");
    (void)thread;
    for (size_t w = (size_t)shard; w < x->list->n; w += N_SHARDS)
        expect_part(x, &x->list->p[w], x->expected + (size_t)shard * x->n, l);
    vec_free(&l->edge);
    mem_free(l);
}

/* The pieces as a tree, in an arena of its own. */
static const unigram_model *tree_of(arena *a, const candidates *c, vocab *v) {
    double *score = ARENA_ARRAY(a, c->n + 1, double);
    int clash;
    vocab_init(v, a, (int)c->n);
    for (size_t i = 0; i < c->n; i++) {
        vocab_add(v, a, c->p[i].text, (int)i, &clash);
        score[i] = log(c->p[i].p);
    }
    return unigram_build(a, v, (int)c->n, score, 0);
}

static void expect(candidates *c, const parts *list, pool *p) {
    arena *a = arena_new("pieces");
    vocab v;
    const unigram_model *m = tree_of(a, c, &v);
    expectation x = {m->node, c->p, list, mem_new(N_SHARDS * c->n * sizeof(double), "expected counts"), c->n};
    pool_run(p, N_SHARDS, expect_shard, &x);
    for (size_t i = 0; i < c->n; i++) {
        c->p[i].expected = 0;
        for (size_t k = 0; k < N_SHARDS; k++) c->p[i].expected += x.expected[k * c->n + i];
    }
    mem_free(x.expected);
    arena_free(a);
}

/* ---- maximisation ---- */

/* Derivative of log gamma: the sum over 1/x up to 8, then the asymptotic series. */
static double digamma(double x) {
    double sum = 0;
    for (; x < 8; x++) sum -= 1 / x;
    const double r = 1 / (x * x);
    return sum + log(x) - 0.5 / x - r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r / 240)));
}

static void keep_only(candidates *c, const uint8_t *kept) {
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (kept[i]) c->p[n++] = c->p[i];
    c->n = n;
}

/* Variational, as SentencePiece does it: it favours pieces that are expected often. */
static void maximise(candidates *c) {
    uint8_t *kept = mem_new(c->n, "pieces kept");
    double sum = 0;
    for (size_t i = 0; i < c->n; i++) kept[i] = c->p[i].required || c->p[i].expected >= LEAST_COUNT;
    keep_only(c, kept);
    for (size_t i = 0; i < c->n; i++) sum += c->p[i].expected;
    const double whole = digamma(sum > 1 ? sum : 1);
    for (size_t i = 0; i < c->n; i++) {
        const double p = c->p[i].expected > 0 ? exp(digamma(c->p[i].expected) - whole) : 0;
        c->p[i].p = p > LEAST_PROBABILITY ? p : LEAST_PROBABILITY;
    }
    mem_free(kept);
}

/* ---- pruning ---- */

typedef struct {
    size_t i;
    double loss;
} ranked;

static int compare_losses(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    return x->loss != y->loss ? (x->loss > y->loss ? -1 : 1) : x->i < y->i ? -1 : x->i > y->i;
}

/* How much likelihood is lost where a piece is cut in the next best way instead; that way's own pieces gain its count. */
static double loss_of(const unigram_model *m, const candidates *c, size_t which, double sum) {
    const candidate *x = &c->p[which];
    const str s = x->text;
    double best[4 * PIECE_CHARACTERS + 1];
    int from[4 * PIECE_CHARACTERS + 1], by[4 * PIECE_CHARACTERS + 1];
    for (size_t i = 0; i <= s.n; i++) best[i] = -INFINITY;
    best[0] = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (best[i] == -INFINITY) continue;
        int32_t at = 0;
        for (size_t k = i; k < s.n && (at = trie_step(m->node, at, (uint8_t)s.p[k])); k++) {
            const int id = m->node[at].id;
            if (id < 0 || (size_t)id == which || best[i] + m->score[id] <= best[k + 1]) continue;
            best[k + 1] = best[i] + m->score[id];
            from[k + 1] = (int)i;
            by[k + 1] = id;
        }
    }
    if (best[s.n] == -INFINITY) return INFINITY;
    double other = 0;
    int n = 0;
    for (size_t k = s.n; k > 0; k = (size_t)from[k], n++) other += log(c->p[by[k]].expected + x->expected);
    other -= n * log(sum + x->expected * (n - 1));
    return x->expected * (log(x->expected) - log(sum) - other);
}

static void prune(candidates *c, size_t wanted) {
    arena *a = arena_new("pieces");
    vocab v;
    const unigram_model *m = tree_of(a, c, &v);
    ranked *r = ARENA_ARRAY(a, c->n, ranked);
    uint8_t *kept = arena_alloc(a, c->n + 1);
    double sum = 0;
    size_t n_required = 0, n = 0;
    for (size_t i = 0; i < c->n; i++) sum += c->p[i].expected;
    for (size_t i = 0; i < c->n; i++) {
        n_required += kept[i] = (uint8_t)c->p[i].required;
        if (!c->p[i].required && c->p[i].expected > 0) r[n++] = (ranked){i, loss_of(m, c, i, sum)};
    }
    size_t most = (size_t)((double)c->n * KEPT_A_ROUND);
    if (most < wanted) most = wanted;
    qsort(r, n, sizeof *r, compare_losses);
    for (size_t i = 0; i < n && n_required + i < most; i++) kept[r[i].i] = 1;
    keep_only(c, kept);
    arena_free(a);
}

/* ---- all of it ---- */

static int compare_probabilities(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    return x->p != y->p ? (x->p > y->p ? -1 : 1) : str_compare(x->text, y->text);
}

/* The single characters and the likeliest others, by probability. */
static void choose(learned_pieces *m, candidates *c, const piece_options *o) {
    int clash, free = o->size - o->n_special;
    m->score = ARENA_ARRAY(m->a, c->n + (size_t)o->n_special + 1, double);
    vocab_init(&m->vocab, m->a, o->size);
    for (int i = 0; i < o->n_special; i++) vocab_add(&m->vocab, m->a, o->special[i], i, &clash);
    for (size_t i = 0; i < c->n; i++) free -= c->p[i].required;
    qsort(c->p, c->n, sizeof *c->p, compare_probabilities);
    for (size_t i = 0; i < c->n; i++) {
        const candidate *x = &c->p[i];
        if (!x->required && free-- <= 0) continue;
        const int id = m->vocab.n;
        if (vocab_add(&m->vocab, m->a, x->text, id, &clash)) m->score[id] = log(x->p);
    }
}

static hone_status learn(learned_pieces *m, const parts *list, const piece_options *o, pool *p,
                         hone_err *err) {
    candidates c = {0};
    hone_status status = HONE_OK;
    const size_t wanted = (size_t)((o->size > o->n_special ? o->size - o->n_special : 1) * 1.1);
    plant(&c, m->a, list, o);
    qsort(c.p, c.n, sizeof *c.p, compare_texts); /* the order in the table is of no account */
    for (size_t before = 0; !status;) {
        const int last = c.n <= wanted || c.n == before; /* pruned as far as it goes */
        before = c.n;
        for (int i = 0; i < 2; i++) {
            expect(&c, list, p);
            maximise(&c);
        }
        if (last) break;
        prune(&c, wanted);
        status = sig_check(err);
    }
    if (!status) choose(m, &c, o);
    vec_free(&c);
    return status;
}

hone_status vocab_pieces(learned_pieces **out, const word_count *word, size_t n_words, const piece_options *o,
                         pool *p, hone_err *err) {
    arena *a = arena_new("vocabulary");
    learned_pieces *m = ARENA_NEW(a, learned_pieces);
    parts list = {0};
    int n_known;
    m->a = a;
    uint8_t *known = mem_new(0x110000, "characters known");
    const uint32_t *alphabet = vocab_alphabet(a, word, n_words, o->max_characters, &n_known);
    for (int i = 0; i < n_known; i++) known[alphabet[i]] = 1;
    for (size_t i = 0; i < n_words; i++) add_parts(&list, &word[i], known);
    mem_free(known);
    const hone_status status = learn(m, &list, o, p, err);
    vec_free(&list);
    if (status) arena_free(a);
    else *out = m;
    return status;
}

void vocab_pieces_free(learned_pieces *m) {
    if (m) arena_free(m->a);
}
