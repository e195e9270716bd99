/* zones.c - red zones: a step that writes behind a value is named with that value, on every device, and a sound run has
 * the bits that it has without them. */
#include "base/host.h"
#include "test.h"
#include "train/train.h"

static const hone_device_v1 *sound;
static int calls_before, in_workspace;

/* The device's own op, and after some calls a word behind its first result or its workspace. All rows that were planned
 * are played. */
static hone_status overrun(hone_queue *q, const hone_call *c) {
    static const int32_t word = 0;
    const hone_tensor *y = &c->out[0];
    const hone_status status = sound->op[c->op](q, c);
    if (status || calls_before-- != 0) return status;
    const int64_t n = y->n_dims > 1 ? (y->dim[0] - 1) * y->ld + y->dim[1] * y->dim[2] : y->dim[0];
    char *end = in_workspace ? (char *)c->work + c->work_bytes
                             : (char *)y->p + (size_t)n * hone_dtype_bytes(y->dtype);
    return sound->put(q, end, &word, sizeof word);
}

/* Three steps of one batch, which is as large as the plan's largest; op HONE_N_OPS: nothing is wrong. */
static hone_status train(const char *device, size_t zone_bytes, hone_op op, char sha[65], hone_err *err) {
    hone_device_v1 table;
    const char *model = test_fixture("e2e/model");
    const job_override o[] = {{"config_name", model},
                              {"tokenizer_name", model},
                              {"train_file", test_fixture("e2e/train.csv")},
                              {"output_dir", test_folder()},
                              {"cache_dir", test_folder()},
                              {"max_seq_length", "48"},
                              {"max_steps", "3"},
                              {"max_train_samples", "8"},
                              {"save_strategy", "no"},
                              {"device", device}};
    training t = {.best_step = -1, .saved_step = -1};
    job *j;
    pool *p = pool_new(2);
    if (!(sound = device_load(device, err))) test_skip("%s", err->text);
    table = *sound;
    if (op != HONE_N_OPS) table.op[op] = overrun;
    log_set(LOG_WARN);
    CHECK(!job_load(&j, NULL, o, sizeof o / sizeof *o, 1, err));
    t.job = j, t.folder = j->output_dir;
    CHECK(!session_open(&t.s, j, NULL, j->tokenizer_name, p, err));
    t.s->table = &table, t.s->device = table.name;
    CHECK(!inputs_open(&t.in, t.s, err));
    t.shards = (step_shards){1, 8};
    steps_init(&t.steps, t.s->a, j, t.shards, t.in->train);
    t.rate = schedule_of(j, t.steps.total);
    session_limits limits = training_limits(j, t.in, &t.steps, 1);
    limits.zone_bytes = zone_bytes;
    CHECK(!session_start(t.s, &limits, err));
    CHECK_INT(run_device_bytes(t.s->run), hone_plan_device_bytes(t.s->plan));
    t.rate_factor = ARENA_ARRAY(t.s->a, (size_t)t.s->plan->n_groups + 1, double);
    t.decay = ARENA_ARRAY(t.s->a, (size_t)t.s->plan->n_groups + 1, double);
    for (int g = 0; g < t.s->plan->n_groups; g++) t.rate_factor[g] = 1;
    CHECK(!record_open(&t.record, j, t.folder, 0, err));
    const hone_status status = train_loop(&t, err);
    if (!status) CHECK(!session_params_sha256(t.s, sha, err));
    record_close(t.record);
    steps_deinit(&t.steps);
    inputs_close(t.in);
    session_close(t.s);
    pool_free(p);
    job_free(j);
    return status;
}

#ifdef RED_ZONE_BYTES
static const int always_on = 1; /* in a build of type Debug */
#else
static const int always_on = 0;
#endif

static void names(const char *device, hone_op op, int calls, int workspace, const char *words) {
    hone_err err = {.text = ""};
    char sha[65];
    calls_before = calls, in_workspace = workspace;
    const hone_status status = train(device, 256, op, sha, &err);
    if (status != HONE_EBUG || !strstr(err.text, words))
        test_fail(__FILE__, __LINE__, "%s: %d, \"%s\"; expected \"... %s ...\"", device, status, err.text,
                  words);
    calls_before = calls;
    if (!always_on) CHECK_INT(train(device, 0, op, sha, &err), HONE_OK); /* nobody sees it otherwise */
}

static const char *const devices[] = {"ref", "cpu", "emu"};

TEST(zones_change_no_bit) {
    for (int d = 0; d < 3; d++) {
        char sha[2][65];
        hone_err err = {0};
        if (!device_load(devices[d], &err)) continue;
        for (int zoned = 0; zoned < 2; zoned++)
            CHECK_OK(train(devices[d], zoned ? 256 : 0, HONE_N_OPS, sha[zoned], err));
        CHECK_STR(sha[0], sha[1]);
    }
}

TEST(zones_name_the_step_that_wrote_behind_its_value) {
    for (int d = 0; d < 3; d++) {
        hone_err err = {0};
        if (!device_load(devices[d], &err)) continue;
        names(devices[d], HONE_OP_NORM_FWD, 1, 0,
              ", NORM_FWD of layer 0 wrote behind L0.norm1: 4 bytes, from 0 after its end on");
        names(devices[d], HONE_OP_SQSUM, 2, 0, ", SQSUM of layer -1 wrote behind part: 4 bytes");
        names(devices[d], HONE_OP_GUARD, 0, 0, "step 1, GUARD of layer -1 wrote behind factor: 4 bytes");
        names(devices[d], HONE_OP_ADAMW_STEP, 0, 0,
              "ADAMW_STEP of layer -1 wrote behind the slab param: 4 bytes");
    }
    /* Which op wants a workspace differs from device to device. */
    hone_err err = {0};
    if (device_load("emu", &err))
        names("emu", HONE_OP_NORM_BWD, 1, 1, "NORM_BWD of layer 1 wrote behind its workspace: 4 bytes");
}
