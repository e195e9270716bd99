/* clusters.c - configs/clusters: each recipe's script is run in a played environment. It starts, hone finds its ranks, a
 * notice saves and ends all with 75, whoever starts it again does, and the end has the bits of a run that was never ended. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "base/net.h"
#include "command.h"
#include "golden.h"

static const char *recipe(arena *a, const char *name) {
    const char *path = test_source(arena_print(a, "configs/clusters/%s", name));
    return arena_copy(a, path, strlen(path));
}

/* A program of the test's own, before all others in PATH. */
static void put_stub(arena *a, const char *name, const char *body) {
    CHECK_OK(folder_make(here(a, "bin"), err));
    const char *path = put_file(a, arena_print(a, "bin/%s", name), body);
    CHECK(!system(arena_print(a, "chmod +x '%s'", path)));
}

static arena *begin(void) {
    arena *a = command_begin();
    char hone[4096];
    CHECK(realpath(command_program(), hone));
    *strrchr(hone, '/') = 0;
    setenv("PATH", arena_print(a, "%s:%s:%s", here(a, "bin"), hone, getenv("PATH")), 1);
    setenv("HONE_THREADS", "1", 1);
    return a;
}

static int free_port(void) {
    int listener, port = 0;
    CHECK_OK(net_listen(&listener, NULL, &port, err));
    net_close(listener);
    return port;
}

/* A job that takes a second or two, in shards that any number of ranks can share; out: its folder. */
static const char *long_job(arena *a, const char *out, const char *more) {
    return tiny_job(
        a, arena_print(a, "%s.json", out), out,
        arena_print(a,
                    ",\"train_batch_size\": 16, \"per_device_train_batch_size\": 2, \"reduce_shards\": 8, "
                    "\"logging_steps\": 5%s",
                    more));
}
#define STEPS ",\"max_steps\": 800"

static void wait_for_text(arena *a, const char *path, const char *words) {
    for (int i = 0; i < 6000; i++, usleep(5000))
        if (file_is_regular(path) && file_bytes(path) > 0 && strstr(file_text(a, path), words)) return;
    test_fail(__FILE__, __LINE__, "%s never held %s; standard error: %.1500s", path, words,
              file_is_regular(here(a, "started-err")) ? file_text(a, here(a, "started-err")) : "none");
}
static void wait_for_step(arena *a) {
    wait_for_text(a, path_join(a, here(a, "out"), "log.jsonl"), "\"step\":10,");
}

/* The run that was ended and started again ended as one that was not. */
static void same_as_never_ended(arena *a) {
    static const char *const played[] = {"SLURM_JOB_ID", "SLURM_PROCID", "SKYPILOT_NODE_RANK",
                                         "SKYPILOT_NUM_NODES"};
    for (size_t i = 0; i < sizeof played / sizeof *played; i++) unsetenv(played[i]);
    command_expect(a, 0, "train \"%s\" --quiet", long_job(a, "whole", STEPS));
    CHECK(!system(arena_print(a, "cmp '%s/model.safetensors' '%s/model.safetensors'", here(a, "out"),
                              here(a, "whole"))));
    CHECK(strstr(file_text(a, path_join(a, here(a, "out"), "log.jsonl")), "\"step\":800,"));
}

static void resumed(arena *a) {
    const char *log = file_text(a, here(a, "started-err"));
    if (!strstr(log, "going on from ")) test_fail(__FILE__, __LINE__, "it did not resume: %.1500s", log);
}

/* ---- Slurm ------------------------------------------------------------------------------------------------------*/

/* srun: the step's tasks, with the variables of a task; signals of the controller go to all of them. */
static const char srun_stub[] = "#!/bin/bash\n"
                                "while [[ $1 == --* ]]; do shift; done\n"
                                "echo $$ > \"$STUB_FOLDER/srun.pid\"\n"
                                "pids=()\n"
                                "trap 'kill -USR1 \"${pids[@]}\"' USR1\n"
                                "trap 'kill -TERM \"${pids[@]}\"' TERM\n"
                                "for ((r = 0; r < SLURM_NTASKS; r++)); do\n"
                                "    SLURM_PROCID=$r SLURM_LOCALID=$r SLURM_STEP_ID=0 "
                                "SLURM_LAUNCH_NODE_IPADDR=192.0.2.1 \"$@\" & pids+=($!)\n"
                                "done\n"
                                "worst=0\n"
                                "for p in \"${pids[@]}\"; do\n"
                                "    while kill -0 $p 2>/dev/null; do wait $p; done\n"
                                "    wait $p; code=$?\n"
                                "    ((code > worst)) && worst=$code\n"
                                "done\n"
                                "exit $worst\n";

