/* file.c - reading only regular files; writing whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "test.h"

static const char *in_folder(const char *name) {
    static char paths[16][600];
    static int turn;
    char *path = paths[turn++ % 16];
    snprintf(path, 600, "%s/%s", test_folder(), name);
    return path;
}

static void put(const char *path, const char *contents) {
    CHECK_OK(file_write(path, contents, strlen(contents), err));
}

static void check_contents(const char *path, const char *contents) {
    arena *a = arena_new("test");
    str found;
    CHECK_OK(file_read(&found, a, path, 1 << 20, HONE_EDATA, err));
    CHECK_STR(found.p, contents);
    arena_free(a);
}

static int count_names(const char *path) {
    arena *a = arena_new("test");
    const char **names;
    int n;
    CHECK_OK(folder_list(&names, &n, a, path, err));
    arena_free(a);
    return n;
}

TEST(file_is_read_and_mapped_whole) {
    arena *a = arena_new("test");
    file_view v;
    str s;
    put(in_folder("a"), "hello\nworld");
    CHECK_OK(file_map(&v, in_folder("a"), HONE_EDATA, err));
    CHECK(v.n == 11 && !memcmp(v.p, "hello\nworld", 11));
    file_unmap(&v);
    CHECK(v.p == NULL);
    file_unmap(&v);
    CHECK_OK(file_read(&s, a, in_folder("a"), 11, HONE_EDATA, err));
    CHECK(s.n == 11 && s.p[11] == 0);
    put(in_folder("empty"), "");
    CHECK_OK(file_map(&v, in_folder("empty"), HONE_EDATA, err));
    CHECK(v.p == NULL && v.n == 0);
    file_unmap(&v);
    CHECK_OK(file_read(&s, a, in_folder("empty"), 0, HONE_EDATA, err));
    CHECK(s.n == 0 && s.p[0] == 0);
    CHECK_OK(file_read(&s, a, "/proc/self/status", 1 << 20, HONE_EDATA, err)); /* says that it has 0 bytes */
    CHECK(s.n > 100);
    arena_free(a);
}

static void check_unreadable(const char *path, size_t most, hone_status status, const char *message) {
    arena *a = arena_new("test");
    hone_err err = {0};
    file_view v;
    str s;
    CHECK_INT(file_read(&s, a, path, most, HONE_EDATA, &err), status);
    CHECK_STR(err.text, arena_print(a, "%s: %s", path, message));
    if (most > 100) {
        CHECK_INT(file_map(&v, path, HONE_EDAMAGED, &err), HONE_EDAMAGED);
        CHECK_STR(err.text, arena_print(a, "%s: %s", path, message));
        CHECK(v.p == NULL && v.owner == NULL);
    }
    arena_free(a);
}

TEST(file_that_cannot_be_read_is_named) {
    put(in_folder("a"), "hello");
    check_unreadable(in_folder("missing"), 1000, HONE_EDATA,
                     "there is no such file; expected a regular file");
    check_unreadable(in_folder("a/b"), 1000, HONE_EDATA, "there is no such file; expected a regular file");
    check_unreadable(test_folder(), 1000, HONE_EDATA, "is a folder; expected a regular file");
    check_unreadable(in_folder("a"), 4, HONE_EDATA, "is larger than 4 bytes; expected at most that");
    CHECK(symlink("loop", in_folder("loop")) == 0);
    check_unreadable(in_folder("loop"), 1000, HONE_EDATA,
                     "opening: Too many levels of symbolic links; expected a path that can be followed");
}

TEST(file_reading_never_waits_for_a_pipe) {
    CHECK(mkfifo(in_folder("pipe"), 0600) == 0);
    check_unreadable(in_folder("pipe"), 1000, HONE_EDATA, "is no regular file; expected one");
    check_unreadable("/dev/zero", 1000, HONE_EDATA, "is no regular file; expected one");
}

