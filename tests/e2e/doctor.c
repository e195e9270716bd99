/* doctor.c - hone doctor: its parts, what it says of launchers, and a device that is ill. */
#include <stdlib.h>

#include "base/host.h"
#include "command.h"
#include "golden.h"

static void forget_launchers(void) {
    static const char *const names[] = {"RANK",      "WORLD_SIZE",  "MASTER_ADDR",      "MASTER_PORT",
                                        "HONE_RANK", "HONE_SECRET", "HONE_SECRET_FILE", "HONE_COMM"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
}

TEST(doctor_tells_of_machine_devices_ranks_and_disk) {
    arena *a = command_begin();
    forget_launchers();
    const json *d = command_json(a, "doctor --json --folder \"%s\"", test_folder());
    CHECK(strstr(text_of(member(d, "machine"), "cores"), " by affinity, "));
    CHECK(strstr(text_of(member(d, "machine"), "memory"), "iB"));
    CHECK(strstr(text_of(member(d, "devices"), "ref"), "plain C"));
    CHECK_STR(text_of(member(d, "ranks"), "by"), "one process");
    CHECK_STR(text_of(member(d, "ranks"), "ranks_meet"), "alone: there is nobody to meet");
    CHECK(strstr(text_of(member(d, "disk"), "durable_writes"), " MB/s (32 MiB written, synced, renamed in "));
    const char **left;
    int n;
    CHECK_OK(folder_list(&left, &n, a, test_folder(), err));
    for (int i = 0; i < n; i++) CHECK(!strstr(left[i], ".hone-doctor"));
    const said s = command_expect(a, 0, "doctor");
    CHECK(!strncmp(s.out, "machine\n", 8) && strstr(s.out, "\ndevices\n") && strstr(s.out, "\nranks\n") &&
          strstr(s.out, "\ndisk\n"));
    command_refused(a, 2, "hone doctor: \"moon\", expected machine, devices, ranks or disk", "doctor moon");
    command_refused(a, 8, "/nowhere", "doctor disk --folder /nowhere");
    arena_free(a);
}

TEST(doctor_says_where_ranks_would_meet_and_what_is_missing) {
    arena *a = command_begin();
    forget_launchers();
    setenv("RANK", "1", 1);
    setenv("WORLD_SIZE", "4", 1);
    const json *ranks = member(command_json(a, "doctor ranks --json"), "ranks");
    CHECK_STR(text_of(ranks, "rank"), "1");
    CHECK_STR(text_of(ranks, "by"), "torchrun");
    CHECK(strstr(text_of(ranks, "ranks_cannot_meet"), "MASTER_PORT is not set"));
    setenv("MASTER_ADDR", "node7", 1);
    setenv("MASTER_PORT", "29500", 1);
    ranks = member(command_json(a, "doctor ranks --json"), "ranks");
    CHECK(strstr(text_of(ranks, "ranks_cannot_meet"), "at node7, port 29500; but HONE_SECRET"));
    setenv("HONE_SECRET", "known to all ranks of it", 1);
    ranks = member(command_json(a, "doctor ranks --json"), "ranks");
    CHECK_STR(text_of(ranks, "ranks_meet"), "at node7, port 29500; the secret is there");
    CHECK(!strstr(command_expect(a, 0, "doctor").out, "known to all")); /* nothing secret is printed */
    arena_free(a);
}

TEST(doctor_sees_every_device_of_a_kind) {
    arena *a = command_begin();
    setenv("HONE_EMU_DEVICES", "3", 1);
    const json *devices = member(command_json(a, "doctor devices --json"), "devices");
    CHECK(strstr(text_of(devices, "emu_2"), "emulated GPU") && !json_get(devices, "emu_3"));
    arena_free(a);
}

TEST(doctor_burn_finds_a_device_that_is_ill) {
    arena *a = command_begin();
    const json *well = member(command_json(a, "doctor machine --burn 1 --device cpu --json"), "burn");
    CHECK(strstr(text_of(well, "cpu"), "1 device, ") &&
          strstr(text_of(well, "cpu"), ": the same bits each time"));
    if (system("command -v cc >/dev/null 2>&1")) test_skip("there is no cc");
    CHECK(
        !system(arena_print(a, "cc -shared -fPIC -I'%s' -o '%s/libhone_ill.so' '%s'", test_source("include"),
                            test_folder(), arena_print(a, "%s", test_fixture("e2e/ill.c")))));
    setenv("HONE_PLUGINS", test_folder(), 1);
    setenv("ILL_OF", HONE_BUILD_FOLDER "/lib/hone/libhone_cpu.so", 1);
    const said s = command_expect(a, 5, "doctor machine --burn 60 --device ill");
    CHECK(strstr(s.err, "error: ill 0: NORM_FWD "));
    arena_free(a);
}