static const char scontrol_stub[] = "#!/bin/sh\n"
                                    "case $1 in\n"
                                    "show) echo 127.0.0.1; echo 192.0.2.2 ;;\n"
                                    "requeue) echo \"$2\" >> \"$STUB_FOLDER/requeued\" ;;\n"
                                    "esac\n";

static pid_t sbatch(arena *a, const char *job) {
    return command_start_shell(a, "bash \"%s\" \"%s\" --json", recipe(a, "slurm.sbatch"), job);
}

static void slurm_ends_and_requeues(int number, int batch_too) {
    arena *a = begin();
    const char *job = long_job(a, "out", STEPS);
    put_stub(a, "srun", srun_stub);
    put_stub(a, "scontrol", scontrol_stub);
    setenv("STUB_FOLDER", test_folder(), 1);
    setenv("SLURM_JOB_ID", arena_print(a, "%d", 4711 + free_port() % 10000), 1);
    setenv("SLURM_JOB_NODELIST", "node[1-2]", 1);
    setenv("SLURM_NTASKS", "2", 1);
    setenv("SLURM_PROCID", "0", 1); /* as in the batch step, which is none of srun */
    pid_t pid = sbatch(a, job);
    wait_for_step(a);
    if (batch_too) CHECK(!kill(pid, number));
    CHECK(!kill(atoi(file_text(a, here(a, "srun.pid"))), number));
    CHECK_INT(command_wait(pid), 75);
    CHECK(strstr(file_text(a, here(a, "started-err")), "error: preempted: saved step "));
    CHECK_INT(atoi(file_text(a, here(a, "requeued"))), atoi(getenv("SLURM_JOB_ID")));
    pid = sbatch(a, job);
    CHECK_INT(command_wait(pid), 0);
    CHECK(strstr(file_text(a, here(a, "started-out")), "\"world_size\":2,"));
    resumed(a);
    CHECK_INT(file_bytes(here(a, "requeued")), (int64_t)strlen(getenv("SLURM_JOB_ID")) + 1); /* once */
    same_as_never_ended(a);
    arena_free(a);
}
TEST(recipe_of_slurm_requeues_after_usr1_before_the_limit) { slurm_ends_and_requeues(SIGUSR1, 0); }
TEST(recipe_of_slurm_requeues_after_term_to_batch_and_steps) { slurm_ends_and_requeues(SIGTERM, 1); }

TEST(recipe_of_slurm_requeues_no_job_that_is_wrong) {
    arena *a = begin();
    put_stub(a, "srun", srun_stub);
    put_stub(a, "scontrol", scontrol_stub);
    setenv("STUB_FOLDER", test_folder(), 1);
    setenv("SLURM_JOB_ID", "4711", 1);
    setenv("SLURM_JOB_NODELIST", "node1", 1);
    setenv("SLURM_NTASKS", "1", 1);
    const pid_t pid = sbatch(a, here(a, "missing.json"));
    CHECK_INT(command_wait(pid), 2);
    CHECK(!file_exists(here(a, "requeued")));
    arena_free(a);
}

/* ---- mpirun and torchrun -----------------------------------------------------------------------------------------*/

TEST(recipe_of_mpirun_turns_term_into_a_save) {
    arena *a = begin();
    if (system("command -v mpirun >/dev/null 2>&1")) test_skip("there is no mpirun");
    if (!file_is_regular(HONE_BUILD_FOLDER "/lib/hone/libhone_mpi.so"))
        test_skip("libhone_mpi.so was not built (no mpi.h)");
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* MPI's own, where this is built with AddressSanitizer */
    const char *job = long_job(a, "out", STEPS), *hosts = put_file(a, "hosts", "localhost slots=8\n");
    const char *line = arena_print(a, "sh '%s' '%s' 2 '%s' --json", recipe(a, "mpirun.sh"), hosts, job);
    pid_t pid = command_start_shell(a, "%s", line);
    wait_for_step(a);
    CHECK(!kill(pid, SIGTERM));
    CHECK_INT(command_wait(pid), 75);
    pid = command_start_shell(a, "%s", line);
    CHECK_INT(command_wait(pid), 0);
    CHECK(strstr(file_text(a, here(a, "started-out")), "\"world_size\":2,"));
    resumed(a);
    same_as_never_ended(a);
    arena_free(a);
}

