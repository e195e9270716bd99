/* pairs.c - pairs of sentences: what stands in them, how often, and that only seed and epoch decide. */
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/rng.h"
#include "data/cache.h"
#include "data/pairs.h"
#include "test.h"

#define DOCUMENTS 400
#define LENGTH 32
enum { CLS = 2, SEP = 3, DOT = 4, QUOTE = 5, FIRST_WORD = 6 };

static const pair_rule rule = {
    .seed = 11, .length = LENGTH, .p_random = 0.5, .p_short = 0.1, .cls = CLS, .sep = SEP};

/* Lines of 1 to 9 tokens, 1 to 20 to a document, an empty one between two; a token's id is its place, so it says where it is from. */
typedef struct {
    dataset *d;
    int64_t *at;
    int32_t *id;
    int *document;   /* of each token */
    uint8_t *begins; /* [tokens + 1] a sentence begins there */
} corpus;

static corpus make_corpus(void) {
    corpus c = {.d = dataset_new()};
    const size_t lines = DOCUMENTS * 21, tokens = lines * 9;
    c.at = calloc(lines + 1, sizeof *c.at);
    c.id = calloc(tokens, sizeof *c.id);
    c.document = calloc(tokens, sizeof *c.document);
    c.begins = calloc(tokens + 1, 1);
    for (int k = 0; k < DOCUMENTS; k++) {
        const int n = 1 + (int)rng_below(1, RNG_TEST, (uint64_t)k, 0, 20);
        for (int i = 0; i <= n; i++) { /* the last one is empty */
            const int64_t length =
                i == n ? 0 : 1 + (int64_t)rng_below(1, RNG_TEST, (uint64_t)k, 1 + (uint64_t)i, 9);
            c.begins[c.d->n_tokens] = 1;
            for (int64_t t = 0; t < length; t++) {
                c.id[c.d->n_tokens] = FIRST_WORD + (int32_t)c.d->n_tokens;
                c.document[c.d->n_tokens++] = k;
            }
            c.at[++c.d->n] = c.d->n_tokens;
        }
    }
    c.d->at = c.at, c.d->id = c.id;
    return c;
}

static void free_corpus(corpus *c) {
    dataset_free(c->d);
    free(c->at), free(c->id), free(c->document), free(c->begins);
}

static void check_pair(const corpus *c, int64_t i) {
    int32_t id[LENGTH], type[LENGTH];
    const token_pair *p = &c->d->pair[i];
    const int64_t n = dataset_tokens(c->d, i, id, type), a = p->n[0], b = p->n[1];
    CHECK_INT(n, c->d->at[i + 1] - c->d->at[i]);
    CHECK(n <= LENGTH && a >= 1 && b >= 1);
    CHECK_INT(n, a + b + PAIRS_SPECIAL);
    CHECK(id[0] == CLS && id[1 + a] == SEP && id[n - 1] == SEP);
    for (int64_t k = 0; k < n; k++) CHECK_INT(type[k], k > 1 + a);
    for (int64_t k = 1; k < a; k++)
        CHECK_INT(id[1 + k], id[k] + 1); /* runs as they stand in the text, of one document */
    for (int64_t k = 1; k < b; k++) CHECK_INT(id[2 + a + k], id[1 + a + k] + 1);
    const int64_t from[2] = {id[1] - FIRST_WORD, id[2 + a] - FIRST_WORD}, to[2] = {from[0] + a, from[1] + b};
    for (int k = 0; k < 2; k++) CHECK_INT(c->document[from[k]], c->document[to[k] - 1]);
    CHECK_INT(c->document[from[0]] != c->document[from[1]], c->d->label[i] == PAIRS_RANDOM);
    if (n == LENGTH) return; /* maybe cut */
    CHECK(c->begins[from[0]] && c->begins[to[0]] && c->begins[from[1]] && c->begins[to[1]]);
    if (c->d->label[i] == PAIRS_FOLLOWS) CHECK_INT(from[1], to[0]);
}

TEST(pairs_are_runs_of_sentences_that_follow_or_stand_in_another_document) {
    corpus c = make_corpus();
    int64_t random = 0, n = 0, full = 0, with_choice = 0, random_by_choice = 0;
    CHECK_OK(pairs_begin(c.d, &rule, 0, 0, "corpus", err));
    for (int epoch = 0; epoch < 20; epoch++) {
        dataset_epoch(c.d, epoch);
        for (int64_t i = 0; i < c.d->n; i++) {
            check_pair(&c, i);
            random += c.d->label[i];
            full += c.d->at[i + 1] - c.d->at[i] == LENGTH;
            const int64_t end = c.d->pair[i].first[0] + c.d->pair[i].n[0];
            const int was_last =
                c.begins[end] && (end == c.at[c.d->n] || c.document[end] != c.document[end - 1]);
            with_choice += !was_last, random_by_choice += !was_last && c.d->label[i];
        }
        n += c.d->n;
    }
    printf("%lld pairs, %.3f random, %.3f full\n", (long long)n, (double)random / (double)n,
           (double)full / (double)n);
    CHECK(n > 20000 && full > n / 4);
    CHECK_NEAR((double)random_by_choice / (double)with_choice, 0.5,
               0.03); /* what is cut at its end hides a last one or two */
    free_corpus(&c);
}

