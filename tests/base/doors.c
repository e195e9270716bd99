/* doors.c - clock, environment, signals, log, memory figures, devices. */
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/host.h"
#include "base/mem.h"
#include "test.h"

/* What doing() prints to stderr, and how its process ends. */
static int printed_by(void (*doing)(void), char *printed, size_t room) {
    int ends[2], status;
    CHECK(pipe(ends) == 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        doing();
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < room - 1 && (got = read(ends[0], printed + n, room - 1 - n)) > 0;) n += (size_t)got;
    printed[n] = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    return status;
}

TEST(clock_moves_on) {
    const uint64_t before = clock_ns();
    usleep(20000);
    const uint64_t after = clock_ns();
    CHECK(after - before >= 20000000 && after - before < 20000000000u);
    CHECK(clock_process_seconds() >= 0 && clock_process_seconds() < 600);
    CHECK(clock_wall_seconds() > 1.7e9);
    char now[32];
    clock_text(now);
    CHECK(strlen(now) == 20 && now[4] == '-' && now[10] == 'T' && now[19] == 'Z');
}

TEST(clock_of_the_process_starts_with_it) {
    const double before = clock_process_seconds();
    usleep(300000);
    CHECK_NEAR(clock_process_seconds() - before, 0.3, 0.25);
}

TEST(env_finds_the_cache_folder) {
    setenv("HONE_CACHE", "/c", 1);
    setenv("XDG_CACHE_HOME", "/x", 1);
    setenv("HOME", "/h", 1);
    setenv("TMPDIR", "/t", 1);
    CHECK_STR(env_cache_folder(), "/c");
    unsetenv("HONE_CACHE");
    CHECK_STR(env_cache_folder(), "/x/hone");
    setenv("XDG_CACHE_HOME", "relative", 1);
    CHECK_STR(env_cache_folder(), "/h/.cache/hone");
    setenv("XDG_CACHE_HOME", "", 1);
    setenv("HOME", "", 1);
    CHECK(!strncmp(env_cache_folder(), "/t/hone-cache-", 14));
    CHECK(env_get("HONE_CACHE") == NULL);
    setenv("HONE_THREADS", "3", 1);
    CHECK_STR(env_get("HONE_THREADS"), "3");
}

static void read_unknown_variable(void) { env_get("HONE_UNHEARD_OF"); }

TEST(env_reads_only_what_its_list_names) {
    char printed[400];
    const int status = printed_by(read_unknown_variable, printed, sizeof printed);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void interrupt_once(void) {
    sig_install();
    raise(SIGPIPE);
    if (sig_wished() != SIG_NOTHING) _exit(1);
    raise(SIGINT);
    _exit(sig_wished() == SIG_INTERRUPT ? 11 : 1);
}
static void save_twice(void) {
    sig_install();
    raise(SIGTERM);
    if (sig_wished() != SIG_SAVE) _exit(1);
    raise(SIGUSR1);
    _exit(1);
}
static void interrupt_twice(void) {
    sig_install();
    raise(SIGINT);
    raise(SIGINT);
    _exit(1);
}

TEST(signals_are_wishes_and_the_second_leaves) {
    char printed[100];
    CHECK_INT(WEXITSTATUS(printed_by(interrupt_once, printed, sizeof printed)), 11);
    CHECK_INT(WEXITSTATUS(printed_by(save_twice, printed, sizeof printed)), 75);
    CHECK_INT(WEXITSTATUS(printed_by(interrupt_twice, printed, sizeof printed)), 130);
}

static void log_all(void) {
    hone_err err;
    hone_fail(&err, HONE_EDATA, "a.csv: line 3: two\nlines");
    hone_hint(&err, "look at it");
    log_debug("not shown");
    log_note("note %d", 1);
    log_warn("two\nlines");
    log_bar("never on a pipe");
    log_error(&err);
    log_set(LOG_QUIET);
    log_note("not shown");
    log_warn("not shown");
    log_error(&err);
    log_set(LOG_DEBUG);
    log_debug("detail");
}

TEST(log_writes_whole_lines) {
    char printed[1000];
    CHECK_INT(printed_by(log_all, printed, sizeof printed), 0);
    CHECK_STR(printed, "note 1\n"
                       "warning: two lines\n"
                       "error: a.csv: line 3: two\\x0alines\nhint: look at it\n"
                       "error: a.csv: line 3: two\\x0alines\nhint: look at it\n"
                       "debug: detail\n");
}

static void log_a_long_line(void) {
    static char large[10000];
    memset(large, 'x', sizeof large - 1);
    log_note("%s", large);
    log_note("short");
}

TEST(log_cuts_a_line_that_is_too_long) {
    static char printed[20000];
    printed_by(log_a_long_line, printed, sizeof printed);
    const char *end = strchr(printed, '\n');
    CHECK(end && end - printed > 3000 && end - printed < 4200);
    CHECK_STR(end + 1, "short\n");
}

TEST(rss_sees_memory_that_is_touched) {
    const int64_t before = rss_now_bytes();
    CHECK(before > 100000 && rss_peak_bytes() >= before);
    char *p = mem_new((size_t)64 << 20, "test");
    memset(p, 1, (size_t)64 << 20);
    CHECK(rss_now_bytes() > before + (32 << 20));
    mem_free(p);
    CHECK(rss_peak_bytes() > before + (32 << 20));
}

TEST(device_that_is_not_there_says_where_it_was_looked_for) {
    hone_err err = {0};
    setenv("HONE_PLUGINS", "/nowhere/first::/nowhere/second", 1);
    CHECK(device_load("nosuch", &err) == NULL);
    CHECK_INT(err.status, HONE_EUSAGE);
    CHECK(strstr(err.text,
                 "device nosuch: there is no libhone_nosuch.so in /nowhere/first, /nowhere/second, ") ==
          err.text);
    CHECK(strstr(err.text, "/../lib/hone") && strstr(err.hint, "HONE_PLUGINS"));
    CHECK(device_load("../evil", &err) == NULL);
    CHECK_STR(err.text, "device \"../evil\" is no name of a device; expected ref, cpu, cuda or emu");
    CHECK(device_load("", &err) == NULL && device_load("a/b", NULL) == NULL);
}

TEST(device_file_that_is_no_device_is_refused) {
    hone_err err = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/libhone_fake.so", test_folder());
    FILE *f = fopen(path, "w");
    CHECK(f && fputs("no shared object", f) >= 0 && fclose(f) == 0);
    setenv("HONE_PLUGINS", test_folder(), 1);
    CHECK(device_load("fake", &err) == NULL);
    CHECK(strstr(err.text, "libhone_fake.so: cannot be opened: ") &&
          strstr(err.text, "; expected the device fake"));
}
