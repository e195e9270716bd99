/* divided.c - one step divided in every way: ranks, micro-batches, a divided optimizer, buckets; by shared memory, by MPI, by
 * emulated NCCL between emulated GPUs. A device and a type have one params_sha256.
 *
 * HONE_LONG_TESTS=1: all combinations; else five for each way and type, in which any two values of any two of ranks,
 * accumulation, zero_stage, buckets and type meet. */
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "command.h"
#include "golden.h"
#include "test.h"

#define MPIRUN "mpirun --allow-run-as-root --oversubscribe"
static const int ranks[] = {1, 2, 3, 4, 8};
#define N_RANKS 5

typedef struct {
    const char *device, *steps;
    int by_mpi;
} way;
static const way memory = {"cpu", "6", 0}, mpi = {"cpu", "6", 1}, nccl = {"emu", "2", 0};
static const char *const types[] = {"", ",\"bf16\": true", ",\"fp16\": true"};

/* The same 48 samples in the same 48 shards. */
static const char *flags_of(arena *a, int n, int accumulation, int zero, int small) {
    return arena_print(a,
                       "--per_device_train_batch_size %d --gradient_accumulation_steps %d --zero_stage %d "
                       "--ddp_bucket_cap_mb %s",
                       48 / n / accumulation, accumulation, zero, small ? "0.02" : "25");
}

static const json *run_ranks(arena *a, const way *w, int n, const char *job, const char *flags) {
    const char *line = w->by_mpi ? arena_print(a, MPIRUN " -n %d \"%s\"", n, command_program())
                                 : arena_print(a, "\"%s\" launch -n %d", command_program(), n);
    const said s = command_shell(a, "%s train \"%s\" --json %s", line, job, flags);
    if (s.code)
        test_fail(__FILE__, __LINE__, "%d ranks, %s: ended with %d: %.1200s", n, flags, s.code, s.err);
    if (n > 1 && !strcmp(w->device, "emu")) CHECK(strstr(s.err, "their devices by NCCL"));
    if (n > 1 && w->by_mpi) CHECK(strstr(s.err, "MPI"));
    const json *run;
    CHECK_OK(json_parse(&run, a, "stdout", s.out, s.n_out, HONE_EDATA, err)); /* rank 0's alone */
    CHECK_INT(number_of(run, "world_size"), n);
    return run;
}

static int64_t planned_bytes(arena *a, const json *run, const char *job, int n, const char *flags) {
    const json *plan = command_json(a, "plan \"%s\" --json --ranks %d %s", job, n, flags);
    CHECK_INT(number_of(run, "peak_device_bytes"), number_of(run, "planned_device_bytes"));
    CHECK_INT(number_of(plan, "planned_device_bytes"), number_of(run, "planned_device_bytes"));
    return (int64_t)number_of(run, "planned_device_bytes");
}

/* Is this one of the five? */
static int is_chosen(int i, int type, int accumulation, int zero, int small) {
    return zero == ((i + type) & 1) && accumulation - 1 == (((i >> 1) + type) & 1) &&
           small == ((i + (i >> 1) + type) & 1);
}

static void same_bits(const way *w, int type) {
    arena *a = command_begin();
    const int all = getenv("HONE_LONG_TESTS") != NULL;
    const char *job = tiny_job(a, "job.json", "out",
                               arena_print(a,
                                           ",\"reduce_shards\": 48, \"max_steps\": %s, "
                                           "\"device\": \"%s\", \"overwrite_output_dir\": true%s",
                                           w->steps, w->device, types[type]));
    const char *whole = text_of(
        command_json(a, "train \"%s\" --json --quiet %s", job, flags_of(a, 1, 1, 0, 0)), "params_sha256");
    int n_runs = 0;
    for (int i = 0; i < N_RANKS; i++) {
        int64_t bytes[2] = {0};
        for (int k = 0; k < 8; k++) {
            const int zero = k & 1, accumulation = 1 + (k >> 1 & 1), small = k >> 2;
            if (!all && !is_chosen(i, type, accumulation, zero, small)) continue;
            const char *flags = flags_of(a, ranks[i], accumulation, zero, small);
            const json *run = run_ranks(a, w, ranks[i], job, flags);
            if (strcmp(text_of(run, "params_sha256"), whole))
                test_fail(__FILE__, __LINE__, "%d ranks, %s: %s, expected %s", ranks[i], flags,
                          text_of(run, "params_sha256"), whole);
            bytes[zero] = planned_bytes(a, run, job, ranks[i], flags);
            n_runs++;
        }
        if (all) CHECK(ranks[i] == 1 ? bytes[1] == bytes[0] : bytes[1] < bytes[0]);
    }
    CHECK_INT(n_runs, all ? 40 : 5);
    arena_free(a);
}

