/* mpi.c - ranks that mpirun starts: the same bits through shared memory and through MPI itself, ends that are named. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/host.h"
#include "command.h"
#include "golden.h"

#define MPIRUN "mpirun --allow-run-as-root --oversubscribe --mca odls_base_sigkill_timeout 10"

/* HONE_COMM for the ranks: "" is what mpirun's ranks do by themselves, on one machine shared memory. */
static arena *begin_or_skip(const char *way) {
    if (system("command -v mpirun >/dev/null 2>&1")) test_skip("there is no mpirun");
    if (!file_is_regular(HONE_BUILD_FOLDER "/lib/hone/libhone_mpi.so"))
        test_skip("libhone_mpi.so was not built (no mpi.h)");
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* MPI's own, where this is built with AddressSanitizer */
    CHECK(!setenv("HONE_COMM", way, 1));
    CHECK(!setenv("HONE_THREADS", "1", 1));
    return command_begin();
}

static const char *const cut =
    ",\"train_batch_size\": 48, \"per_device_train_batch_size\": 2, \"reduce_shards\": 24";

static void same_bits(const char *way, int n) {
    arena *a = begin_or_skip(way);
    const char *job = tiny_job(a, "job.json", "out", arena_print(a, "%s,\"max_steps\": 6", cut));
    const char *whole = text_of(
        command_json(a, "train \"%s\" --json --quiet --overwrite_output_dir true", job), "params_sha256");
    const said s =
        command_shell(a, MPIRUN " -n %d \"%s\" train \"%s\" --json --quiet --overwrite_output_dir true", n,
                      command_program(), job);
    const json *run;
    if (s.code) test_fail(__FILE__, __LINE__, "mpirun ended with %d: %.1200s", s.code, s.err);
    CHECK_OK(json_parse(&run, a, "stdout", s.out, s.n_out, HONE_EDATA, err)); /* rank 0's alone */
    CHECK_STR(text_of(run, "params_sha256"), whole);
    CHECK_INT(number_of(run, "world_size"), n);
    arena_free(a);
}

TEST(ranks_of_mpirun_on_one_machine_share_memory_and_end_in_the_same_bits) {
    same_bits("", 2);
    same_bits("", 3);
}
TEST(ranks_of_mpirun_that_talk_by_mpi_end_in_the_same_bits) {
    same_bits("mpi", 2);
    same_bits("mpi", 3);
}

/* A job that goes on until it is ended; the pid of its mpirun, when ten steps have been made. */
static pid_t start_long(arena *a, const char *flags) {
    const char *job =
        tiny_job(a, "job.json", "out", arena_print(a, "%s,\"max_steps\": 100000, \"logging_steps\": 5", cut));
    const char *log = path_join(a, here(a, "out"), "log.jsonl");
    const pid_t pid =
        command_start_shell(a, MPIRUN " -n 3 \"%s\" train \"%s\" %s", command_program(), job, flags);
    for (int i = 0; i < 4000; i++, usleep(5000))
        if (file_is_regular(log) && file_bytes(log) > 0 && strstr(file_text(a, log), "\"step\":10,"))
            return pid;
    test_fail(__FILE__, __LINE__, "no step was logged: %s", file_text(a, here(a, "started-err")));
}

/* The process that is a rank of the job in the test's own folder. */
static int process_of_rank(arena *a, int rank) {
    const char **names, *wanted = arena_print(a, "OMPI_COMM_WORLD_RANK=%d", rank);
    const char *cache = arena_print(a, "HONE_CACHE=%s", here(a, "cache"));
    int n, mine = 0;
    CHECK_OK(folder_list(&names, &n, a, "/proc", err));
    for (int i = 0; i < n && !mine; i++) {
        static char environment[1 << 16];
        FILE *f = atoi(names[i]) > 0 ? fopen(arena_print(a, "/proc/%s/environ", names[i]), "r") : NULL;
        if (!f) continue;
        const size_t bytes = fread(environment, 1, sizeof environment - 1, f);
        fclose(f);
        environment[bytes] = 0;
        int is_rank = 0, is_ours = 0;
        for (const char *v = environment; v < environment + bytes; v += strlen(v) + 1)
            is_rank |= !strcmp(v, wanted), is_ours |= !strcmp(v, cache);
        if (is_rank && is_ours) mine = atoi(names[i]);
    }
    CHECK(mine);
    return mine;
}

