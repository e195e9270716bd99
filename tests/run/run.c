/* run.c - a plan on a device: its slabs to the byte, its weights in and out, and no memory once it has begun.
 * */
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "plan/build.h"
#include "run/run.h"
#include "test.h"

typedef struct {
    model_config *config;
    hone_plan *plan;
    pool *pool;
    run *run;
} opened;

static opened open_run(const char *device, hone_dtype dtype, int accumulation) {
    opened o;
    hone_err err = {0};
    const hone_device_v1 *table = device_load(device, &err);
    if (!table) test_skip("%s", err.text);
    CHECK_OK(config_load(&o.config, test_fixture("e2e/model"), err));
    int slots = 1;
    for (int64_t n = accumulation; n > 1; n /= 2) slots++;
    const plan_options options = {.config = o.config,
                                  .head = {.kind = HEAD_CLASSES, .n_outputs = 3},
                                  .dtype = dtype,
                                  .tokens_max = 40,
                                  .seqs_max = 8,
                                  .slots = slots,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .epsilon = 1e-8,
                                  .training = 1,
                                  .device = table};
    CHECK_OK(plan_build(&o.plan, &options, err));
    o.pool = pool_new(2);
    CHECK_OK(run_open(&o.run, o.plan, table, o.pool, err));
    return o;
}

static void close_run(opened *o) {
    run_close(o->run);
    hone_plan_free(o->plan);
    pool_free(o->pool);
    config_free(o->config);
}

/* The emulated GPU is not part of every build. */
static int plays_all(const char *device) {
    hone_err err = {0};
    return device_load(device, &err) != NULL;
}

TEST(run_reserves_the_planned_bytes) {
    static const char *const devices[] = {"ref", "cpu", "emu"};
    for (int d = 0; d < 3; d++)
        for (int accumulation = 1; accumulation <= 4; accumulation += 3) {
            if (!plays_all(devices[d])) continue;
            opened o = open_run(devices[d], HONE_F32, accumulation);
            size_t sum = 0;
            for (int c = 1; c < HONE_N_CLASSES; c++) sum += o.plan->slab_bytes[c];
            CHECK_INT(run_device_bytes(o.run), sum);
            CHECK_INT(hone_plan_device_bytes(o.plan), sum);
            CHECK_INT(o.plan->n_slots, accumulation == 1 ? 1 : 3);
            close_run(&o);
        }
}

/* Elements of a parameter. */
static size_t elements(const hone_plan *p, int i) {
    const hone_value *x = &p->value[p->param[i].value];
    return (size_t)(x->dim[0].n * (x->n_dims > 1 ? x->dim[1].n : 1));
}

static void check_weights(hone_dtype dtype) {
    opened o = open_run("cpu", dtype, 1);
    static float in[1 << 16], out[1 << 16];
    for (int pass = 0; pass < 2;
         pass++) /* all are written before the first is read again: none lies on another */
        for (int i = 1; i <= o.plan->n_params; i++) {
            const size_t n = elements(o.plan, i);
            CHECK(n <= sizeof in / sizeof *in);
            for (size_t k = 0; k < n; k++) in[k] = sinf((float)(k + 1) * 0.37f) + (float)i;
            if (!pass) {
                CHECK_OK(run_put_param(o.run, i, (int64_t)(n / 3), (int64_t)(n - n / 3), in + n / 3, err));
                CHECK_OK(run_put_param(o.run, i, 0, (int64_t)(n / 3), in, err));
                continue;
            }
            CHECK_OK(run_get_param(o.run, i, out, err));
            CHECK(!memcmp(in, out, n * sizeof *in)); /* the fp32 master, to the bit */
        }
    close_run(&o);
}

TEST(weights_come_back_as_they_were_put) { check_weights(HONE_F32); }
TEST(weights_of_a_bf16_plan_keep_their_fp32_masters) { check_weights(HONE_BF16); }

/* How a process ends that does this to a begun run. */
static int end_of(void (*act)(run *)) {
    opened o = open_run("ref", HONE_F32, 1);
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        run_begin(o.run);
        act(o.run);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    close_run(&o);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void ask(run *r) { (void)r, mem_free(mem_new(16, "something")); }
static void grow(run *r) {
    text t = {0};
    (void)r, text_str(&t, "a row of a log");
}
static void ask_after_the_end(run *r) { run_end(r), mem_free(mem_new(16, "something")); }
static void do_nothing(run *r) { (void)r; }

TEST(nothing_is_allocated_between_begin_and_end) {
    CHECK_INT(end_of(do_nothing), 0);
    CHECK_INT(end_of(ask), -SIGABRT);
    CHECK_INT(end_of(grow), -SIGABRT);
    CHECK_INT(end_of(ask_after_the_end), 0);
}
