/* notice.c - a cloud's notice becomes the wish to save. */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "run/notice.h"
#include "test.h"

static int wished_within(int milliseconds) {
    for (int i = 0; i < milliseconds / 20 && sig_wished() == SIG_NOTHING; i++) usleep(20000);
    return sig_wished() == SIG_SAVE;
}

TEST(a_file_that_appears_is_a_notice) {
    notice *n;
    char path[600], what[700];
    snprintf(path, sizeof path, "%s/going", test_folder());
    snprintf(what, sizeof what, "file:%s", path);
    CHECK_OK(notice_open(&n, what, err));
    CHECK(!wished_within(700));
    CHECK_OK(file_write(path, "x", 1, err));
    CHECK(wished_within(5000));
    notice_close(n);
}

TEST(a_command_that_succeeds_is_a_notice) {
    notice *n;
    CHECK_OK(notice_open(&n, "command:test -n \"$HOME\" -a 1 = 2", err));
    CHECK(!wished_within(400));
    notice_close(n);
    CHECK_OK(notice_open(&n, "command:exit 0", err));
    CHECK(wished_within(5000));
    notice_close(n);
}

TEST(a_notice_without_a_name_is_refused) {
    notice *n;
    hone_err err = {0};
    CHECK_INT(notice_open(&n, "command:", &err), HONE_EUSAGE);
    CHECK_STR(err.text, "preempt_notice: \"command:\", expected file:PATH or command:WORDS");
}