static uint64_t fingerprint(const dataset *d) {
    uint64_t h = (uint64_t)d->n;
    for (int64_t i = 0; i < d->n; i++)
        for (int k = 0; k < 2; k++)
            h = (h ^ (uint64_t)(d->pair[i].first[k] * 64 + d->pair[i].n[k] * 2 + d->label[i])) *
                0x9E3779B97F4A7C15u;
    return h;
}

TEST(pairs_are_drawn_anew_every_epoch_and_the_same_every_time) {
    corpus c = make_corpus(), other = make_corpus();
    pair_rule r = rule;
    uint64_t first[4];
    r.seed++;
    CHECK_OK(pairs_begin(c.d, &rule, 0, 3, "corpus", err));
    CHECK_OK(pairs_begin(other.d, &r, 0, 3, "corpus", err));
    first[3] = fingerprint(c.d);
    CHECK(fingerprint(other.d) != first[3]);
    for (int e = 0; e < 3; e++) dataset_epoch(c.d, e), first[e] = fingerprint(c.d);
    for (int e = 3; e >= 0; e--) {
        dataset_epoch(c.d, e);
        CHECK(fingerprint(c.d) == first[e]);
        CHECK(first[e] != first[(e + 1) % 4]);
    }
    free_corpus(&c), free_corpus(&other);
}

/* The beginning of an epoch is that of a longer one. */
TEST(pairs_stop_at_the_most_that_are_wanted) {
    corpus c = make_corpus(), few = make_corpus();
    CHECK_OK(pairs_begin(c.d, &rule, 0, 0, "corpus", err));
    CHECK_OK(pairs_begin(few.d, &rule, 100, 0, "corpus", err));
    CHECK_INT(few.d->n, 100);
    for (int64_t i = 0; i < 100; i++) CHECK(!memcmp(&c.d->pair[i], &few.d->pair[i], sizeof(token_pair)));
    free_corpus(&c), free_corpus(&few);
}

TEST(pairs_are_as_random_and_short_as_the_rule_says) {
    static const double random[] = {0, 1, 0}, is_short[] = {0, 0, 1};
    double full[3];
    for (int k = 0; k < 3; k++) {
        corpus c = make_corpus();
        pair_rule r = rule;
        int64_t n_random = 0, n_full = 0;
        r.p_random = random[k], r.p_short = is_short[k];
        CHECK_OK(pairs_begin(c.d, &r, 0, 0, "corpus", err));
        for (int64_t i = 0; i < c.d->n; i++)
            n_random += c.d->label[i], n_full += c.d->at[i + 1] - c.d->at[i] == LENGTH;
        if (random[k] == 1) CHECK_INT(n_random, c.d->n);
        else CHECK(n_random < c.d->n / 4); /* a last sentence alone has none that follows */
        full[k] = (double)n_full / (double)c.d->n;
        free_corpus(&c);
    }
    CHECK(full[0] > 0.6 && full[2] < 0.2);
}

/* Tokens after which a sentence ends, and what closes behind them. */
TEST(pairs_cut_lines_into_sentences) {
    static const int64_t at[] = {0, 9, 9, 12};
    static const int32_t id[] = {DOT, 7, DOT, DOT, QUOTE, 8, QUOTE, 9, DOT, 10, 11, DOT};
    uint8_t ends[16] = {[DOT] = PAIRS_END, [QUOTE] = PAIRS_CLOSES};
    pair_rule r = rule;
    r.ends = ends, r.p_random = 0, r.p_short = 0;
    dataset *d = dataset_new();
    int seen[12] = {0};
    d->n = 3, d->n_tokens = 12, d->at = at, d->id = id;
    CHECK_OK(pairs_begin(d, &r, 0, 0, "two lines", err));
    for (int epoch = 0; epoch < 100; epoch++) {
        dataset_epoch(d, epoch);
        CHECK(d->pair[0].first[0] == 0 && d->label[0] == PAIRS_FOLLOWS);
        seen[d->pair[0].n[0]]++;
    }
    for (int i = 0; i < 12; i++) CHECK_INT(seen[i] > 0, i == 1 || i == 5); /* ". | 7 . . \" | 8 \" 9 ." */
    dataset_free(d);
}

TEST(pairs_need_two_documents_and_two_sentences) {
    static const int64_t at[] = {0, 2, 4, 4, 6};
    static const int32_t id[] = {6, 7, 8, 9, 10, 11};
    static const struct {
        int64_t from, n;
        const char *why;
    } few[] = {{0, 2, "text: 1 documents, expected at least 2"},
               {1, 3, "text: none of 2 documents has two sentences"}};
    for (size_t k = 0; k < 2; k++) {
        dataset *d = dataset_new();
        hone_err why = {0};
        d->n = few[k].n, d->n_tokens = 6, d->at = at + few[k].from, d->id = id;
        CHECK_INT(pairs_begin(d, &rule, 0, 0, "text", &why), HONE_EDATA);
        CHECK(strstr(why.text, few[k].why));
        dataset_free(d);
    }
}
