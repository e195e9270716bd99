/* memo.c - what was measured is there again, in this process and the next, and damage is no entry. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "base/memo.h"
#include "test.h"

static const char *begin(void) {
    setenv("HONE_CACHE", test_folder(), 1);
    return test_folder();
}

/* Run in a process of its own, whose memory of entries in use ends with it; its exit code. */
static int in_another_process(int (*fn)(void)) {
    const pid_t child = fork();
    if (!child) _exit(fn());
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int put_two(void) {
    memo_put("gpu: a product I=3 O=4", "\x00\xff\n12345", 8);
    memo_put("another", "old", 3);
    memo_put("another", "new", 3);
    return 0;
}
static int get_two(void) {
    char value[8] = "", three[3];
    return memo_get("gpu: a product I=3 O=4", value, 8) && !memcmp(value, "\x00\xff\n12345", 8) &&
           memo_get("another", three, 3) && !memcmp(three, "new", 3);
}
static int get_none(void) {
    char value[8];
    return !memo_get("gpu: a product I=3 O=4", value, 7) && !memo_get("gpu: a product I=3 O=", value, 8) &&
           !memo_get("gpu: a product I=3 O=4 ", value, 8);
}

static int get_other_only(void) {
    char value[8], three[3];
    return !memo_get("gpu: a product I=3 O=4", value, 8) && memo_get("another", three, 3);
}

TEST(memo_keeps_entries_for_other_processes) {
    begin();
    CHECK_INT(in_another_process(get_two), 0);
    CHECK_INT(in_another_process(put_two), 0);
    CHECK_INT(in_another_process(get_two), 1);
    CHECK_INT(in_another_process(get_none), 1);
    CHECK(get_two());
}

/* Every byte of the file changed, one at a time: no wrong value, and the other entry is found. */
TEST(memo_ignores_damaged_lines) {
    arena *a = arena_new("test");
    const char *path = path_join(a, begin(), "measured.txt");
    str all;
    CHECK_INT(in_another_process(put_two), 0);
    CHECK_OK(file_read(&all, a, path, 1 << 20, HONE_EDAMAGED, err));
    const char *end = memchr(all.p, '\n', all.n);
    char *changed = arena_copy(a, all.p, all.n);
    for (size_t i = 0; i < (size_t)(end - all.p); i++) {
        memcpy(changed, all.p, all.n);
        changed[i] ^= 1;
        CHECK_OK(file_write(path, changed, all.n, err));
        CHECK_INT(in_another_process(get_other_only), changed[i] == '\n' ? 0 : 1);
    }
    CHECK_OK(file_write(path, all.p, (size_t)(end - all.p), err)); /* cut within a line */
    CHECK_INT(in_another_process(get_two), 0);
    arena_free(a);
}

TEST(memo_entries_in_use_travel_and_stay) {
    begin();
    text lines = {0};
    char three[3];
    memo_put("another", "one", 3);
    memo_print(&lines);
    CHECK_INT(in_another_process(put_two), 0); /* the file says "new" now */
    CHECK(memo_get("another", three, 3) && !memcmp(three, "one", 3));
    text_str(&lines, "00000000 6f6e65 forged\n");
    CHECK_INT(memo_read(lines.p, lines.n), 1);
    CHECK(!memo_get("forged", three, 3));
    text_free(&lines);
}

TEST(memo_tells_what_came_into_use_since) {
    begin();
    text lines = {0};
    char key[64] = "", three[3];
    memo_put("first", "one", 3);
    memo_print(&lines);
    CHECK_INT(memo_since(lines.n, key, sizeof key), 0);
    CHECK(memo_get("first", three, 3));
    CHECK_INT(memo_since(lines.n, key, sizeof key), 0); /* asked for again */
    memo_put("second", "two", 3);
    memo_put("third", "333", 3);
    CHECK_INT(memo_since(lines.n, key, sizeof key), 2);
    CHECK_STR(key, "second");
    text_free(&lines);
}

TEST(memo_without_a_folder_remembers_for_this_process) {
    char three[3];
    setenv("HONE_CACHE", "/proc/no/such/folder", 1);
    memo_put("another", "one", 3);
    CHECK(memo_get("another", three, 3) && !memcmp(three, "one", 3));
}
