/* listing.c - plans as text against the listings in tests/golden/plan. HONE_WRITE_GOLDEN=1 test_plan listing
 * writes them anew; read the difference before you keep it. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/file.h"
#include "sample.h"
#include "test.h"

static const struct {
    const char *name;
    sample s;
} listings[] = {
    {"bert_plain", {.layers = 1, .p = 0.1, .no_narrow = 1, .no_pack = 1, .no_fuse = 1}},
    {"bert_fused", {.layers = 1, .p = 0.1, .no_narrow = 1}},
    {"bert_passes", {.layers = 1, .p = 0.1, .accumulation = 2}},
    {"bert_recompute_1", {.layers = 2, .p = 0.1, .recompute = 1}},
    {"bert_recompute_2", {.layers = 2, .p = 0.1, .recompute = 2}},
    {"bert_frozen", {.layers = 2, .p = 0.1, .freeze = "*layer.0*", .weighted = 1}},
    {"distilbert_regression", {.family = "distilbert", .layers = 1, .p = 0.1, .kind = HEAD_REGRESSION}},
    {"bert_evaluation", {.layers = 1, .p = 0.1, .eval_only = 1}},
    {"gpt2_decode", {.family = "gpt2", .layers = 2, .p = 0.1, .kind = HEAD_NEXT, .cached = 9, .moves = 20}},
};

/* The first line that differs, for the message. */
static void compare(const char *name, const char *want, const char *got) {
    int line = 1;
    while (*want && *want == *got) {
        line += *want == '\n';
        want++, got++;
    }
    if (*want || *got)
        test_fail(__FILE__, __LINE__, "%s.txt, line %d: \"%.60s\", expected \"%.60s\"", name, line, got,
                  want);
}

TEST(listings_of_plans_are_the_golden_ones) {
    const char *write = getenv("HONE_WRITE_GOLDEN");
    for (size_t i = 0; i < sizeof listings / sizeof *listings; i++) {
        hone_plan *p = sample_plan(&listings[i].s);
        text t = {0};
        char path[256];
        plan_print_steps(p, &t);
        plan_print_bytes(p, &t);
        snprintf(path, sizeof path, "tests/golden/plan/%s.txt", listings[i].name);
        if (write && *write) {
            CHECK_OK(file_write(test_source(path), t.p, t.n, err));
        } else {
            arena *a = arena_new("golden");
            str want;
            CHECK_OK(file_read(&want, a, test_source(path), (size_t)1 << 20, HONE_EDATA, err));
            char *copy = arena_copy(a, want.p, want.n);
            compare(listings[i].name, copy, t.p);
            arena_free(a);
        }
        text_free(&t);
        hone_plan_free(p);
    }
}

/* The same sample gives the same plan: nothing in it depends on addresses or on what was planned before. */
TEST(planning_twice_gives_the_same_listing) {
    for (size_t i = 0; i < sizeof listings / sizeof *listings; i++) {
        text t[2] = {{0}, {0}};
        for (int k = 0; k < 2; k++) {
            hone_plan *p = sample_plan(&listings[i].s);
            plan_print_steps(p, &t[k]);
            plan_print_bytes(p, &t[k]);
            hone_plan_free(p);
        }
        CHECK_STR(t[0].p, t[1].p);
        text_free(&t[0]);
        text_free(&t[1]);
    }
}
