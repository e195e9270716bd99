/* launch.c - hone launch: who gets which cores, several machines (played by this one), command lines for mpirun and srun; and
 * hone train by itself where there are several devices. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/host.h"
#include "base/net.h"
#include "command.h"
#include "golden.h"

static const char *const cut =
    ",\"train_batch_size\": 48, \"per_device_train_batch_size\": 2, \"reduce_shards\": 24, \"max_steps\": 4";

TEST(a_dry_run_shows_the_cores_of_each_rank) {
    arena *a = command_begin();
    const said s = command_expect(a, 0, "launch -n 2 --dry-run train job.json");
    CHECK(!strncmp(s.out, "rank 0 of 2: cores ", 19) && strstr(s.out, "\nrank 1 of 2: cores "));
    const said second = command_expect(a, 0, "launch -n 2 --nnodes 3 --node_rank 2 --dry-run train job.json");
    CHECK(strstr(second.out, "rank 4 of 6: cores ") && strstr(second.out, "rank 5 of 6: cores "));
    arena_free(a);
}

static void shows(arena *a, const char *arguments, const char *line) {
    const said s = command_expect(a, 0, "launch %s", arguments);
    CHECK_STR(s.out, line);
}

TEST(several_hosts_are_a_command_line_of_mpirun_or_srun) {
    arena *a = command_begin();
    char program[4096];
    const char *root = geteuid() == 0 ? " --allow-run-as-root" : "";
    CHECK(realpath(command_program(), program));
    for (int i = 0; i < 6; i++)
        unsetenv((const char *const[]){"SLURM_JOB_ID", "HONE_SECRET", "HONE_SECRET_FILE", "MASTER_ADDR",
                                       "MASTER_PORT", "HONE_THREADS"}[i]);
    CHECK(!unsetenv("HONE_CACHE") && !unsetenv("HONE_PLUGINS") && !unsetenv("HONE_COMM") &&
          !unsetenv("CUDA_VISIBLE_DEVICES"));
    shows(a, "--hosts n1,n2 -n 16 --dry-run train 'my job.json' --seed 3",
          arena_print(a, "mpirun%s -n 16 --host n1:8,n2:8 --bind-to numa --mca odls_base_sigkill_timeout 10 %s train 'my job.json' --seed 3\n",
                      root, program));
    CHECK(!setenv("HONE_CACHE", "/scratch/hone", 1));
    CHECK(!setenv("SLURM_JOB_ID", "77", 1));
    shows(a, "--hosts n1,n2 -n 4 --dry-run train job.json",
          arena_print(a,
                      "MASTER_ADDR=n1 MASTER_PORT=29500 HONE_SECRET=(a new one) srun --nodes=2 --ntasks=4 "
                      "--ntasks-per-node=2 --nodelist=n1,n2 --kill-on-bad-exit=1 %s train job.json\n",
                      program));
    shows(a, "--hosts n1 --by mpirun -n 4 --dry-run train job.json",
          arena_print(a, "mpirun%s -n 4 --host n1:4 --bind-to numa --mca odls_base_sigkill_timeout 10 -x HONE_CACHE %s train job.json\n", root,
                      program));
    arena_free(a);
}

/* A stub in PATH that leaves what it was given. */
static void put_stub(arena *a, const char *name, const char *body) {
    const char *path = put_file(a, name, arena_print(a, "#!/bin/sh\n%s\n", body));
    CHECK(!system(arena_print(a, "mkdir -p '%s' && chmod +x '%s' && mv '%s' '%s/%s'", here(a, "bin"), path,
                              path, here(a, "bin"), name)));
    CHECK(!setenv("PATH", arena_print(a, "%s:%s", here(a, "bin"), getenv("PATH")), 1));
}

TEST(the_command_line_of_several_hosts_is_what_is_run) {
    arena *a = command_begin();
    const char *given = here(a, "given");
    put_stub(a, "srun", arena_print(a, "echo \"$MASTER_ADDR ${#HONE_SECRET} $*\" > '%s'; exit 75", given));
    const said s = command_expect(
        a, 75, "launch --hosts n1,n2 --by srun -n 2 train job.json"); /* its exit code is ours */
    CHECK(!strncmp(file_text(a, given), "n1 64 --nodes=2 --ntasks=2 --ntasks-per-node=1 --nodelist=n1,n2 ",
                   64));
    CHECK(strstr(s.err, " srun --nodes=2 ") &&
          strstr(s.err, "HONE_SECRET=(a new one)")); /* shown, but for the secret */
    CHECK(!setenv("PATH", "/nowhere", 1));
    command_refused(a, 2, "mpirun: cannot be started",
                    "launch --hosts n1,n2 --by mpirun -n 2 train job.json");
    arena_free(a);
}