TEST(a_step_divided_by_shared_memory_has_the_same_bits) { same_bits(&memory, 0); }
TEST(a_step_divided_by_shared_memory_has_the_same_bits_in_bf16) { same_bits(&memory, 1); }

static void begin_mpi_or_skip(void) {
    if (system("command -v mpirun >/dev/null 2>&1")) test_skip("there is no mpirun");
    if (!file_is_regular(HONE_BUILD_FOLDER "/lib/hone/libhone_mpi.so"))
        test_skip("libhone_mpi.so was not built (no mpi.h)");
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* MPI's own, where this is built with AddressSanitizer */
    CHECK(!setenv("HONE_COMM", "mpi", 1) && !setenv("HONE_THREADS", "1", 1));
}

static void same_bits_by_mpi(int type) {
    begin_mpi_or_skip();
    same_bits(&mpi, type);
}
TEST(a_step_divided_by_mpi_has_the_same_bits) { same_bits_by_mpi(0); }
TEST(a_step_divided_by_mpi_has_the_same_bits_in_bf16) { same_bits_by_mpi(1); }

/* As ranks of several machines, which this one plays: sums go through them in two turns (tree.h). */
TEST(a_step_divided_among_machines_has_the_same_bits) {
    begin_mpi_or_skip();
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out",
                               ",\"reduce_shards\": 48, \"max_steps\": 3, \"overwrite_output_dir\": true");
    const char *whole = text_of(
        command_json(a, "train \"%s\" --json --quiet %s", job, flags_of(a, 1, 1, 0, 0)), "params_sha256");
    static const int machines[][2] = {{2, 2}, {2, 3}, {4, 2}}; /* how many, ranks of each */
    const said dealt =
        command_shell(a,
                      MPIRUN " -n 4 sh -c 'HONE_MACHINE=$((OMPI_COMM_WORLD_RANK %% 2)) exec \"%s\" "
                             "train \"%s\" --json %s'",
                      command_program(), job, flags_of(a, 4, 1, 0, 0));
    CHECK(!dealt.code && strstr(dealt.out, whole) &&
          strstr(dealt.err, "4 ranks by MPI")); /* neighbours are apart */
    for (int i = 0; i < 3; i++) {
        const int n = machines[i][0] * machines[i][1];
        const said s = command_shell(
            a,
            MPIRUN
            " -n %d sh -c 'HONE_MACHINE=$((OMPI_COMM_WORLD_RANK / %d)) exec \"%s\" train \"%s\" --json %s'",
            n, machines[i][1], command_program(), job, flags_of(a, n, 1, i & 1, 1));
        if (s.code) test_fail(__FILE__, __LINE__, "%d ranks ended with %d: %.1200s", n, s.code, s.err);
        if (!strstr(s.out, whole)) test_fail(__FILE__, __LINE__, "%d ranks: other bits than %s", n, whole);
        CHECK(strstr(s.err, arena_print(a, "%d ranks on %d machines by MPI", n, machines[i][0])));
    }
    arena_free(a);
}

TEST(a_step_divided_by_emulated_nccl_has_the_same_bits) { same_bits(&nccl, 0); }
TEST(a_step_divided_by_emulated_nccl_has_the_same_bits_in_bf16) { same_bits(&nccl, 1); }
TEST(a_step_divided_by_emulated_nccl_has_the_same_bits_in_fp16) { same_bits(&nccl, 2); }
