/* own.c - plans of several ranks: who owns what, what a divided optimizer takes, and faults of buckets that are named. */
#include <stdlib.h>

#include "plan/own.h"
#include "plan/passes.h"
#include "sample.h"
#include "test.h"

static hone_plan *plan_of_rank(int rank, int n, int divide, size_t bucket_bytes, hone_dtype dtype) {
    const sample s = {.p = 0.1,
                      .layers = 2,
                      .width = 64,
                      .heads = 2,
                      .inner = 256,
                      .vocab = 500,
                      .dtype = dtype,
                      .freeze = "*position*"};
    model_config *config = sample_config(&s);
    plan_options o = sample_options(&s, config);
    hone_plan *p = NULL;
    o.n_ranks = n;
    o.rank = rank;
    o.divide = divide;
    o.bucket_bytes = bucket_bytes;
    CHECK_OK(plan_build(&p, &o, err));
    config_free(config);
    return p;
}

/* Every element of the flat order is owned by one rank, every chunk too, whatever the buckets; all plans agree on it. */
TEST(ranks_own_every_trained_element_once) {
    static const size_t bytes[] = {0, 1, 40000, 200000};
    for (int n = 2; n <= 8; n++)
        for (size_t k = 0; k < sizeof bytes / sizeof *bytes; k++) {
            hone_plan *p = plan_of_rank(0, n, 1, bytes[k], HONE_F32),
                      *last = plan_of_rank(n - 1, n, 1, bytes[k], HONE_F32);
            int64_t at = 0, elements = 0, chunks = 0;
            CHECK_INT(p->n_buckets, last->n_buckets);
            CHECK(!bytes[k] ? p->n_buckets == 1 : p->n_buckets > 1);
            for (int b = 0; b < p->n_buckets; b++)
                for (int r = 0; r < n; r++) {
                    int64_t first, end, f, e;
                    plan_own(p, b, r, &first, &end);
                    plan_own(last, b, r, &f, &e);
                    CHECK_INT(first, at);
                    CHECK(f == first && e == end);
                    at = end;
                }
            CHECK_INT(at, p->n_trained);
            for (int r = 0; r < n; r++) elements += plan_own_elements(p, r), chunks += plan_own_chunks(p, r);
            CHECK_INT(elements, p->n_trained);
            CHECK_INT(chunks, p->n_chunks);
            hone_plan_free(p), hone_plan_free(last);
        }
}

/* With one bucket parts differ by a chunk at most, and moments are that part of the whole; with buckets of a parameter each
 * the sum over ranks is still the whole. */
TEST(a_divided_plan_holds_its_part_of_the_moments_to_the_byte) {
    for (int n = 2; n <= 4; n++) {
        hone_plan *whole = plan_of_rank(0, n, 0, 0, HONE_F32);
        int64_t sum = 0;
        for (int r = 0; r < n; r++) {
            hone_plan *p = plan_of_rank(r, n, 1, 0, HONE_F32);
            const int64_t own = plan_own_elements(p, r), spread = own - whole->n_trained / n;
            const size_t parts = ((size_t)p->n_chunks * 4 + 255) / 256 * 256;
            CHECK(spread <= 8192 && spread >= -8192);
            CHECK_INT(p->slab_bytes[HONE_STATE], 2 * 4 * own + 256 + (int64_t)parts);
            CHECK_INT(whole->slab_bytes[HONE_STATE], 2 * 4 * whole->n_trained + 256);
            CHECK_INT(p->slab_bytes[HONE_PARAM], whole->slab_bytes[HONE_PARAM]);
            CHECK_INT(p->slab_bytes[HONE_GRAD], whole->slab_bytes[HONE_GRAD]);
            CHECK(p->param[1].moment[0] == 0);
            sum += own;
            hone_plan_free(p);
        }
        CHECK_INT(sum, whole->n_trained);
        hone_plan_free(whole);
    }
}

TEST(pieces_of_a_parameter_are_held_one_after_another) {
    for (int r = 0; r < 3; r++) {
        hone_plan *p = plan_of_rank(r, 3, 1, 100000, HONE_F32);
        own_piece x;
        int64_t held = 0;
        for (int next = 0; plan_next_piece(p, 1, r, 0, p->n_trained, &next, &x);) {
            CHECK_INT(x.held, held);
            held += x.n;
        }
        CHECK_INT(held, plan_own_elements(p, r));
        int next = 0; /* frozen ones lie behind, with everybody */
        CHECK(plan_next_piece(p, 1, r, p->n_trained + 3, p->n_trained + 5, &next, &x));
        CHECK_INT(x.held, held + 3);
        CHECK_INT(x.n, 2);
        CHECK(!plan_next_piece(p, 1, r, p->n_trained + 3, p->n_trained + 5, &next, &x));
        next = 0;
        CHECK(plan_next_piece(p, 0, r, 7, 9, &next, &x) && x.first == 7 && x.held == 7 && x.n == 2);
        CHECK(!plan_next_piece(p, 0, r, 7, 9, &next, &x));
        hone_plan_free(p);
    }
}

static void too_early(hone_plan *p) { p->bucket[p->n_buckets - 1].ready = p->bucket[0].ready; }
static void unordered(hone_plan *p) { p->bucket[1].ready = p->bucket[0].ready - 1; }
static void torn(hone_plan *p) { ((int64_t *)p->bucket[1].cut)[0] += 64; }
static void crossed(hone_plan *p) { ((int64_t *)p->bucket[0].cut)[1] = p->bucket[0].cut[2] + 64; }
static void of_another_rank(hone_plan *p) { p->rank = 1; }
static void too_few_buckets(hone_plan *p) { p->n_buckets--; }

TEST(every_fault_of_buckets_is_named) {
    static const struct {
        void (*put)(hone_plan *p);
        const char *said;
    } list[] = {{too_early, "leaves before"}, {unordered, "leaves before the one before it"},
                {torn, "does not follow"},    {crossed, "is cut where it may not be"},
                {of_another_rank, "chunk"},   {too_few_buckets, "does not end the slot"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        hone_plan *p = plan_of_rank(0, 2, 1, 100000, HONE_F32);
        hone_err err = {.text = ""};
        CHECK_INT(plan_verify_layout(p, &err), HONE_OK);
        list[i].put(p);
        const hone_status status = plan_verify_layout(p, &err);
        if (status != HONE_EBUG || !strstr(err.text, list[i].said))
            test_fail(__FILE__, __LINE__, "fault %zu: \"%s\", expected \"%s\"", i,
                      status ? err.text : "accepted", list[i].said);
        hone_plan_free(p);
    }
}