TEST(file_read_takes_standard_input) {
    arena *a = arena_new("test");
    hone_err err;
    int ends[2];
    str s;
    CHECK(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) == 0);
    CHECK(write(ends[1], "from a pipe", 11) == 11);
    close(ends[1]);
    CHECK_INT(file_read(&s, a, "-", 11, HONE_EDATA, &err), HONE_OK);
    CHECK_STR(s.p, "from a pipe");
    put(in_folder("large"), "123456789012");
    const int fd = open(in_folder("large"), O_RDONLY);
    CHECK(dup2(fd, STDIN_FILENO) == 0);
    CHECK_INT(file_read(&s, a, "-", 11, HONE_EDATA, &err), HONE_EDATA);
    CHECK_STR(err.text, "standard input: is larger than 11 bytes; expected at most that");
    arena_free(a);
}

TEST(file_questions_are_answered) {
    arena *a = arena_new("test");
    put(in_folder("a"), "12345");
    CHECK(symlink("nowhere", in_folder("dangling")) == 0);
    CHECK(file_exists(in_folder("a")) && file_exists(in_folder("dangling")) && !file_exists(in_folder("b")));
    CHECK(file_is_regular(in_folder("a")) && !file_is_regular(test_folder()) &&
          !file_is_regular(in_folder("dangling")));
    CHECK(file_is_folder(test_folder()) && !file_is_folder(in_folder("a")));
    CHECK(symlink("loop", in_folder("loop")) == 0); /* what cannot be looked at may be there */
    CHECK(file_is_regular(in_folder("loop")) && file_is_folder(in_folder("loop")) &&
          !file_exists(in_folder("a/b")) && file_exists(in_folder("loop/a")));
    CHECK_INT(file_bytes(in_folder("a")), 5);
    CHECK_INT(file_bytes(in_folder("b")), -1);
    CHECK_INT(file_bytes(test_folder()), -1);
    CHECK(file_mtime_ns(in_folder("a")) > 1000000000000000000 && file_mtime_ns(in_folder("b")) == -1);
    CHECK(disk_free_bytes(test_folder()) > 0 && disk_free_bytes(in_folder("not/yet/there")) > 0);
    CHECK_STR(path_join(a, "x", "y"), "x/y");
    CHECK_STR(path_join(a, "x/", "y"), "x/y");
    CHECK_STR(path_join(a, "", "y"), "y");
    CHECK_STR(path_name("a/b/c.txt"), "c.txt");
    CHECK_STR(path_name("c.txt"), "c.txt");
    arena_free(a);
}

TEST(file_writer_shows_the_old_file_until_the_new_one_is_whole) {
    file_writer *w;
    char hex[65], expected[65];
    put(in_folder("a"), "old");
    CHECK_OK(file_write_begin(&w, in_folder("a"), err));
    CHECK_OK(file_write_add(w, "ne", 2, err));
    check_contents(in_folder("a"), "old");
    CHECK_INT(count_names(test_folder()), 2);
    CHECK_OK(file_write_add(w, "w!", 2, err));
    CHECK_OK(file_write_end(w, hex, err));
    check_contents(in_folder("a"), "new!");
    CHECK_INT(count_names(test_folder()), 1);
    sha256 s;
    uint8_t digest[32];
    sha256_begin(&s);
    sha256_add(&s, "new!", 4);
    sha256_end(&s, digest);
    sha256_hex(digest, expected);
    CHECK_STR(hex, expected);
}

TEST(file_writer_abort_leaves_no_trace) {
    const size_t before = mem_live_bytes();
    file_writer *w;
    put(in_folder("a"), "old");
    CHECK_OK(file_write_begin(&w, in_folder("a"), err));
    CHECK_OK(file_write_add(w, "new", 3, err));
    file_write_abort(w);
    file_write_abort(NULL);
    check_contents(in_folder("a"), "old");
    CHECK_INT(count_names(test_folder()), 1);
    CHECK_INT(mem_live_bytes(), before);
}

TEST(file_writer_respects_the_umask_and_uses_names_of_its_own) {
    struct stat st;
    file_writer *one, *two;
    umask(027);
    CHECK_OK(file_write_begin(&one, in_folder("a"), err));
    CHECK_OK(file_write_begin(&two, in_folder("a"), err));
    CHECK_INT(count_names(test_folder()), 2);
    CHECK_OK(file_write_add(one, "one", 3, err));
    CHECK_OK(file_write_add(two, "two", 3, err));
    CHECK_OK(file_write_end(two, NULL, err));
    check_contents(in_folder("a"), "two");
    CHECK_OK(file_write_end(one, NULL, err));
    check_contents(in_folder("a"), "one");
    CHECK(stat(in_folder("a"), &st) == 0 && (st.st_mode & 0777) == 0640);
}

