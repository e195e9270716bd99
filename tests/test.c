/* test.c - runs tests, each in a process of its own, and says how each ended. It leans on nothing of hone. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

#define TIMEOUT_S 300

static test_case *first, **last = &first;
static int report = -1;      /* in a test: where 'F' or 'S' and the reason go */
static char own_folder[512]; /* of the test being run; made when asked for */

void test_add(test_case *t) {
    *last = t;
    last = &t->next;
}

/* ---- in the test
 * ----------------------------------------------------------------------------------------------*/

static void end_test(char how, const char *place, const char *fmt, va_list args) __attribute__((noreturn));
static void end_test(char how, const char *place, const char *fmt, va_list args) {
    char line[4000];
    size_t n = (size_t)snprintf(line, sizeof line, "%c%s", how, place);
    vsnprintf(line + n, sizeof line - n, fmt, args);
    n = strlen(line);
    for (size_t i = 0; i < n; i++)
        if (line[i] == '\n') line[i] = ' ';
    if (write(report, line, n) != (ssize_t)n) _exit(3);
    _exit(how == 'S' ? 0 : 1);
}

void test_fail(const char *file, int line, const char *fmt, ...) {
    const size_t source = strlen(HONE_SOURCE_FOLDER);
    char place[600];
    if (!strncmp(file, HONE_SOURCE_FOLDER "/", source + 1)) file += source + 1;
    snprintf(place, sizeof place, "%s:%d: ", file, line);
    va_list args;
    va_start(args, fmt);
    end_test('F', place, fmt, args);
}

void test_skip(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    end_test('S', "", fmt, args);
}

/* One of some buffers in turn, so that several paths can be held at once. */
static char *next_path(const char *folder, const char *name) {
    static char paths[32][4096];
    static int turn;
    char *path = paths[turn++ % 32];
    snprintf(path, sizeof paths[0], "%s%s%s", folder, *name ? "/" : "", name);
    return path;
}

static int is_there(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

const char *test_data(void) {
    const char *own = getenv("HONE_DATA");
    if (own && *own) return is_there(own) ? own : NULL;
    const char *path = next_path(HONE_SOURCE_FOLDER "/../shared/data", "");
    return is_there(path) ? path : NULL;
}

const char *test_data_or_skip(const char *file) {
    const char *folder = test_data();
    if (!folder) test_skip("no folder of real data (HONE_DATA)");
    const char *path = next_path(folder, file);
    if (!is_there(path)) test_skip("the real data lacks %s", file);
    return path;
}

const char *test_fixture(const char *file) { return next_path(HONE_SOURCE_FOLDER "/tests/data", file); }

const char *test_source(const char *path) { return next_path(HONE_SOURCE_FOLDER, path); }

const char *test_model_or_skip(void) {
    static const char *const files[] = {
        "model.safetensors", "config.json",           "vocab.txt",
        "tokenizer.json",    "tokenizer_config.json", "special_tokens_map.json"};
    const char *own = getenv("HONE_MINILM"), *cache = getenv("HONE_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME"), *folder;
    if (own && *own) folder = own;
    else if (cache && *cache) folder = next_path(cache, "minilm-l6-v2");
    else if (xdg && *xdg) folder = next_path(xdg, "hone/minilm-l6-v2");
    else folder = next_path(home && *home ? home : ".", ".cache/hone/minilm-l6-v2");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!is_there(next_path(folder, files[i])))
            test_skip("no MiniLM: %s is not in %s (scripts/fetch_minilm)", files[i], folder);
    return folder;
}

const char *test_folder(void) {
    if (mkdir(own_folder, 0777) && errno != EEXIST)
        test_fail(__FILE__, __LINE__, "%s: %s", own_folder, strerror(errno));
    return own_folder;
}