/* torchrun: its agent listens at MASTER_PORT; when a rank fails it ends the others and starts all again. */
static const char torchrun_stub[] =
    "#!/bin/bash\n"
    "while [[ $1 == -* ]]; do\n"
    "    [[ $1 != --nproc-per-node ]] || n=$2\n"
    "    if [[ $1 == --no-python ]]; then shift; else shift 2; fi\n"
    "done\n"
    "export MASTER_ADDR=127.0.0.1 MASTER_PORT=$STUB_PORT WORLD_SIZE=$n TORCHELASTIC_USE_AGENT_STORE=True\n"
    "for attempt in 1 2 3; do\n"
    "    pids=()\n"
    "    for ((r = 0; r < n; r++)); do RANK=$r LOCAL_RANK=$r \"$@\" & pids+=($!); done\n"
    "    echo ${pids[1]} > \"$STUB_FOLDER/rank1.$attempt\"\n"
    "    failed=0\n"
    "    for ((r = 0; r < n; r++)); do wait -n || { failed=1; kill \"${pids[@]}\" 2>/dev/null; }; done\n"
    "    [[ $failed = 0 ]] && exit 0\n"
    "done\n"
    "exit 1\n";

TEST(recipe_of_torchrun_resumes_when_all_ranks_are_started_again) {
    arena *a = begin();
    int agent, port = 0;
    const char *job = long_job(a, "out", STEPS ",\"save_strategy\": \"steps\", \"save_steps\": 10");
    put_stub(a, "torchrun", torchrun_stub);
    CHECK_OK(net_listen(&agent, NULL, &port, err)); /* held, as by the agent */
    setenv("STUB_FOLDER", test_folder(), 1);
    setenv("STUB_PORT", arena_print(a, "%d", port), 1);
    const char *secret = put_file(a, "secret", "thirty-two bytes that are secret");
    CHECK(!system(arena_print(a, "chmod 600 '%s'", secret)));
    setenv("HONE_SECRET_FILE", secret, 1);
    const pid_t pid =
        command_start_shell(a, "sh '%s' 1 2 0 127.0.0.1 '%s' --json", recipe(a, "torchrun.sh"), job);
    wait_for_text(a, path_join(a, here(a, "out"), "log.jsonl"), "\"step\":30,");
    CHECK(!kill(atoi(file_text(a, here(a, "rank1.1"))), SIGKILL));
    CHECK_INT(command_wait(pid), 0);
    CHECK(file_is_regular(here(a, "rank1.2")));
    CHECK(strstr(file_text(a, here(a, "started-out")), "\"world_size\":2,"));
    resumed(a);
    same_as_never_ended(a);
    net_close(agent);
    arena_free(a);
}

/* ---- Kubernetes, SkyPilot ----------------------------------------------------------------------------------------*/

/* The lines of the block that begins with `begin`, up to one that is less indented: a file, started with exec so that hone
 * is what gets a signal, as in a container. */
static const char *script_of(arena *a, const char *file, const char *begin, int number) {
    text t = {0};
    const char *at = strstr(file_text(a, recipe(a, file)), begin);
    if (!at) test_fail(__FILE__, __LINE__, "%s has no %s", file, begin);
    at += strlen(begin);
    const size_t indent = strspn(at, " ");
    text_printf(&t, "exec >'%s' 2>'%s'\n", here(a, arena_print(a, "pod-%d-out", number)),
                here(a, arena_print(a, "pod-%d-err", number)));
    while (*at && strspn(at, " ") >= indent) {
        const char *end = strchr(at, '\n');
        text_add(&t, at + indent, (size_t)(end - at - (long)indent) + 1);
        at = end + 1;
    }
    const char *path = put_file(a, arena_print(a, "pod-%d.sh", number), t.p);
    text_free(&t);
    return path;
}

static void holds(arena *a, const char *file, const char *words) {
    if (!strstr(file_text(a, recipe(a, file)), words))
        test_fail(__FILE__, __LINE__, "%s has no %s", file, words);
}

TEST(recipes_in_yaml_are_yaml) {
    arena *a = begin();
    if (system("python3 -c 'import yaml' >/dev/null 2>&1")) test_skip("there is no python3 with yaml");
    static const char *const files[] = {"kubernetes-job.yaml", "kubernetes-jobset.yaml", "skypilot.yaml"};
    for (int i = 0; i < 3; i++)
        CHECK(!system(arena_print(a, "python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' '%s'",
                                  recipe(a, files[i]))));
    arena_free(a);
}