TEST(file_writer_says_when_it_cannot_write) {
    arena *a = arena_new("test");
    hone_err err;
    file_writer *w;
    const char *path = in_folder("missing/a");
    CHECK_INT(file_write_begin(&w, path, &err), HONE_ESTORAGE);
    CHECK_STR(err.text, arena_print(a, "%s: its folder is not there; expected one to write into", path));
    CHECK(w == NULL);
    CHECK_OK(folder_make(in_folder("taken"), err));
    put(in_folder("taken/x"), "x");
    CHECK_INT(file_write(in_folder("taken"), "y", 1, &err),
              HONE_ESTORAGE); /* the rename fails: it is a folder */
    CHECK(strstr(err.text, "taken: "));
    CHECK_INT(count_names(test_folder()), 1);
    arena_free(a);
}

TEST(file_writer_reports_a_full_disk_and_keeps_the_old_file) {
    /* A limit on file size makes write fail as a full disk does, in the middle of a block. */
    const struct rlimit limit = {10000, 10000};
    char block[4096];
    hone_err err;
    file_writer *w;
    void *memory;
    put(in_folder("a"), "old");
    memset(block, 'x', sizeof block);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK_OK(file_write_begin(&w, in_folder("a"), err));
    CHECK_OK(file_write_add(w, block, sizeof block, err));
    CHECK_OK(file_write_add(w, block, sizeof block, err));
    CHECK_INT(file_write_add(w, block, sizeof block, &err), HONE_ESTORAGE);
    CHECK(strstr(err.text, "/a: writing: File too large"));
    file_write_abort(w);
    check_contents(in_folder("a"), "old");
    CHECK_INT(file_build_begin(&memory, &w, in_folder("b"), 20000, &err), HONE_ESTORAGE);
    CHECK(memory == NULL && w == NULL);
    CHECK_INT(count_names(test_folder()), 1);
}