/* ---- around it
 * ------------------------------------------------------------------------------------------------*/

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk) {
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

/* A test may have taken the right to write from a folder. */
static int allow_one(const char *path, const struct stat *st, int kind, struct FTW *walk) {
    (void)st, (void)walk;
    if (kind == FTW_D || kind == FTW_DNR) chmod(path, 0777);
    return 0;
}

static void remove_folder(void) {
    if (!is_there(own_folder)) return;
    nftw(own_folder, allow_one, 16, FTW_PHYS);
    nftw(own_folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The child: never returns. What it prints goes to stderr, so that stdout holds results only. */
static void run_in_child(const test_case *t, int to) __attribute__((noreturn));
static void run_in_child(const test_case *t, int to) {
    setpgid(0, 0);
    report = to;
    dup2(STDERR_FILENO, STDOUT_FILENO);
    t->run();
    exit(0); /* not _exit: the leak checker speaks at exit */
}

static int timeout_s(void) { return getenv("HONE_LONG_TESTS") ? 100 * TIMEOUT_S : TIMEOUT_S; }

/* Read what the child reports until it closes the pipe; 0 if it took too long. */
static int read_report(int from, char *line, size_t room) {
    const time_t end = time(NULL) + timeout_s();
    size_t n = 0;
    for (;;) {
        struct pollfd wait = {.fd = from, .events = POLLIN};
        const time_t now = time(NULL);
        const int ready = now < end ? poll(&wait, 1, (int)(end - now) * 1000) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return line[n] = 0, 0;
        const ssize_t got = read(from, line + n, room - 1 - n);
        if (got > 0) n += (size_t)got;
        else return line[n] = 0, 1;
    }
}

typedef enum { PASSED, FAILED, SKIPPED } outcome;

static outcome run_test(const test_case *t) {
    static int number;
    const char *temporary = getenv("TMPDIR");
    char line[4096];
    int ends[2], status = 0;
    snprintf(own_folder, sizeof own_folder, "%s/hone-test-%ld-%d",
             temporary && *temporary ? temporary : P_tmpdir, (long)getpid(), number++);
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC)) return perror("pipe"), FAILED;
    const pid_t child = fork();
    if (child < 0) return perror("fork"), FAILED;
    if (child == 0) {
        close(ends[0]);
        run_in_child(t, ends[1]);
    }
    setpgid(child, child); /* whichever of the two comes first */
    close(ends[1]);
    const int in_time = read_report(ends[0], line, sizeof line);
    close(ends[0]);
    if (!in_time) kill(-child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    kill(-child, SIGKILL); /* what the test started and left behind */
    remove_folder();

    if (!in_time) return printf("FAIL %s: took longer than %d s\n", t->name, timeout_s()), FAILED;
    if (line[0] == 'F') return printf("FAIL %s: %s\n", t->name, line + 1), FAILED;
    if (line[0] == 'S') return printf("skip %s: %s\n", t->name, line + 1), SKIPPED;
    if (WIFSIGNALED(status))
        return printf("FAIL %s: ended by signal %d (%s)\n", t->name, WTERMSIG(status),
                      strsignal(WTERMSIG(status))),
               FAILED;
    if (WEXITSTATUS(status))
        return printf("FAIL %s: ended with exit code %d\n", t->name, WEXITSTATUS(status)), FAILED;
    return printf("ok %s\n", t->name), PASSED;
}

static int is_wanted(const test_case *t, int n, char **parts) {
    for (int i = 0; i < n; i++)
        if (strstr(t->name, parts[i])) return 1;
    return n == 0;
}

int main(int argc, char **argv) {
    int counts[3] = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (const test_case *t = first; t; t = t->next) puts(t->name);
        return 0;
    }
    for (const test_case *t = first; t; t = t->next)
        if (is_wanted(t, argc - 1, argv + 1)) counts[run_test(t)]++;
    printf("%d passed, %d failed, %d skipped\n", counts[PASSED], counts[FAILED], counts[SKIPPED]);
    return counts[FAILED] > 0;
}
