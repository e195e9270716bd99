/* api.c - the library in somebody else's program, and what an installation holds. */
#include <stdlib.h>

#include "command.h"
#include "golden.h"

#ifdef HONE_SANITIZED
#define SKIP_SANITIZED() test_skip("a plain program cannot load a sanitized library")
#else
#define SKIP_SANITIZED() (void)0
#endif

static void shell(arena *a, const char *line) {
    const char *log = here(a, "shell-log");
    if (system(arena_print(a, "%s >\"%s\" 2>&1", line, log)))
        test_fail(__FILE__, __LINE__, "%s: %.900s", line, file_text(a, log));
}

/* Compile tests/data/e2e/example.c against a folder of headers and one of libraries, and hold what it prints against the
 * command's own answers. */
static void check_example(arena *a, const char *include, const char *lib) {
    const char *program = here(a, "example"), *out = here(a, "example-out"), *log = here(a, "example-err");
    shell(a,
          arena_print(
              a,
              "cc -std=c11 -Wall -Wextra -Werror -I\"%s\" \"%s\" -L\"%s\" -lhone -Wl,-rpath,\"%s\" -o \"%s\"",
              include, test_fixture("e2e/example.c"), lib, lib, program));
    const char *job = tiny_job(a, "job.json", "unused", ""), *model = here(a, "from-library");
    const int code =
        system(arena_print(a, "\"%s\" \"%s\" \"%s\" 'where is my parcel' 'thank you' >\"%s\" 2>\"%s\"",
                           program, job, model, out, log));
    if (code) test_fail(__FILE__, __LINE__, "the example ended with %d: %s", code, file_text(a, log));
    const char *printed = file_text(a, out), *end = strchr(printed, '\n');
    const json *summary;
    CHECK(end);
    CHECK_OK(json_parse(&summary, a, "summary", printed, (size_t)(end - printed), HONE_EDATA, err));
    const json *same =
        command_json(a, "train \"%s\" --json --quiet --output_dir \"%s\"", job, here(a, "from-command"));
    CHECK_STR(text_of(summary, "params_sha256"), text_of(same, "params_sha256"));
    put_file(a, "texts.txt", "where is my parcel\nthank you\n");
    const said s = command_expect(a, 0, "predict \"%s\" \"%s\"", model, here(a, "texts.txt"));
    const char *row = s.out;
    for (int i = 0; i < 2; i++) {
        const json *want;
        char label[64];
        double score;
        const char *stop = strchr(row, '\n');
        CHECK(stop);
        CHECK_OK(json_parse(&want, a, "row", row, (size_t)(stop - row), HONE_EDATA, err));
        CHECK(sscanf(end + 1, "%63s %lf", label, &score) == 2);
        CHECK_STR(label, text_of(want, "label"));
        CHECK_NEAR(score, number_of(want, "score"), 2e-6); /* batches of other sizes */
        end = strchr(end + 1, '\n');
        row = stop + 1;
    }
    /* what goes wrong comes back as a status, and is not printed by the library */
    const int wrong =
        system(arena_print(a, "\"%s\" nothere.json \"%s\" x >\"%s\" 2>\"%s\"", program, model, out, log));
    CHECK_INT(wrong >> 8, 2);
    CHECK_STR(file_text(a, log), "error: nothere.json: there is no such file; expected a regular file\n");
}

TEST(a_program_trains_and_predicts_with_the_library) {
    SKIP_SANITIZED();
    arena *a = command_begin();
    check_example(a, test_source("include"), HONE_BUILD_FOLDER "/lib");
    arena_free(a);
}

TEST(an_installation_is_whole_and_works_where_it_lies) {
    arena *a = command_begin();
    const char *prefix = here(a, "installed");
    shell(a, arena_print(a, "cmake --install \"%s\" --prefix \"%s\"", HONE_BUILD_FOLDER, prefix));
    const char *lib = file_is_folder(arena_print(a, "%s/lib64", prefix)) ? "lib64" : "lib";
    const char *files[] = {"bin/hone",
                           arena_print(a, "%s/libhone.so", lib),
                           arena_print(a, "%s/hone/libhone_ref.so", lib),
                           arena_print(a, "%s/hone/libhone_cpu.so", lib),
                           "include/hone/hone.h",
                           "include/hone/status.h",
                           "share/hone/configs/job.schema.json",
                           "share/hone/configs/jobs/requests.json",
                           "share/hone/configs/models/small-bert/config.json",
                           "share/hone/configs/data/requests/train.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!file_exists(path_join(a, prefix, files[i])))
            test_fail(__FILE__, __LINE__, "the installation lacks %s", files[i]);
    setenv("HONE_BIN", path_join(a, prefix, "bin/hone"), 1);
    unsetenv("HONE_PLUGINS");
    const json *devices = member(command_json(a, "--version --json"), "devices");
    CHECK_STR(text_of(devices, "ref"), "found");
    CHECK_STR(text_of(devices, "cpu"), "found");
    CHECK_STR(text_of(devices, "emu"), "found");
    const json *built;
    setenv("HONE_BIN", HONE_BUILD_FOLDER "/bin/hone", 1);
    const said s = command_expect(a, 0, "train --schema");
    CHECK_OK(json_parse(&built, a, "schema", s.out, s.n_out, HONE_EDATA, err));
    CHECK_STR(file_text(a, path_join(a, prefix, "share/hone/configs/job.schema.json")), s.out);
#ifndef HONE_SANITIZED
    check_example(a, path_join(a, prefix, "include"), path_join(a, prefix, lib));
#endif
    arena_free(a);
}
