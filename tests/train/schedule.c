/* Learning rates beside those of transformers' get_scheduler (scripts/golden/schedules.py). */
#include <math.h>

#include "golden.h"
#include "train/schedule.h"

/* lr_scheduler_type by name, in the order of schedule_kind. */
static schedule_kind kind_of(const char *name) {
    static const char *const names[] = {"linear",     "cosine",      "constant", "constant_with_warmup",
                                        "polynomial", "inverse_sqrt"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (!strcmp(names[i], name)) return (schedule_kind)i;
    test_fail(__FILE__, __LINE__, "no schedule is called %s", name);
}

static schedule schedule_of_case(const json *c) {
    return (schedule){.kind = kind_of(text_of(c, "kind")),
                      .warmup = (int64_t)number_of(c, "warmup"),
                      .total = (int64_t)number_of(c, "total"),
                      .rate = number_of(c, "rate"),
                      .end = number_of(c, "lr_end"),
                      .power = number_of(c, "power"),
                      .cycles = number_of(c, "num_cycles"),
                      .timescale = number_of(c, "timescale")};
}

TEST(rates_equal_transformers_at_every_step) {
    arena *a = arena_new("test");
    int n_cases = 0;
    for (const json *c = member(golden_open(a, "schedules.json"), "cases")->child; c;
         c = c->next, n_cases++) {
        const schedule s = schedule_of_case(c);
        const json *rates = member(c, "rates");
        CHECK((int64_t)rates->n > s.total);
        int64_t step = 0;
        for (const json *r = rates->child; r; r = r->next, step++) {
            const double got = schedule_rate(&s, step);
            if (!(fabs(got - r->number) <= 1e-13 * s.rate))
                test_fail(__FILE__, __LINE__, "%s: step %lld: rate %.17g, expected %.17g", text_of(c, "name"),
                          (long long)step, got, r->number);
        }
    }
    CHECK(n_cases >= 50);
    arena_free(a);
}

TEST(warmup_given_as_ratio_is_rounded_up_as_transformers_does) {
    arena *a = arena_new("test");
    const json *rows = member(golden_open(a, "schedules.json"), "ratios");
    CHECK(rows->n >= 50);
    for (const json *row = rows->child; row; row = row->next) {
        const json *total = row->child, *ratio = total->next, *steps = ratio->next;
        const job by_ratio = {.warmup_ratio = ratio->number}, by_part = {.warmup_steps = ratio->number};
        CHECK_INT(schedule_warmup(&by_ratio, total->integer), steps->integer);
        CHECK_INT(schedule_warmup(&by_part, total->integer), steps->integer);
    }
    const job by_count = {.warmup_steps = 12};
    CHECK_INT(schedule_warmup(&by_count, 100), 12);
    arena_free(a);
}

TEST(schedule_takes_its_numbers_from_the_job) {
    const job j = {.lr_scheduler_type = SCHEDULE_POLYNOMIAL,
                   .warmup_steps = 4,
                   .learning_rate = 5e-4,
                   .lr_end = 1e-5,
                   .power = 2,
                   .num_cycles = 0.5,
                   .timescale = 7};
    const schedule s = schedule_of(&j, 37);
    CHECK_INT(s.kind, SCHEDULE_POLYNOMIAL);
    CHECK_INT(s.warmup, 4);
    CHECK_INT(s.total, 37);
    CHECK_NEAR(s.rate, 5e-4, 0);
    CHECK_NEAR(s.end, 1e-5, 0);
    CHECK_NEAR(s.power, 2, 0);
    CHECK_NEAR(s.cycles, 0.5, 0);
    CHECK_NEAR(s.timescale, 7, 0);
    CHECK_NEAR(schedule_rate(&s, 0), 0, 0);
    CHECK_NEAR(schedule_rate(&s, 4), 5e-4, 0);
}
