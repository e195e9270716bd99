#include <dirent.h>
#include <stdlib.h>

#include "../test.h"
#include "base/mem.h"
#include "base/spool.h"

/* Bytes that tell their place, in pieces of unlike lengths. */
static void check_spool(const char *folder, size_t n) {
    static char piece[700001], got[700001];
    spool *s = NULL;
    CHECK_OK(spool_new(&s, folder, err));
    for (size_t at = 0, k, i = 1; at < n; at += k, i++) {
        k = i * i * 7919 % (i % 9 ? 300 : 700001);
        if (k > n - at) k = n - at;
        for (size_t j = 0; j < k; j++) piece[j] = (char)((at + j) * 31 % 251);
        CHECK_OK(spool_add(s, piece, k, err));
    }
    for (int pass = 0; pass < 3; pass++) {
        const size_t until = pass == 1 ? n / 3 : n; /* a pass may be given up */
        CHECK_OK(spool_rewind(s, err));
        for (size_t at = 0, k, i = 1; at < until; at += k, i++) {
            k = i * i * 6007 % (i % 7 ? 900 : 700001);
            if (k > until - at) k = until - at;
            CHECK_OK(spool_take(s, got, k, err));
            for (size_t j = 0; j < k; j++)
                if (got[j] != (char)((at + j) * 31 % 251)) test_fail(__FILE__, __LINE__, "byte %zu is another one", at + j);
        }
    }
    spool_free(s);
}

static int files_in(const char *folder) {
    DIR *d = opendir(folder);
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

TEST(spool_gives_back_what_was_put_into_it) {
    const char *folder = test_folder();
    const size_t sizes[] = {0, 1, 1000, 262144, 262145, 1 << 20, 5000000};
    const size_t before = mem_live_bytes();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_spool(NULL, sizes[i]);
        check_spool(folder, sizes[i]);
    }
    CHECK_INT(mem_live_bytes(), before);
}

TEST(spool_in_a_folder_holds_little_and_leaves_nothing) {
    static char part[1 << 20];
    const char *folder = test_folder();
    spool *s = NULL;
    CHECK_OK(spool_new(&s, folder, err));
    CHECK_INT(files_in(folder), 0);
    mem_peak_begin();
    const size_t before = mem_live_bytes();
    for (int i = 0; i < 20; i++) CHECK_OK(spool_add(s, part, sizeof part, err));
    CHECK_OK(spool_rewind(s, err));
    for (int i = 0; i < 20; i++) CHECK_OK(spool_take(s, part, sizeof part, err));
    CHECK_INT(mem_peak_bytes(), before);
    spool_free(s);
    hone_err err = {0};
    CHECK_INT(spool_new(&s, "/proc/none", &err), HONE_ESTORAGE);
    CHECK(s == NULL);
}
