/* bench_read.c - hone bench read: what it says of a file. */
#include "../test.h"
#include "command.h"
#include "base/file.h"

TEST(bench_read_counts_the_rows_that_it_times) {
    arena *a = arena_new("test");
    text content = {0};
    text_str(&content, "id,text,label\n");
    for (int i = 0; i < 40000; i++) text_printf(&content, "%d,\"some, text\",yes\n", i);
    const char *path = path_join(a, test_folder(), "rows.csv");
    CHECK_OK(file_write(path, content.p, content.n, err));
    const json *shown = command_json(a, "bench read %s --json", path);
    CHECK_INT(json_get(shown, "rows")->integer, 40000);
    CHECK_INT(json_get(shown, "columns")->integer, 3);
    CHECK_INT(json_get(shown, "bytes")->integer, content.n);
    CHECK(json_get(shown, "mb_per_s")->number > 0 && json_get(shown, "hash_mb_per_s")->number > json_get(shown, "mb_per_s")->number);
    command_refused(a, 2, "expected: hone bench read FILE", "bench read");
    command_refused(a, 3, "there is no such file", "bench read %s.none", path);
    text_free(&content);
    arena_free(a);
}
