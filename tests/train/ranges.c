/* ranges.c - what a profiler of the emulated GPU is told: programs, and in them the steps of the plan. */
#include "machine.h"
#include "train/train.h"

static struct {
    char p[1 << 16];
    size_t n;
} heard; /* lines of NAME and "end", indented by depth */

static void note(const char *name, int depth) {
    const size_t room = sizeof heard.p - heard.n;
    const int n = snprintf(heard.p + heard.n, room, "%*s%s\n", 2 * depth, "", name ? name : "end");
    CHECK(n > 0 && (size_t)n < room);
    heard.n += (size_t)n;
}

static hone_status train(const char *device, const char *nvtx, const char *graphs, hone_err *err) {
    job *j;
    text summary = {0}, people = {0};
    const char *model = test_fixture("e2e/model");
    const job_override o[] = {{"config_name", model},
                              {"tokenizer_name", model},
                              {"output_dir", test_folder()},
                              {"overwrite_output_dir", "true"},
                              {"max_seq_length", "48"},
                              {"max_steps", "3"},
                              {"save_strategy", "no"},
                              {"device", device},
                              {"do_eval", "false"},
                              {"nvtx", nvtx},
                              {"graphs", graphs},
                              {"train_file", test_fixture("e2e/train.csv")},
                              {"train_sampling_strategy", "sequential"},
                              {"per_device_train_batch_size", "4"}};
    heard.n = heard.p[0] = 0;
    log_set(LOG_WARN);
    HONE_TRY(job_load(&j, NULL, o, sizeof o / sizeof *o, 1, err));
    pool *p = pool_new(1);
    const hone_status status = train_job(j, p, comm_alone(), &summary, &people, err);
    pool_free(p);
    job_free(j);
    text_free(&summary);
    text_free(&people);
    return status;
}

static int times(const char *line) {
    int n = 0;
    for (const char *p = heard.p; (p = strstr(p, line)); p++) n++;
    return n;
}

TEST(ranges_name_programs_and_the_steps_in_them) {
    cuemu_state *machine = machine_of();
    machine->ranged = note;
    CHECK_OK(train("emu", "true", "false", err));
    CHECK_INT(times("micro 0\n"), 3); /* of each of the three steps */
    CHECK_INT(times("update 0\n"), 3);
    CHECK(strstr(heard.p, "micro 0\n  0 EMBED_FWD layer -1\n  end\n  1 ") == heard.p);
    CHECK_INT(times("micro 0\n  0 EMBED_FWD layer -1\n  end\n"), 3);
    const char *update = strstr(heard.p, "\nupdate 0\n"),
               *adamw = update ? strstr(update, " ADAMW_STEP layer ") : NULL;
    CHECK(adamw && strstr(adamw, "\n  end\nend\n")); /* in it, and closed with it */
    CHECK(!times("graph"));
    CHECK(!strcmp(heard.p + heard.n - 5, "\nend\n"));
}

/* Where red zones are looked at after every step, none is captured. */
#ifdef RED_ZONE_BYTES
static const int has_graphs = 0;
#else
static const int has_graphs = 1;
#endif

TEST(ranges_of_graphs_are_around_captures_and_launches) {
    cuemu_state *machine = machine_of();
    machine->ranged = note;
    if (!has_graphs) test_skip("a build of type Debug plays no graphs");
    CHECK_OK(train("emu", "true", "true", err));
    CHECK_INT(times("update 0\n"), 1); /* played once as it is, then captured, then launched */
    CHECK_INT(times("update 0 captured\n"), 1);
    CHECK_INT(times("update 0 as a graph\nend\n"), 2);
    const char *captured = strstr(heard.p, "update 0 captured\n");
    CHECK(captured && strstr(captured, " ADAMW_STEP layer ") < strstr(captured, "\nend\n"));
}

TEST(ranges_are_made_when_asked_for_and_refused_where_nobody_hears_them) {
    cuemu_state *machine = machine_of();
    machine->ranged = note;
    CHECK_OK(train("emu", "false", "true", err));
    CHECK_INT(heard.n, 0);
    hone_err err = {0};
    CHECK_INT(train("cpu", "true", "true", &err), HONE_EUSAGE);
    CHECK_STR(err.text, "nvtx: true, but device cpu has no profiler; expected device cuda");
}