TEST(what_hone_launch_does_not_understand_is_refused) {
    arena *a = command_begin();
    command_refused(a, 2, "-n: 3 ranks cannot be dealt to 2 hosts", "launch --hosts a,b -n 3 train j.json");
    command_refused(a, 2, "--hosts: \"a;b\", expected names between commas",
                    "launch --hosts 'a;b' -n 2 train j.json");
    command_refused(a, 2, "--hosts: \"-x,b\"", "launch --hosts -x,b -n 2 train j.json");
    command_refused(a, 2, "--node_rank: 2, expected less than --nnodes (2)",
                    "launch -n 1 --nnodes 2 --node_rank 2 train j.json");
    command_refused(a, 2, "-n: 8 ranks on each of 9 machines", "launch -n 8 --nnodes 9 train j.json");
    command_refused(a, 2, "--nnodes with --hosts", "launch -n 2 --nnodes 2 --hosts a,b train j.json");
    command_refused(a, 2, "hone launch: --by qsub", "launch -n 2 --by qsub train j.json");
    arena_free(a);
}

TEST(launchers_of_two_machines_make_one_run) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", cut);
    const char *whole = text_of(
        command_json(a, "train \"%s\" --json --quiet --overwrite_output_dir true", job), "params_sha256");
    int listener, port = 0;
    CHECK_OK(net_listen(&listener, NULL, &port, err));
    net_close(listener);
    setenv("MASTER_ADDR", "127.0.0.1", 1);
    setenv("MASTER_PORT", arena_print(a, "%d", port), 1);
    setenv("HONE_SECRET", "known to both launchers of it", 1);
    const pid_t other = command_start(
        a, "launch -n 2 --nnodes 2 --node_rank 1 train \"%s\" --json --quiet --overwrite_output_dir true",
        job);
    const json *run = command_json(
        a, "launch -n 2 --nnodes 2 --node_rank 0 train \"%s\" --json --quiet --overwrite_output_dir true",
        job);
    CHECK_INT(command_wait(other), 0);
    CHECK_STR(text_of(run, "params_sha256"), whole);
    CHECK_INT(number_of(run, "world_size"), 4);
    CHECK_STR(file_text(a, here(a, "started-out")), ""); /* of rank 2 and 3 */
    arena_free(a);
}

TEST(train_alone_uses_all_devices_that_it_sees) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out",
                               ",\"train_batch_size\": 8, \"per_device_train_batch_size\": 2, "
                               "\"reduce_shards\": 4, \"max_steps\": 2");
    const char *flags = "--device emu --json --overwrite_output_dir true";
    const json *alone = command_json(a, "train \"%s\" %s", job, flags);
    CHECK_INT(number_of(alone, "world_size"), 1);
    CHECK(!setenv("HONE_EMU_DEVICES", "2", 1));
    const said s = command_expect(a, 0, "train \"%s\" %s", job, flags);
    const json *both;
    CHECK(strstr(s.err, "2 devices are visible: one process each, as hone launch -n 2 train does"));
    CHECK_OK(json_parse(&both, a, "stdout", s.out, s.n_out, HONE_EDATA, err));
    CHECK_INT(number_of(both, "world_size"), 2);
    CHECK_STR(text_of(both, "params_sha256"), text_of(alone, "params_sha256"));
    const json *one =
        command_json(a, "launch -n 1 train \"%s\" %s", job, flags); /* one rank is what was asked for */
    CHECK_INT(number_of(one, "world_size"), 1);
    arena_free(a);
}

/* Of the same run, for so many steps. */
static double instructions(arena *a, const char *job, const char *environment, int steps) {
    const char *log = here(a, "counted");
    const said s = command_shell(
        a,
        "env %s valgrind --tool=lackey --basic-counts=yes --log-file=\"%s\" \"%s\" train \"%s\" "
        "--max_steps %d --threads 1 --quiet",
        environment, log, command_program(), job, steps);
    if (s.code) test_fail(__FILE__, __LINE__, "ended with %d: %.600s", s.code, s.err);
    const char *at = strstr(file_text(a, log), "guest instrs:");
    CHECK(at);
    double n = 0;
    for (at += strlen("guest instrs:"); *at && *at != '\n'; at++)
        if (*at >= '0' && *at <= '9') n = 10 * n + *at - '0';
    return n;
}

/* Wall time cannot tell 0.5 % from noise; instructions of a step can. HONE_LONG_TESTS=1: eight runs under valgrind. */
TEST(a_step_of_a_rank_alone_takes_the_instructions_of_a_step_without_ranks) {
    if (!getenv("HONE_LONG_TESTS")) test_skip("HONE_LONG_TESTS=1 counts instructions");
    if (system("command -v valgrind >/dev/null 2>&1")) test_skip("there is no valgrind");
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", ",\"overwrite_output_dir\": true");
    static const char *const environment[] = {"", "HONE_RANK=0 HONE_WORLD_SIZE=1 HONE_LOCAL_RANK=0 "
                                                  "HONE_LOCAL_WORLD_SIZE=1 HONE_COMM=/dev/shm/not-there"};
    double a_step[2];
    instructions(a, job, "", 1); /* the cache of tokens is made */
    for (int k = 0; k < 2; k++)
        a_step[k] = (instructions(a, job, environment[k], 45) - instructions(a, job, environment[k], 5)) / 40;
    printf("  a step: %.0f instructions without ranks, %.0f of a rank alone: %.6f times\n", a_step[0],
           a_step[1], a_step[1] / a_step[0]);
    CHECK(a_step[1] / a_step[0] < 1.005);
    arena_free(a);
}