TEST(file_writer_killed_in_the_middle_leaves_the_old_file) {
    put(in_folder("a"), "old");
    const pid_t child = fork();
    if (child == 0) {
        file_writer *w;
        if (file_write_begin(&w, in_folder("a"), NULL) == HONE_OK &&
            file_write_add(w, "new", 3, NULL) == HONE_OK)
            raise(SIGKILL);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    check_contents(in_folder("a"), "old");
}

TEST(file_is_built_in_mapped_memory) {
    file_writer *w;
    void *memory;
    char hex[65], other[65];
    CHECK_OK(file_build_begin(&memory, &w, in_folder("a"), 100000, err));
    char *p = memory;
    for (int i = 0; i < 100000; i++) CHECK(p[i] == 0);
    for (int i = 0; i < 100000; i++) p[i] = (char)(i * 31);
    CHECK(!file_exists(in_folder("a")));
    CHECK_OK(file_write_end(w, hex, err));
    file_view v;
    CHECK_OK(file_map(&v, in_folder("a"), HONE_EDATA, err));
    CHECK_INT(v.n, 100000);
    for (int i = 0; i < 100000; i++) CHECK(v.p[i] == (char)(i * 31));
    CHECK_OK(file_write_begin(&w, in_folder("b"), err));
    CHECK_OK(file_write_add(w, v.p, v.n, err));
    CHECK_OK(file_write_end(w, other, err));
    CHECK_STR(hex, other);
    file_unmap(&v);
    CHECK_OK(file_build_begin(&memory, &w, in_folder("c"), 0, err));
    CHECK(memory == NULL);
    CHECK_OK(file_write_end(w, NULL, err));
    CHECK_INT(file_bytes(in_folder("c")), 0);
}

TEST(folder_is_made_listed_and_removed) {
    arena *a = arena_new("test");
    hone_err err;
    const char **names;
    int n;
    CHECK_OK(folder_make(in_folder("x/y//z"), err));
    CHECK_OK(folder_make(in_folder("x/y/z/"), err));
    put(in_folder("x/b"), "b");
    put(in_folder("x/B"), "B");
    put(in_folder("x/y/z/deep"), "deep");
    CHECK_OK(folder_list(&names, &n, a, in_folder("x"), err));
    CHECK_INT(n, 3);
    CHECK_STR(names[0], "B");
    CHECK_STR(names[1], "b");
    CHECK_STR(names[2], "y");
    CHECK_INT(folder_make(in_folder("x/b/c"), &err), HONE_ESTORAGE);
    CHECK(strstr(err.text, "x/b is a file; expected a folder, or nothing"));
    CHECK_INT(folder_list(&names, &n, a, in_folder("none"), &err), HONE_ESTORAGE);
    CHECK(n == 0 && names == NULL);
    put(in_folder("kept"), "kept");
    CHECK(symlink("../../kept", in_folder("x/y/link")) == 0 && symlink("..", in_folder("x/up")) == 0);
    CHECK_OK(folder_remove(in_folder("x"), err));
    CHECK(!file_exists(in_folder("x")));
    check_contents(in_folder("kept"), "kept"); /* links are not followed */
    CHECK_OK(folder_remove(in_folder("x"), err));
    CHECK_INT(folder_remove(in_folder("kept"), &err), HONE_ESTORAGE);
    check_contents(in_folder("kept"), "kept");
    arena_free(a);
}

TEST(folder_is_published_once) {
    hone_err err;
    CHECK_OK(folder_make(in_folder("new"), err));
    put(in_folder("new/a"), "first");
    CHECK_OK(folder_publish(in_folder("new"), in_folder("final"), err));
    CHECK(!file_exists(in_folder("new")));
    check_contents(in_folder("final/a"), "first");
    CHECK_OK(folder_make(in_folder("new"), err));
    CHECK_INT(folder_publish(in_folder("new"), in_folder("final"), &err), HONE_ESTORAGE);
    CHECK(strstr(err.text, "final: is already there"));
    check_contents(in_folder("final/a"), "first");
    CHECK_OK(folder_make(in_folder("empty"), err));
    CHECK_INT(folder_publish(in_folder("new"), in_folder("empty"), &err),
              HONE_ESTORAGE); /* rename alone would replace it */
    CHECK(file_exists(in_folder("new")));
}

TEST(file_log_appends_or_starts_anew) {
    file_log *l;
    hone_err err;
    CHECK_OK(file_log_open(&l, in_folder("log"), 1, err));
    CHECK_OK(file_log_add(l, "one\n", 4, err));
    check_contents(in_folder("log"), "one\n"); /* at once: a crash loses nothing */
    file_log_close(l);
    CHECK_OK(file_log_open(&l, in_folder("log"), 1, err));
    CHECK_OK(file_log_add(l, "two\n", 4, err));
    file_log_close(l);
    check_contents(in_folder("log"), "one\ntwo\n");
    CHECK_OK(file_log_open(&l, in_folder("log"), 0, err));
    file_log_close(l);
    file_log_close(NULL);
    check_contents(in_folder("log"), "");
    CHECK_INT(file_log_open(&l, in_folder("no/log"), 1, &err), HONE_ESTORAGE);
}

TEST(file_lock_is_held_by_one) {
    file_lock *one, *two;
    CHECK_OK(file_lock_try(&one, in_folder("lock"), err));
    CHECK(one != NULL);
    CHECK_OK(file_lock_try(&two, in_folder("lock"), err));
    CHECK(two == NULL);
    int status;
    const pid_t child = fork();
    if (child == 0) {
        file_lock *three = NULL;
        _exit(file_lock_try(&three, in_folder("lock"), NULL) == HONE_OK && three == NULL ? 0 : 1);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    file_lock_close(one);
    CHECK_OK(file_lock_wait(&two, in_folder("lock"), err));
    CHECK(two != NULL);
    file_lock_close(two);
    file_lock_close(NULL);
}

TEST(stdout_that_is_full_is_an_error) {
    hone_err err;
    CHECK(freopen("/dev/full", "w", stdout) != NULL);
    stdout_add("result\n", 7);
    CHECK_INT(stdout_flush(&err), HONE_ESTORAGE);
    CHECK_STR(err.text, "standard output: writing: No space left on device; expected room");
    CHECK(freopen(in_folder("out"), "w", stdout) != NULL);
    stdout_add("result\n", 7);
    CHECK_INT(stdout_flush(&err), HONE_OK);
    check_contents(in_folder("out"), "result\n");
}