TEST(recipe_of_a_kubernetes_job_saves_in_time_and_is_started_again) {
    arena *a = begin();
    setenv("JOB", long_job(a, "out", STEPS), 1);
    const char *script = script_of(a, "kubernetes-job.yaml", "args:\n            - |\n", 0);
    /* what makes 75 no failure, and the kubelet wait for the save */
    holds(a, "kubernetes-job.yaml",
          "- action: Ignore # preempted and saved\n        onExitCodes:\n          "
          "containerName: hone\n          operator: In\n          values: [75]\n");
    holds(a, "kubernetes-job.yaml", "restartPolicy: Never\n      terminationGracePeriodSeconds: 120\n");
    pid_t pid = command_start_shell(a, "sh '%s'", script);
    wait_for_step(a);
    CHECK(!kill(pid, SIGTERM));
    CHECK_INT(command_wait(pid), 75);
    pid = command_start_shell(a, "sh '%s'", script);
    CHECK_INT(command_wait(pid), 0);
    CHECK(strstr(file_text(a, here(a, "pod-0-err")), "going on from "));
    same_as_never_ended(a);
    arena_free(a);
}

static void start_pods(arena *a, const char *node_variable, const char *const script[2], pid_t pid[2]) {
    for (int i = 0; i < 2; i++) {
        setenv(node_variable, i ? "1" : "0", 1);
        pid[i] = command_start_shell(a, "sh '%s'", script[i]);
    }
}

TEST(recipe_of_a_jobset_saves_all_pods_when_one_is_evicted) {
    arena *a = begin();
    pid_t pid[2];
    const char *const script[2] = {
        script_of(a, "kubernetes-jobset.yaml", "args:\n                    - |\n", 0),
        script_of(a, "kubernetes-jobset.yaml", "args:\n                    - |\n", 1)};
    setenv("JOB", long_job(a, "out", STEPS), 1);
    setenv("NODES", "2", 1);
    setenv("GPUS", "2", 1);
    setenv("MASTER_ADDR", "127.0.0.1", 1); /* the name of pod 0 */
    setenv("MASTER_PORT", arena_print(a, "%d", free_port()), 1);
    setenv("HONE_SECRET", "0123456789abcdef0123456789abcdef", 1);
    start_pods(a, "JOB_COMPLETION_INDEX", script, pid);
    wait_for_step(a);
    CHECK(!kill(pid[1], SIGTERM));
    CHECK_INT(command_wait(pid[0]), 75);
    CHECK_INT(command_wait(pid[1]), 75);
    start_pods(a, "JOB_COMPLETION_INDEX", script, pid);
    CHECK_INT(command_wait(pid[0]), 0);
    CHECK_INT(command_wait(pid[1]), 0);
    CHECK(strstr(file_text(a, here(a, "pod-0-err")), "going on from "));
    CHECK_INT(file_bytes(here(a, "pod-1-out")), 0); /* stdout is rank 0's */
    same_as_never_ended(a);
    arena_free(a);
}

TEST(recipe_of_skypilot_goes_on_when_a_machine_was_lost) {
    arena *a = begin();
    pid_t pid[2];
    const char *script[2];
    const int port = free_port();
    for (int i = 0; i < 2; i++) {
        script[i] = script_of(a, "skypilot.yaml", "run: |\n", i);
        CHECK(!system(arena_print(a, "sed -i 's/29500/%d/' '%s'", port, script[i])));
    }
    setenv("JOB", long_job(a, "out", STEPS ",\"save_strategy\": \"steps\", \"save_steps\": 10"), 1);
    setenv("SKYPILOT_NUM_NODES", "2", 1);
    setenv("SKYPILOT_NUM_GPUS_PER_NODE", "1", 1);
    setenv("SKYPILOT_NODE_IPS", "127.0.0.1\n192.0.2.2", 1);
    setenv("HONE_SECRET", "0123456789abcdef0123456789abcdef", 1);
    start_pods(a, "SKYPILOT_NODE_RANK", script, pid);
    wait_for_text(a, path_join(a, here(a, "out"), "log.jsonl"), "\"step\":30,");
    CHECK(!kill(pid[1], SIGKILL)); /* its rank then hears TERM, or is lost: both are ends of all */
    const int code = command_wait(pid[0]);
    CHECK(code == 75 || code == 6);
    command_wait(pid[1]);
    start_pods(a, "SKYPILOT_NODE_RANK", script, pid);
    CHECK_INT(command_wait(pid[0]), 0);
    CHECK_INT(command_wait(pid[1]), 0);
    CHECK(strstr(file_text(a, here(a, "pod-0-err")), "going on from "));
    same_as_never_ended(a);
    arena_free(a);
}

