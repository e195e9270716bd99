/* bench_allreduce.c - sums over ranks by size: right, counted, timed where a time means something, printed once. */
#include <string.h>

#include "base/err.h"
#include "command.h"
#include "golden.h"
#include "test.h"

typedef struct {
    const json *of[3]; /* the largest size's rows: exact, fast, fixed */
} rows;

static rows bench_of(arena *a, int n, const char *flags) {
    rows out = {{NULL}};
    const json *all = command_json(a, "launch -n %d bench allreduce --seconds 1 --json %s", n, flags);
    CHECK_INT(number_of(all, "world_size"), n);
    for (const json *row = member(all, "rows")->child; row; row = row->next) {
        const char *kind = text_of(row, "kind");
        CHECK_INT(number_of(row, "wrong"), 0);
        out.of[!strcmp(kind, "exact") ? 0 : !strcmp(kind, "fast") ? 1 : 2] = row;
    }
    CHECK(out.of[0] && out.of[1]);
    return out;
}

/* What a ring sends: 2 (n - 1) / n of the bytes. */
static void check_sent(const json *row, int n, double bytes) {
    CHECK_NEAR(number_of(row, "sent_bytes"), bytes * 2 * (n - 1) / n, 0.01 * bytes * 2 * (n - 1) / n);
}

TEST(sums_of_two_four_and_eight_ranks_send_what_a_ring_would) {
    static const int ranks[] = {2, 4, 8};
    arena *a = command_begin();
    for (int i = 0; i < 3; i++) {
        const int n = ranks[i];
        const rows cpu = bench_of(a, n, "--device cpu --bytes 8:200000"), half = bench_of(a, n, "--device cpu --dtype bf16 --bytes 200000:200000"),
                   emu = bench_of(a, n, "--device emu --bytes 200000:200000");
        check_sent(cpu.of[0], n, 200000);
        check_sent(cpu.of[1], n, 200000);
        check_sent(emu.of[0], n, 200000);
        check_sent(half.of[0], n, 100000);
        CHECK_STR(text_of(emu.of[0], "bits"), text_of(cpu.of[0], "bits"));
        CHECK(strcmp(text_of(half.of[0], "bits"), text_of(cpu.of[0], "bits")));
        CHECK(cpu.of[2]);
        const double us = number_of(cpu.of[0], "median_us");
        CHECK(us > 0 && number_of(cpu.of[0], "p10_us") <= us && us <= number_of(cpu.of[0], "p90_us"));
        CHECK_NEAR(number_of(cpu.of[0], "algbw_gb_s") * us * 1e3, 200000, 1);
        CHECK_NEAR(number_of(cpu.of[0], "busbw_gb_s"), number_of(cpu.of[0], "algbw_gb_s") * 2 * (n - 1) / n, 1e-6);
        CHECK(!json_get(emu.of[0], "median_us")); /* an emulator's time is none */
    }
    arena_free(a);
}

TEST(rank_zero_alone_prints_the_table_of_sums) {
    arena *a = command_begin();
    const said s = command_expect(a, 0, "launch -n 3 bench allreduce --device cpu --seconds 1 --bytes 8:64 --csv");
    const char *head = "kind,bytes,elements,dtype,way,runs,median_us,p10_us,p90_us,algbw_gb_s,busbw_gb_s,sent_bytes,wrong,bits\n";
    CHECK(!strncmp(s.out, head, strlen(head)) && !strstr(s.out + 1, "kind"));
    int lines = 0;
    for (const char *p = s.out; *p; p++) lines += *p == '\n';
    CHECK_INT(lines, 1 + 3 * 4);
    const char *job = tiny_job(a, "job.json", "out", "");
    const rows r = bench_of(a, 2, arena_print(a, "--device cpu --job \"%s\"", job));
    CHECK_INT(number_of(r.of[0], "bytes"), number_of(member(command_json(a, "plan \"%s\" --json --device cpu", job), "slab_bytes"), "grad"));
    command_refused(a, 2, "--bytes: \"7\", expected FROM:TO from 8 on", "bench allreduce --bytes 7");
    arena_free(a);
}
