/* steps.c - which batches make which step: every sample once an epoch, epochs and parts of them counted right. */
#include "test.h"
#include "train/steps.h"

enum { N = 23 };
static int64_t at[N + 1];
static int32_t label[N];
static dataset data = {.n = N, .at = at, .label = label};

static job *job_of(const job_override *o, int n) {
    job *j;
    CHECK_OK(job_load(&j, NULL, o, n, 1, err));
    for (int i = 0; i < N; i++) at[i + 1] = at[i] + 3 + i % 5;
    return j;
}
#define JOB(...)                                                                                             \
    job_of((const job_override[]){__VA_ARGS__},                                                              \
           sizeof((const job_override[]){__VA_ARGS__}) / sizeof(job_override))

TEST(steps_take_every_sample_once_an_epoch) {
    job *j = JOB({"per_device_train_batch_size", "4"}, {"gradient_accumulation_steps", "4"},
                 {"num_train_epochs", "3"});
    steps s;
    steps_init(&s, j->a, j, (step_shards){j->gradient_accumulation_steps, j->per_device_train_batch_size}, &data);
    CHECK_INT(s.total, 6); /* 6 micro-batches an epoch: 4, then 2 */
    CHECK_INT(s.samples_max, 4);
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[N] = {0}, micro = 0;
        int64_t n;
        for (int64_t step = 2 * epoch; step < 2 * epoch + 2; step++)
            for (int64_t m = 0;; m++) {
                const int64_t *sample = steps_batch(&s, step, m, &n);
                if (!sample) break;
                micro++;
                int64_t tokens = 0;
                for (int64_t i = 0; i < n; i++)
                    seen[sample[i]]++, tokens += at[sample[i] + 1] - at[sample[i]];
                CHECK(tokens <= s.tokens_max);
            }
        CHECK_INT(micro, 6);
        for (int i = 0; i < N; i++) CHECK_INT(seen[i], 1);
        CHECK_NEAR(steps_epoch(&s, 2 * epoch + 1), epoch + 0.5, 0);
        CHECK_NEAR(steps_epoch(&s, 2 * epoch + 2), epoch + 1, 0);
        CHECK_INT(steps_ends_epoch(&s, 2 * epoch + 1), 0);
        CHECK_INT(steps_ends_epoch(&s, 2 * epoch + 2), 1);
    }
    CHECK_INT(steps_ends_epoch(&s, 0), 0);
    steps_deinit(&s);
    job_free(j);
}

TEST(steps_asked_in_any_order_are_the_same) {
    job *j = JOB({"per_device_train_batch_size", "5"}, {"num_train_epochs", "4"});
    steps a, b;
    int64_t n, k;
    steps_init(&a, j->a, j, (step_shards){j->gradient_accumulation_steps, j->per_device_train_batch_size}, &data);
    steps_init(&b, j->a, j, (step_shards){j->gradient_accumulation_steps, j->per_device_train_batch_size}, &data);
    CHECK_INT(a.total, 20);
    int64_t copy[20][5];
    for (int64_t step = 0; step < 20; step++)
        memcpy(copy[step], steps_batch(&a, step, 0, &n), (size_t)(step % 5 == 4 ? 3 : 5) * sizeof **copy);
    for (int64_t i = 0; i < 20; i++) {
        const int64_t step = i * 7 % 20, *got = steps_batch(&b, step, 0, &k);
        CHECK_INT(k, step % 5 == 4 ? 3 : 5);
        CHECK(!memcmp(got, copy[step], (size_t)k * sizeof *got));
    }
    steps_deinit(&a);
    steps_deinit(&b);
    job_free(j);
}

TEST(steps_of_parts_of_epochs_and_of_max_steps) {
    const struct {
        const char *name, *value;
        int64_t total;
        int n_epochs;
    } cases[] = {{"num_train_epochs", "2.5", 15, 3}, {"num_train_epochs", "0.1", 1, 1},
                 {"num_train_epochs", "1", 6, 1},    {"max_steps", "1", 1, 1},
                 {"max_steps", "6", 6, 1},           {"max_steps", "7", 7, 2},
                 {"max_steps", "1000", 1000, 167}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        job *j = JOB({"per_device_train_batch_size", "4"}, {cases[i].name, cases[i].value});
        steps s;
        int64_t n;
        steps_init(&s, j->a, j, (step_shards){j->gradient_accumulation_steps, j->per_device_train_batch_size}, &data);
        CHECK_INT(s.total, cases[i].total);
        CHECK_INT(s.n_epochs, cases[i].n_epochs);
        CHECK(steps_batch(&s, s.total - 1, 0, &n) != NULL);
        CHECK_INT(steps_ends_epoch(&s, s.total), 1); /* the run's end is an epoch's end */
        steps_deinit(&s);
        job_free(j);
    }
}

TEST(steps_by_tokens_never_exceed_the_budget) {
    job *j =
        JOB({"max_tokens_per_batch", "17"}, {"num_train_epochs", "300"}); /* more epochs than are walked */
    steps s;
    int64_t n;
    steps_init(&s, j->a, j, (step_shards){j->gradient_accumulation_steps, j->per_device_train_batch_size}, &data);
    CHECK(s.tokens_max <= 17);
    for (int64_t step = 0; step < s.total; step++) {
        const int64_t *sample = steps_batch(&s, step, 0, &n);
        int64_t tokens = 0;
        CHECK(sample && n > 0 && n <= s.samples_max);
        for (int64_t i = 0; i < n; i++) tokens += at[sample[i] + 1] - at[sample[i]];
        CHECK(tokens <= s.tokens_max);
    }
    steps_deinit(&s);
    job_free(j);
}
