/* floors.c - scripts/check_floors accepts this tree and refuses each kind of include that goes up. */
#include <stdlib.h>
#include <sys/wait.h>

#include "base/file.h"
#include "test.h"

/* Make a tree with one file and judge it: the exit code, and what was printed. */
static int judge(const char *path, const char *line, char *printed, size_t room) {
    arena *a = arena_new("test");
    const char *tree = path_join(a, test_folder(), "tree"), *file = path_join(a, tree, path);
    char command[3000];
    CHECK_OK(folder_remove(tree, err));
    static const char *const folders[] = {"include/hone", "host/base",   "host/text",    "host/plan",
                                          "host/run",     "kernels/ref", "kernels/cases"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        CHECK_OK(folder_make(path_join(a, tree, folders[i]), err));
    char *folder = arena_copy(a, file, (size_t)(path_name(file) - file));
    CHECK_OK(folder_make(folder, err));
    CHECK_OK(file_write(file, line, strlen(line), err));
    snprintf(command, sizeof command, "'%s' '%s' 2>/dev/null", test_source("scripts/check_floors"), tree);
    FILE *f = popen(command, "r");
    CHECK(f);
    printed[fread(printed, 1, room - 1, f)] = 0;
    const int status = pclose(f);
    arena_free(a);
    return WEXITSTATUS(status);
}

TEST(floors_of_this_tree_are_kept) {
    char command[5000];
    snprintf(command, sizeof command, "'%s' '%s' >&2", test_source("scripts/check_floors"), test_source("."));
    CHECK_INT(system(command), 0);
}

TEST(floors_accept_what_lies_below) {
    static const char *const good[][2] = {
        {"host/base/a.c", "#include \"hone/status.h\"\n"},
        {"host/text/a.c", "#include \"base/str.h\"\n#include <stdio.h>\n"},
        {"host/plan/a.c", "#include \"model/graph.h\"\n"},
        {"host/plan/a.c", "#include \"ref/limits.h\"\n"},
        {"host/run/a.c", "#include \"plan/build.h\"\n"},
        {"host/cli/a.c", "#include \"cases/cases.h\"\n#include \"train/job.h\"\n"},
        {"kernels/ref/a.c", "#include \"hone/device.h\"\n"},
        {"kernels/ref/a.c", "# include \"b.h\"\n"},
        {"host/text/a.c", "/* not an #include \"plan/x.h\" */\n"}};
    char printed[1000];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_INT(judge(good[i][0], good[i][1], printed, sizeof printed), 0);
        CHECK_STR(printed, "");
    }
}

TEST(floors_refuse_what_lies_above) {
    static const char *const bad[][2] = {{"include/hone/a.h", "\n#include \"base/str.h\"\n"},
                                         {"host/base/a.c", "\n#include \"text/tokenizer.h\"\n"},
                                         {"host/text/a.c", "\n#include \"model/graph.h\"\n"},
                                         {"host/data/a.h", "\n  #  include \"model/graph.h\"\n"},
                                         {"host/model/a.c", "\n#include \"data/batch.h\"\n"},
                                         {"host/plan/a.c", "\n#include \"run/run.h\"\n"},
                                         {"host/run/a.c", "\n#include \"train/job.h\"\n"},
                                         {"host/run/a.c", "\n#include \"data/batch.h\"\n"},
                                         {"host/train/a.c", "\n#include \"cli/args.h\"\n"},
                                         {"host/base/a.c", "\n#include \"ref/limits.h\"\n"},
                                         {"host/plan/a.c", "\n#include \"ref/norm.h\"\n"},
                                         {"kernels/ref/a.c", "\n#include \"base/mem.h\"\n"},
                                         {"kernels/ref/a.inc", "\n#include \"cpu/vec.h\"\n"},
                                         {"kernels/cases/a.c", "\n#include \"base/op.h\"\n"},
                                         {"host/text/a.c", "\n#include \"../plan/a.h\"\n"},
                                         {"host/text/a.c", "\n#include <plan/a.h>\n"}};
    char printed[1000], place[100];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(judge(bad[i][0], bad[i][1], printed, sizeof printed), 1);
        snprintf(place, sizeof place, "%s:2: error: includes ", bad[i][0]);
        if (strncmp(printed, place, strlen(place)))
            test_fail(__FILE__, __LINE__, "%s printed \"%s\"", place, printed);
    }
    CHECK_INT(judge("host/new/a.c", "\n", printed, sizeof printed), 1);
    CHECK_STR(printed, "host/new/a.c: belongs to no floor; add it to scripts/check_floors\n");
}
