/* signals.c - signals that come where there is no step to end: while data is read, in an evaluation, in the
 * last one. */
#include <signal.h>
#include <unistd.h>

#include "command.h"
#include "golden.h"

/* So many copies of the rows of a fixture. */
static const char *long_file(arena *a, const char *name, const char *fixture, int copies) {
    const char *rows = file_text(a, test_fixture(fixture)), *data = strchr(rows, '\n') + 1;
    text t = {0};
    text_add(&t, rows, (size_t)(data - rows));
    for (int i = 0; i < copies; i++) text_str(&t, data);
    const char *path = put_file(a, name, t.p);
    text_free(&t);
    return path;
}

static void wait_for(arena *a, const char *path, const char *part) {
    for (int i = 0; i < 4000; i++, usleep(5000))
        if (file_is_regular(path) && file_bytes(path) > 0 && strstr(file_text(a, path), part)) return;
    test_fail(__FILE__, __LINE__, "%s never held %s", path, part);
}

TEST(a_signal_ends_the_reading_of_data) {
    arena *a = command_begin();
    const char *data = long_file(a, "train.csv", "e2e/train.csv", 10000), *out = here(a, "out");
    const char *job =
        tiny_job(a, "job.json", "out",
                 arena_print(a, ",\"train_file\": \"%s\", \"max_steps\": 3, \"threads\": 1", data));
    const pid_t pid = command_start(a, "train \"%s\"", job);
    wait_for(a, path_join(a, out, ".lock"), "pid ");
    usleep(100000);
    CHECK(!kill(pid, SIGTERM));
    CHECK_INT(command_wait(pid), 75);
    CHECK(strstr(file_text(a, here(a, "started-err")), "error: preempted: there was nothing new to save"));
    CHECK(!file_exists(path_join(a, out, "log.jsonl")));
    arena_free(a);
}

static void check_evaluation(int number, int code, const char *said_so) {
    arena *a = command_begin();
    const char *data = long_file(a, "validation.csv", "e2e/validation.csv", 600), *out = here(a, "out");
    const char *more =
        arena_print(a,
                    ",\"validation_file\": \"%s\", \"eval_strategy\": \"steps\", \"eval_steps\": 10, "
                    "\"max_steps\": 12, \"logging_steps\": 1, \"save_strategy\": \"no\", "
                    "\"resume_from_checkpoint\": true",
                    data);
    const json *whole =
        command_json(a, "train \"%s\" --json --quiet", tiny_job(a, "whole.json", "whole", more));
    const char *job = tiny_job(a, "job.json", "out", more), *log = path_join(a, out, "log.jsonl");
    const pid_t pid = command_start(a, "train \"%s\"", job);
    wait_for(a, log, "\"step\":10,");
    CHECK(!kill(pid, number));
    CHECK_INT(command_wait(pid), code);
    CHECK(strstr(file_text(a, here(a, "started-err")), said_so));
    CHECK(!strstr(file_text(a, log), "eval_loss")); /* it was cut short */
    command_expect(a, 0, "inspect \"%s/checkpoint-10\"", out);
    const json *again = command_json(a, "train \"%s\" --json --quiet", job);
    CHECK_STR(text_of(again, "params_sha256"), text_of(whole, "params_sha256"));
    CHECK(number_of(again, "best_metric") == number_of(whole, "best_metric")); /* and made up for */
    CHECK(strstr(file_text(a, log), "{\"step\":10,\"epoch\":1,\"eval_loss\""));
    arena_free(a);
}

TEST(a_signal_in_an_evaluation_saves_and_the_evaluation_is_made_up_for) {
    check_evaluation(SIGTERM, 75, "error: preempted: saved step 10 in ");
}
TEST(an_interrupt_in_an_evaluation_saves_too) {
    check_evaluation(SIGINT, 130, "error: interrupted: saved step 10 in ");
}

TEST(a_signal_in_the_last_evaluation_saves_the_last_step) {
    arena *a = command_begin();
    const char *data = long_file(a, "validation.csv", "e2e/validation.csv", 600), *out = here(a, "out");
    const char *job =
        tiny_job(a, "job.json", "out",
                 arena_print(a,
                             ",\"validation_file\": \"%s\", \"max_steps\": 7, \"logging_steps\": 1, "
                             "\"save_strategy\": \"no\", \"resume_from_checkpoint\": true",
                             data));
    const pid_t pid = command_start(a, "train \"%s\"", job);
    wait_for(a, path_join(a, out, "log.jsonl"), "\"step\":7,");
    CHECK(!kill(pid, SIGUSR1));
    CHECK_INT(command_wait(pid), 75);
    CHECK(strstr(file_text(a, here(a, "started-err")), "error: preempted: saved step 7 in "));
    CHECK(!file_exists(path_join(a, out, "model.safetensors")));
    CHECK(number_of(command_json(a, "train \"%s\" --json --quiet", job), "global_step") == 7);
    arena_free(a);
}

TEST(a_run_that_keeps_no_optimizer_does_not_say_that_it_goes_on) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out",
                               ",\"max_steps\": 100000, \"logging_steps\": 10, \"save_only_model\": true, "
                               "\"save_strategy\": \"no\", \"resume_from_checkpoint\": true");
    const pid_t pid = command_start(a, "train \"%s\"", job);
    wait_for(a, path_join(a, here(a, "out"), "log.jsonl"), "\"step\":10,");
    CHECK(!kill(pid, SIGTERM));
    CHECK_INT(command_wait(pid), 75);
    const char *err = file_text(a, here(a, "started-err"));
    CHECK(strstr(err, "without the optimizer (save_only_model): the run cannot be resumed"));
    CHECK(!strstr(err, "rerun the same command"));
    CHECK(strstr(err, "\nhint: model_name_or_path: "));
    arena_free(a);
}
