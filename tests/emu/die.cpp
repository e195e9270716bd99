/* die.cpp - run what must fail in a process of its own. */
#include "emu.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

const char *must_die(const std::function<void()> &fn, const char *word, const char *also) {
    static char said[1 << 16];
    int ends[2], status = 0;
    CHECK(pipe(ends) == 0);
    fflush(nullptr);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        fn();
        exit(0); /* not _exit: the thread sanitizer's exit code comes at exit */
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(ends[0], said + n, sizeof said - 1 - n)) > 0;) n += (size_t)got;
    said[n] = 0;
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    if (status == 0) test_fail(__FILE__, __LINE__, "nothing was found; it said \"%.300s\"", said);
    if (!strstr(said, word)) test_fail(__FILE__, __LINE__, "it did not say \"%s\" but \"%.900s\"", word, said);
    if (also && !strstr(said, also))
        test_fail(__FILE__, __LINE__, "it did not say \"%s\" but \"%.900s\"", also, said);
    return said;
}
