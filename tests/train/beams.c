/* beams.c - with as many beams as there are texts the search is complete; transformers' own choices: tests/e2e/generate.c. */
#include <math.h>

#include "base/rng.h"
#include "test.h"
#include "train/beams.h"

#define V 6
#define LENGTH 3
#define N 60

/* Log-probabilities of what follows a token (V: of the first). */
static void fill(float table[V + 1][V], uint64_t seed) {
    for (int t = 0; t <= V; t++) {
        double sum = 0;
        for (int i = 0; i < V; i++) {
            table[t][i] = (float)(3 * rng_uniform(seed, RNG_TEST, (uint64_t)t, (uint64_t)i));
            sum += exp((double)table[t][i]);
        }
        for (int i = 0; i < V; i++) table[t][i] -= (float)log(sum);
    }
}

static int ends(void *arg, const beam *b) {
    return b->n == LENGTH || b->id[b->n - 1] == *(int *)arg;
}

static int search(beams *b, const float table[V + 1][V], int n, int end) {
    int steps = 0, more = 1;
    for (; more; steps++) {
        const float *logp[N];
        for (int i = 0; i < n; i++) {
            const beam *r = beams_running(b, i);
            logp[i] = table[r->n ? r->id[r->n - 1] : V];
        }
        more = beams_step(b, logp, NULL, ends, &end);
    }
    return steps;
}

/* The best text of all, by the score of its sum over its length to the power of the penalty. */
static double best_of_all(const float table[V + 1][V], int end, double penalty, int32_t best[LENGTH], int *n_best) {
    double top = -INFINITY;
    for (int code = 0; code < V * V * V; code++) {
        const int id[LENGTH] = {code / (V * V), code / V % V, code % V};
        double sum = 0;
        int n = 0;
        for (; n < LENGTH; n++) {
            sum += (double)table[n ? id[n - 1] : V][id[n]];
            if (id[n] == end) {
                n++;
                break;
            }
        }
        if (sum / pow(n, penalty) <= top) continue;
        top = sum / pow(n, penalty);
        *n_best = n;
        for (int i = 0; i < n; i++) best[i] = id[i];
    }
    return top;
}

TEST(beams_that_hold_all_texts_find_the_best) {
    arena *a = arena_new("test");
    const double penalties[] = {0, 1, -0.5, 2};
    beams *b = beams_new(a, 3, V, 1, LENGTH);
    int found = 0, tried = 0;
    for (uint64_t seed = 0; seed < 50; seed++)
        for (int p = 0; p < 4; p++, tried++) {
            float table[V + 1][V];
            int32_t best[LENGTH];
            int n_best = 0, same = 1;
            fill(table, seed);
            const double top = best_of_all(table, 2, penalties[p], best, &n_best);
            beams_begin(b, LENGTH, penalties[p], EARLY_NEVER);
            search(b, table, 3, 2);
            const beam *first = beams_finished(b, 0);
            CHECK(first->is_finished && beams_finished(b, 0)->score >= beams_finished(b, 1)->score);
            CHECK((double)first->score <= top + 1e-6);
            CHECK_NEAR(first->sum / pow(first->n, penalties[p]), first->score, 1e-6);
            for (int i = 0; i < n_best; i++) same &= first->n == n_best && first->id[i] == best[i];
            found += same;
        }
    CHECK(found * 10 > tried * 8); /* three beams of 216 texts find most of the best ones */
    arena_free(a);
}

static int always_ends(void *arg, const beam *b) { return arg != NULL && b->n > 0; }

/* Two beams of six tokens, four continuations: how often each ordered draw of the first two happens, beside its probability. */
TEST(beams_are_drawn_without_replacement_by_their_sums) {
    enum { DRAWS = 60000 };
    arena *a = arena_new("test");
    float table[V + 1][V];
    beams *b = beams_new(a, 2, V, 1, LENGTH);
    static int first[2 * V], second[2 * V][2 * V];
    double p[2 * V], sum = 0;
    fill(table, 3);
    table[1][2] = -INFINITY;
    const float *same[2] = {table[V], table[V]}, *logp[2] = {table[0], table[1]};
    for (uint64_t i = 0; i < DRAWS; i++) {
        double u[4];
        int drawn[4] = {-1, -1, -1, -1};
        beams_begin(b, LENGTH, 1, EARLY_NO);
        CHECK(beams_step(b, same, NULL, ends, &(int){V}));
        const double from[2] = {(double)beams_running(b, 0)->score, (double)beams_running(b, 1)->score};
        for (int k = 0; !i && k < 2 * V; k++) sum += p[k] = exp((double)logp[k / V][k % V] + from[k / V]);
        for (int k = 0; k < 4; k++) u[k] = rng_uniform(11, RNG_TEST, i, (uint64_t)k);
        /* What is drawn first with these u is what a walk along the probabilities finds. */
        double left = sum;
        for (int k = 0; k < 4; k++) {
            double at = 0;
            for (int c = 0; c < 2 * V; c++) {
                if (!(p[c] > 0) || c == drawn[0] || c == drawn[1] || c == drawn[2]) continue;
                drawn[k] = c;
                at += p[c];
                if (at > u[k] * left) break;
            }
            left -= p[drawn[k]];
        }
        first[drawn[0]]++, second[drawn[0]][drawn[1]]++;
        beams_step(b, logp, u, always_ends, NULL);
        for (int k = 1; k < 4; k++)
            for (int at = k; at > 0 && p[drawn[at]] > p[drawn[at - 1]]; at--) {
                const int swap = drawn[at];
                drawn[at] = drawn[at - 1], drawn[at - 1] = swap;
            }
        for (int r = 0; r < 2; r++) {
            const beam *x = beams_running(b, r);
            CHECK_INT(x->parent * V + x->id[x->n - 1], drawn[r]); /* the likeliest of the four run on */
        }
    }
    for (int c = 0; c < 2 * V; c++) {
        const double q = p[c] / sum;
        CHECK_NEAR(first[c] / (double)DRAWS, q, 4.5 * sqrt(q * (1 - q) / DRAWS) + 1e-12);
        for (int d = 0; d < 2 * V; d++) {
            const double both = d == c ? 0 : q * p[d] / (sum - p[c]);
            CHECK_NEAR(second[c][d] / (double)DRAWS, both, 4.5 * sqrt(both * (1 - both) / DRAWS) + 1e-12);
        }
    }
    arena_free(a);
}

TEST(beams_stop_early_when_asked_and_no_text_goes_on_behind_its_end) {
    arena *a = arena_new("test");
    float table[V + 1][V];
    beams *b = beams_new(a, 2, V, 1, LENGTH);
    int steps[2] = {0, 0};
    for (uint64_t seed = 0; seed < 30; seed++) {
        fill(table, seed);
        for (int t = 0; t <= V; t++) table[t][4] += 1.5f; /* ends are likely */
        for (int early = 0; early < 2; early++) {
            beams_begin(b, LENGTH, 1, early ? EARLY_YES : EARLY_NEVER);
            steps[early] += search(b, table, 2, 4);
            for (int i = 0; i < 2; i++) {
                const beam *f = beams_finished(b, i);
                CHECK(f->is_finished && (f->n == LENGTH || f->id[f->n - 1] == 4));
                for (int k = 0; k + 1 < f->n; k++) CHECK(f->id[k] != 4);
            }
        }
    }
    CHECK(steps[1] < steps[0]);
    arena_free(a);
}
