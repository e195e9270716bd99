/* command.c - running the built command, and the tiny job. */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "golden.h"

const char *command_program(void) {
    const char *own = getenv("HONE_BIN"), *path = own && *own ? own : HONE_BUILD_FOLDER "/bin/hone";
    if (!file_is_regular(path))
        test_fail(__FILE__, __LINE__, "%s is not there: build the command first", path);
    return path;
}

arena *command_begin(void) {
    arena *a = arena_new("test");
    CHECK(!setenv("HONE_CACHE", here(a, "cache"), 1));
    return a;
}

const char *here(arena *a, const char *name) { return path_join(a, test_folder(), name); }

const char *file_text(arena *a, const char *path) {
    str s;
    CHECK_OK(file_read(&s, a, path, (size_t)1 << 28, HONE_EDATA, err));
    return s.p;
}

static const char *vprint(arena *a, const char *fmt, va_list args) {
    char line[8192];
    const int n = vsnprintf(line, sizeof line, fmt, args);
    CHECK(n >= 0 && (size_t)n < sizeof line);
    return arena_copy(a, line, (size_t)n);
}

static int exit_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

/* A line of shell: standard input from nothing unless it says otherwise. */
static said run_shell(arena *a, const char *shell) {
    static int number;
    const char *out = here(a, arena_print(a, "stdout-%d", number)),
               *err = here(a, arena_print(a, "stderr-%d", number));
    number++;
    const char *line = arena_print(a, "%s >\"%s\" 2>\"%s\" %s", shell, out, err,
                                   strchr(shell, '|') || strchr(shell, '<') ? "" : "</dev/null");
    said s = {.code = exit_of(system(line)), .err = file_text(a, err)};
    str all;
    CHECK_OK(file_read(&all, a, out, (size_t)1 << 28, HONE_EDATA, err));
    s.out = all.n ? all.p : "";
    s.n_out = all.n;
    if (!s.err) s.err = "";
    return s;
}

static said run_line(arena *a, const char *arguments) {
    return run_shell(a, arena_print(a, "\"%s\" %s", command_program(), arguments));
}

#define ARGUMENTS(a, fmt)                                                                                    \
    va_list args;                                                                                            \
    va_start(args, fmt);                                                                                     \
    const char *arguments = vprint(a, fmt, args);                                                            \
    va_end(args)

said command_run(arena *a, const char *fmt, ...) {
    ARGUMENTS(a, fmt);
    return run_line(a, arguments);
}

static said expect(arena *a, int code, const char *arguments) {
    const said s = run_line(a, arguments);
    const size_t n = strlen(s.err), cut = n > 1500 ? n - 1500 : 0;
    if (s.code != code)
        test_fail(__FILE__, __LINE__, "hone %s ended with %d, expected %d: %s", arguments, s.code, code,
                  s.err + cut);
    return s;
}

said command_expect(arena *a, int code, const char *fmt, ...) {
    ARGUMENTS(a, fmt);
    return expect(a, code, arguments);
}

const json *command_json(arena *a, const char *fmt, ...) {
    ARGUMENTS(a, fmt);
    const said s = expect(a, 0, arguments);
    const json *tree;
    const char *end = memchr(s.out, '\n', s.n_out);
    if (!end || (size_t)(end - s.out) + 1 != s.n_out)
        test_fail(__FILE__, __LINE__, "hone %s: stdout is not one line: %.600s", arguments, s.out);
    CHECK_OK(json_parse(&tree, a, "stdout", s.out, s.n_out - 1, HONE_EDATA, err));
    if (tree->kind != JSON_OBJECT)
        test_fail(__FILE__, __LINE__, "hone %s: stdout is %s, expected an object", arguments,
                  json_kind_name(tree->kind));
    return tree;
}

const char *command_refused(arena *a, int code, const char *part, const char *fmt, ...) {
    ARGUMENTS(a, fmt);
    const said s = expect(a, code, arguments);
    if (s.n_out) test_fail(__FILE__, __LINE__, "hone %s was refused, yet printed: %.200s", arguments, s.out);
    const char *line = strncmp(s.err, "error: ", 7) ? strstr(s.err, "\nerror: ") : s.err;
    if (!line) test_fail(__FILE__, __LINE__, "hone %s: no line \"error: ...\" in: %.600s", arguments, s.err);
    line += *line == '\n';
    const char *end = strchr(line, '\n');
    CHECK(end);
    if (strstr(end, "\nerror: "))
        test_fail(__FILE__, __LINE__, "hone %s: two errors: %.600s", arguments, s.err);
    const char *rest = end + 1; /* nothing but a hint follows */
    if (*rest && strncmp(rest, "hint: ", 6))
        test_fail(__FILE__, __LINE__, "hone %s: after the error: %.600s", arguments, rest);
    line = arena_copy(a, line, (size_t)(end - line));
    if (!strstr(line, part))
        test_fail(__FILE__, __LINE__, "hone %s: \"%s\" is not in: %.900s", arguments, part, line);
    return line;
}

