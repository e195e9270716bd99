/* log.c - the one door to stderr. A line is one write, so lines of several threads and ranks do not mix. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"

static atomic_int level_now = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int bar_shown; /* under lock: the cursor stands at the end of a progress line */

void log_set(log_level level) { atomic_store(&level_now, (int)level); }

int log_is_terminal(void) {
    const char *term = env_get("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

static void write_all(const char *p, size_t n) {
    while (n > 0) {
        const ssize_t written = write(STDERR_FILENO, p, n);
        if (written < 0 && errno != EINTR) return; /* nobody is left to be told */
        if (written > 0) p += written, n -= (size_t)written;
    }
}

void stderr_add(const char *p, size_t n) {
    pthread_mutex_lock(&lock);
    write_all(p, n);
    pthread_mutex_unlock(&lock);
}

/* before, message, and a newline, or, for a bar, what erases the rest of the line. */
static void write_line(const char *before, int is_bar, const char *fmt, va_list args) {
    char line[4096];
    const size_t room = sizeof line - 8; /* for what follows the message */
    pthread_mutex_lock(&lock);
    int n = snprintf(line, room, "%s%s%s", is_bar || bar_shown ? "\r" : "",
                     !is_bar && bar_shown ? "\x1b[K" : "", before);
    const int more = vsnprintf(line + n, room - (size_t)n, fmt, args);
    if (more > 0) n += more;
    if ((size_t)n > room - 1) n = (int)room - 1;
    for (int i = 3; i < n; i++) /* one line: the escape sequence at the front is ours */
        if (line[i] == '\n' || line[i] == '\r') line[i] = ' ';
    n += snprintf(line + n, sizeof line - (size_t)n, "%s", is_bar ? "\x1b[K" : "\n");
    bar_shown = is_bar;
    write_all(line, (size_t)n);
    pthread_mutex_unlock(&lock);
}

static int is_shown(log_level level) {
    return atomic_load_explicit(&level_now, memory_order_relaxed) >= (int)level;
}

void log_note(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    if (is_shown(LOG_INFO)) write_line("", 0, fmt, args);
    va_end(args);
}

void log_warn(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    if (is_shown(LOG_WARN)) write_line("warning: ", 0, fmt, args);
    va_end(args);
}

void log_debug(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    if (is_shown(LOG_DEBUG)) write_line("debug: ", 0, fmt, args);
    va_end(args);
}

static void write_always(const char *before, const char *fmt, ...) HONE_PRINTF(2, 3);
static void write_always(const char *before, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    write_line(before, 0, fmt, args);
    va_end(args);
}

void log_error(const hone_err *err) {
    write_always("error: ", "%s", err->text[0] ? err->text : hone_status_text(err->status));
    if (err->hint[0]) write_always("hint: ", "%s", err->hint);
}

void log_bar(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    if (is_shown(LOG_INFO) && log_is_terminal()) write_line("", 1, fmt, args);
    va_end(args);
}