static void one_is_lost(const char *way, int number, const char *flags, const char *says) {
    arena *a = begin_or_skip(way);
    const pid_t pid = start_long(a, flags);
    const int lost = process_of_rank(a, 1);
    CHECK(!kill(lost, number));
    CHECK(command_wait(pid) != 0);
    const char *reason = file_text(a, here(a, "started-err"));
    if (!strstr(reason, "rank 1 (host ") || !strstr(reason, says))
        test_fail(__FILE__, __LINE__, "said: %s", reason);
    kill(lost, SIGKILL);
    arena_free(a);
}

/* mpirun ends the survivors; one of them at least has said whom it lost. */
TEST(a_rank_of_mpirun_that_is_killed_is_named) {
    one_is_lost("mpi", SIGKILL, "", "has died; last seen at step ");
}
TEST(a_rank_of_mpirun_that_is_stopped_is_named) {
    one_is_lost("mpi", SIGSTOP, "--ddp_timeout 1", "has shown no sign of life for 1 s; last seen at step ");
}

TEST(mpirun_passes_usr1_on_and_all_ranks_save_one_step) {
    arena *a = begin_or_skip("mpi");
    const pid_t pid = start_long(a, "");
    CHECK(!kill(pid, SIGUSR1));
    CHECK_INT(command_wait(pid), 75);
    CHECK(strstr(file_text(a, here(a, "started-err")), "error: preempted: saved step "));
    arena_free(a);
}

/* Open MPI 4 sleeps before it sends TERM on, and reads nothing meanwhile: lines of steps would fill its pipe. */
TEST(mpirun_with_patience_lets_all_ranks_save_a_step_after_term) {
    arena *a = begin_or_skip("mpi");
    const pid_t pid = start_long(a, "--quiet");
    CHECK(!kill(pid, SIGTERM));
    CHECK(command_wait(pid) != 0);
    CHECK(strstr(file_text(a, here(a, "started-err")), "error: preempted: saved step "));
    arena_free(a);
}

TEST(what_mpi_says_must_be_what_its_variables_say) {
    arena *a = begin_or_skip("mpi");
    const char *job = tiny_job(a, "job.json", "out", "");
    const said s =
        command_shell(a, MPIRUN " -n 1 sh -c 'OMPI_COMM_WORLD_SIZE=2 exec \"%s\" train \"%s\" --quiet'",
                      command_program(), job);
    CHECK_INT(s.code, 2);
    CHECK(strstr(s.err, "MPI says rank 0 of 1, and Open MPI says 0 of 2; expected the same"));
    arena_free(a);
}

TEST(without_the_library_of_mpi_the_remedy_is_named) {
    arena *a = command_begin();
    setenv("OMPI_COMM_WORLD_RANK", "0", 1);
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    unsetenv("MASTER_PORT");
    const char *job = tiny_job(a, "job.json", "out", ""), *alone = here(a, "alone");
    CHECK(!system(arena_print(a,
                              "mkdir -p \"%s/bin\" \"%s/lib/hone\" && cp \"%s\" \"%s/bin/hone\" && "
                              "cp \"%s/lib/hone/libhone_cpu.so\" \"%s/lib/hone\"",
                              alone, alone, command_program(), alone, HONE_BUILD_FOLDER, alone)));
    const said s = command_shell(a, "\"%s/bin/hone\" train \"%s\"", alone, job);
    CHECK_INT(s.code, 2);
    CHECK(strstr(s.err, "there is no libhone_mpi.so in ") && strstr(s.err, "MASTER_PORT"));
    arena_free(a);
}