/* ---- metadata services -------------------------------------------------------------------------------------------*/

/* A request's head as text, then the answer; what is asked for without what the real service wants is refused. */
static const char *answer_aws(const char *ask, int going) {
    if (!strncmp(ask, "PUT /latest/api/token HTTP/1.1\r\n", 32))
        return strstr(ask, "\r\nX-aws-ec2-metadata-token-ttl-seconds: ")
                   ? "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nAQAAtok="
                   : "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    if (!strstr(ask, "\r\nX-aws-ec2-metadata-token: AQAAtok=\r\n"))
        return "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    if (strncmp(ask, "GET /latest/meta-data/spot/instance-action ", 43) || !going)
        return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    return "HTTP/1.1 200 OK\r\nContent-Length: "
           "55\r\n\r\n{\"action\":\"terminate\",\"time\":\"2026-11-25T08:22:00.000Z\"}";
}

static const char *answer_gcp(const char *ask, int going) {
    if (!strstr(ask, "\r\nMetadata-Flavor: Google\r\n"))
        return "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    if (strncmp(ask, "GET /computeMetadata/v1/instance/preempted ", 43))
        return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    return going ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nTRUE"
                 : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nFALSE";
}

/* The service in a process of its own; the file "going" is the notice. */
static pid_t serve(arena *a, const char *(*answer)(const char *, int), int *port) {
    int listener;
    const char *going = here(a, "going");
    CHECK_OK(net_listen(&listener, NULL, port, err));
    const pid_t pid = fork();
    for (; !pid; usleep(2000)) {
        char ask[4096];
        size_t n = 0;
        const int fd = net_accept(listener);
        if (fd < 0) continue;
        while (n < sizeof ask - 1 && net_read_all(fd, ask + n, 1, clock_ns() + 1000000000u)) {
            ask[++n] = 0;
            if (n >= 4 && !strcmp(ask + n - 4, "\r\n\r\n")) break;
        }
        const char *says = answer(ask, file_exists(going));
        net_send_all(fd, says, strlen(says), clock_ns() + 1000000000u);
        net_close(fd);
    }
    net_close(listener);
    return pid;
}

static void a_notice_saves(const char *cloud, const char *(*answer)(const char *, int), const char *variable,
                           const char *prefix) {
    arena *a = begin();
    int port = 0;
    if (system("command -v curl >/dev/null 2>&1")) test_skip("there is no curl");
    const pid_t service = serve(a, answer, &port);
    const char *notice = recipe(a, arena_print(a, "%s-spot-notice", cloud));
    setenv(variable, arena_print(a, "%s127.0.0.1:%d", prefix, port), 1);
    CHECK(system(arena_print(a, "'%s'", notice)) != 0);
    const char *line = arena_print(a, "'%s' %s '%s' --max_steps 1000000", recipe(a, "spot-vm.sh"), cloud,
                                   long_job(a, "out", ""));
    pid_t pid = command_start_shell(a, "%s", line);
    wait_for_step(a);
    put_file(a, "going", "");
    CHECK(!system(arena_print(a, "'%s'", notice)));
    CHECK_INT(command_wait(pid), 75); /* at the next look, within five seconds */
    CHECK(strstr(file_text(a, here(a, "started-err")), "error: preempted: saved step "));
    CHECK(!unlink(here(a, "going")));
    pid = command_start_shell(a, "%s", line); /* the machine that comes after it */
    wait_for_text(a, here(a, "started-err"), "going on from ");
    CHECK(!kill(pid, SIGTERM));
    CHECK_INT(command_wait(pid), 75);
    kill(service, SIGKILL);
    waitpid(service, NULL, 0);
    CHECK(system(arena_print(a, "'%s'", notice)) != 0); /* no service: no notice */
    arena_free(a);
}
TEST(recipe_of_an_aws_spot_machine_saves_at_its_notice) {
    a_notice_saves("aws", answer_aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://");
}
TEST(recipe_of_a_gcp_spot_machine_saves_at_its_notice) {
    a_notice_saves("gcp", answer_gcp, "GCE_METADATA_HOST", "");
}