said command_shell(arena *a, const char *fmt, ...) {
    ARGUMENTS(a, fmt);
    return run_shell(a, arguments);
}

pid_t command_start(arena *a, const char *fmt, ...) {
    ARGUMENTS(a, fmt);
    return command_start_shell(a, "\"%s\" %s", command_program(), arguments);
}

pid_t command_start_shell(arena *a, const char *fmt, ...) {
    ARGUMENTS(a, fmt);
    const char *line = arena_print(a, "exec %s >\"%s\" 2>\"%s\" </dev/null", arguments,
                                   here(a, "started-out"), here(a, "started-err"));
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid) return pid;
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

int command_wait(pid_t pid) {
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return exit_of(status);
}

/* ---- files --------------------------------------------------------------------------------------------------------*/

const char *put_file(arena *a, const char *name, const char *content) {
    const char *path = here(a, name);
    CHECK_OK(file_write(path, content, strlen(content), err));
    return path;
}

const char *tiny_job(arena *a, const char *name, const char *out, const char *more) {
    const struct {
        const char *name, *value; /* NULL: a fixture of that name */
        const char *file;
    } members[] = {{"config_name", NULL, "e2e/model"},
                   {"tokenizer_name", NULL, "e2e/model"},
                   {"train_file", NULL, "e2e/train.csv"},
                   {"validation_file", NULL, "e2e/validation.csv"},
                   {"max_seq_length", "48", NULL},
                   {"num_train_epochs", "6", NULL},
                   {"per_device_train_batch_size", "8", NULL},
                   {"learning_rate", "5e-3", NULL},
                   {"warmup_ratio", "0.1", NULL},
                   {"save_strategy", "\"no\"", NULL},
                   {"logging_steps", "5", NULL},
                   {"seed", "7", NULL}};
    text t = {0};
    text_printf(&t, "{\n  \"output_dir\": \"%s\"", here(a, out));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (strstr(more, arena_print(a, "\"%s\"", members[i].name))) continue;
        text_printf(&t, ",\n  \"%s\": ", members[i].name);
        if (members[i].file) text_printf(&t, "\"%s\"", test_fixture(members[i].file));
        else text_str(&t, members[i].value);
    }
    text_printf(&t, "%s\n}\n", more);
    const char *path = put_file(a, name, t.p);
    text_free(&t);
    return path;
}

const char *tiny_model(arena *a) {
    const char *out = here(a, "model");
    command_expect(a, 0, "train \"%s\" --quiet", tiny_job(a, "model.json", "model", ",\"max_steps\": 2"));
    return out;
}

void copy_folder(arena *a, const char *from, const char *to) {
    const char *line = arena_print(a, "cp -a \"%s\" \"%s\"", from, to);
    CHECK(!system(line));
}

void patch_file(const char *path, long at, const void *p, size_t n) {
    FILE *f = fopen(path, "r+b");
    CHECK(f);
    CHECK(!fseek(f, at, SEEK_SET));
    CHECK(fwrite(p, 1, n, f) == n);
    CHECK(!fclose(f));
}

long tensor_offset(arena *a, const char *path, const char *name) {
    file_view f;
    uint64_t n;
    const json *header;
    CHECK_OK(file_map(&f, path, HONE_EDAMAGED, err));
    memcpy(&n, f.p, sizeof n);
    CHECK_OK(json_parse(&header, a, path, f.p + 8, n, HONE_EDAMAGED, err));
    const int64_t begin = member(member(header, name), "data_offsets")->child->integer;
    file_unmap(&f);
    return (long)(8 + (int64_t)n + begin);
}

int tiny_id(arena *a, const char *word) {
    const char *vocab = file_text(a, test_fixture("e2e/model/vocab.txt"));
    const char *at = strstr(vocab, arena_print(a, "\n%s\n", word));
    CHECK(at);
    int line = 1;
    for (const char *p = vocab; p < at; p++) line += *p == '\n';
    return line;
}
