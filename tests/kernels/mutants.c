/* mutants.c - bugs seeded into the CUDA kernels (MUTANT(n) there), one at a time; each must be caught by its net:
 *   compared   some case differs from ref, or from itself with other threads
 *   counted    bank conflicts where the right kernel has none
 *   hashed     the right values in other bits than the right kernel's
 *   raced      ThreadSanitizer reports a data race; in a build with it alone
 *   poisoned   AddressSanitizer reports an access between operands; likewise
 * Each opening of an emulated GPU reports another number of multiprocessors, so that 21 gives them other bits. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices.h"
#include "test.h"

#if defined(__SANITIZE_THREAD__)
enum { HAS_THREAD = 1, HAS_ADDRESS = 0 };
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "halt_on_error=1:atexit_sleep_ms=0"; } /* the first race is enough */
#elif defined(__SANITIZE_ADDRESS__)
enum { HAS_THREAD = 0, HAS_ADDRESS = 1 };
#else
enum { HAS_THREAD = 0, HAS_ADDRESS = 0 };
#endif

#ifdef HONE_SANITIZED
#define DEVICE "emu"
#else
#define DEVICE "emu_count"
#endif

typedef struct {
    cases_on on;
    const hone_emu_v1 *emu;
    hone_op op;
    int mutant, n_played, n_most; /* n_most 0: all cases */
    int is_caught;
    const char *only; /* part of the names of the cases that can catch it; "": all */
    int (*is_net)(const void *hunt, const cases_case *k);
} hunt;

static int is_compared(const void *arg, const cases_case *k) {
    const hunt *h = arg;
    cases_result r;
    h->emu->set_mutant(h->mutant);
    return cases_check(&h->on, k, &r) == CASES_FAIL;
}
static int is_hashed(const void *arg, const cases_case *k) {
    const hunt *h = arg;
    cases_result right, wrong;
    h->emu->set_mutant(0);
    if (cases_check(&h->on, k, &right) != CASES_PASS) return 0;
    h->emu->set_mutant(h->mutant);
    cases_check(&h->on, k, &wrong);
    return right.bits != wrong.bits;
}
static uint64_t conflicts(const hunt *h, const cases_case *k, int mutant) {
    cases_counts c;
    char why[256];
    h->emu->set_mutant(mutant);
    if (!cases_counted(&h->on, h->emu, k, &c, why, sizeof why)) test_fail(__FILE__, __LINE__, "%s", why);
    return c.sum.shared_wavefronts - c.sum.shared_requests;
}
static int is_counted(const void *arg, const cases_case *k) {
    const hunt *h = arg;
    return k->dtype == HONE_BF16 && conflicts(h, k, 0) == 0 && conflicts(h, k, h->mutant) > 0;
}

static int try_case(void *arg, const cases_case *k) {
    hunt *h = arg;
    char why[256];
    if (k->op != h->op || !(k->modes & CASES_CHECK) || !cases_can(h->on.table, k, why, sizeof why)) return 1;
    const int is_attention = k->op == HONE_OP_ATTENTION_FWD || k->op == HONE_OP_ATTENTION_BWD;
    const hone_dtype dtype = strstr(h->only, "overflow") ? HONE_F16 : HONE_BF16;
    if (is_attention && k->dtype != dtype) return 1; /* the bugs are in the kernels on tensor cores */
    char name[256];
    cases_describe(k, name, sizeof name);
    if (!strstr(name, h->only)) return 1;
    h->is_caught = h->is_net(h, k);
    h->n_played++;
    return !h->is_caught && (!h->n_most || h->n_played < h->n_most);
}

static hunt begin_hunt(int mutant, hone_op op) {
    hunt h = {.on = devices_open(DEVICE), .op = op, .mutant = mutant, .only = ""};
    h.emu = device_symbol(h.on.table, HONE_EMU_SYMBOL);
    CHECK(h.emu && h.emu->struct_bytes == sizeof *h.emu && h.emu->counts_bytes == sizeof(hone_emu_counts) &&
          h.emu->set_mutant);
    return h;
}

static void must_be(int (*net)(const void *, const cases_case *), int mutant, hone_op op, const char *only) {
    if (HAS_THREAD || HAS_ADDRESS) test_skip("in a build without sanitizers");
    hunt h = begin_hunt(mutant, op);
    h.is_net = net, h.only = only;
    cases_each(try_case, &h);
    if (!h.is_caught) test_fail(__FILE__, __LINE__, "mutant %d passed all of %d cases", mutant, h.n_played);
    fprintf(stderr, "  mutant %d: caught by case %d\n", mutant, h.n_played);
}

static int no_net(const void *arg, const cases_case *k) { return is_compared(arg, k) * 0; }

/* The sanitizer ends the process that plays; the right kernels pass the same cases. */
static void must_be_reported(int has_it, const char *sanitizer, const char *word, int mutant, hone_op op,
                             const char *only) {
    static char said[1 << 16];
    if (!has_it) test_skip("needs a build with -fsanitize=%s", sanitizer);
    for (int number = 0; number <= mutant; number += mutant) {
        int ends[2], status;
        size_t n = 0;
        CHECK(!pipe(ends));
        fflush(NULL);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (!child) {
            close(ends[0]);
            dup2(ends[1], STDERR_FILENO);
            hunt h = begin_hunt(number, op);
            h.is_net = no_net, h.n_most = 24, h.only = only;
            cases_each(try_case, &h);
            _exit(0);
        }
        close(ends[1]);
        for (ssize_t got; (got = read(ends[0], said + n, sizeof said - 1 - n)) > 0;) n += (size_t)got;
        said[n] = 0;
        close(ends[0]);
        CHECK(waitpid(child, &status, 0) == child);
        if (number ? status == 0 || !strstr(said, word) : status != 0)
            test_fail(__FILE__, __LINE__, "mutant %d: status %d, it said \"%.2000s\"", number, status, said);
    }
}

#define COMPARED(n, op, bug, only)                                                                           \
    TEST(mutant_##n##_##bug##_is_compared) { must_be(is_compared, n, HONE_OP_##op, only); }
#define COUNTED(n, op, bug)                                                                                  \
    TEST(mutant_##n##_##bug##_is_counted) { must_be(is_counted, n, HONE_OP_##op, ""); }
#define HASHED(n, op, bug)                                                                                   \
    TEST(mutant_##n##_##bug##_is_hashed) { must_be(is_hashed, n, HONE_OP_##op, ""); }
#define RACED(n, op, bug, only)                                                                              \
    TEST(mutant_##n##_##bug##_is_raced) {                                                                    \
        must_be_reported(HAS_THREAD, "thread", "data race", n, HONE_OP_##op, only);                          \
    }
#define POISONED(n, op, bug)                                                                                 \
    TEST(mutant_##n##_##bug##_is_poisoned) {                                                                 \
        must_be_reported(HAS_ADDRESS, "address,undefined", "AddressSanitizer", n, HONE_OP_##op, "");         \
    }

RACED(1, ATTENTION_BWD, no_barrier_before_ds_takes_the_place_of_v, "")
RACED(2, ATTENTION_BWD, no_barrier_between_the_phases, "")
RACED(3, ATTENTION_BWD, no_barrier_after_the_second_phase, "")
COMPARED(4, ATTENTION_FWD, copies_waited_for_one_group_too_late, "")
COMPARED(5, ATTENTION_FWD, the_other_stage_is_read, "")
COUNTED(6, ATTENTION_FWD, swizzle_of_two_bits)
COMPARED(7, ATTENTION_BWD, ds_written_to_another_chunk_than_read, "")
COMPARED(8, ATTENTION_FWD, fragment_registers_1_and_2_swapped, "")
COMPARED(9, ATTENTION_BWD, q_not_transposed_for_dk, "")
COMPARED(10, ATTENTION_BWD, keys_beyond_the_end_not_masked, "scores -200")
COMPARED(11, ATTENTION_FWD, causal_off_by_one, "")
COMPARED(12, ATTENTION_BWD, lse_by_count_and_not_by_stride, "pad=8")
COMPARED(13, ATTENTION_FWD, maximum_of_no_key_kept, "")
COMPARED(14, ATTENTION_BWD, ds_of_dead_tiles_read_unwritten, "")
COMPARED(15, ATTENTION_BWD, delta_without_the_dropout_scale, " p=0.5")
COMPARED(16, ATTENTION_BWD, dv_without_the_dropout_scale, " p=0.5")
COMPARED(17, ATTENTION_BWD, dk_without_the_scale, "")
COMPARED(18, ATTENTION_BWD, dropout_halves_traded_with_another_lane, " p=0.5")
COMPARED(19, ATTENTION_FWD, dropout_by_the_row_in_the_batch, "")
COMPARED(20, ATTENTION_BWD, parts_of_dead_key_blocks_added, "q=300 k=300 causal")
COMPARED(21, NORM_BWD, groups_of_rows_by_the_number_of_multiprocessors, "N=1100")
HASHED(22, NORM_BWD, owners_added_backwards_in_odd_blocks)
COMPARED(23, XENT, padded_classes_counted, "")
COMPARED(24, ADAMW_STEP, bias_corrections_of_the_step_before, "")
COMPARED(25, ADAMW_STEP, a_step_that_is_not_ok_taken, "")
POISONED(26, ATTENTION_FWD, one_query_row_too_many_read)
COMPARED(27, ATTENTION_BWD, fragments_of_the_other_queries, "K=256")
RACED(28, ATTENTION_BWD, no_barrier_before_a_pair_reads_its_fragments, "K=256")
COMPARED(29, ATTENTION_BWD, fragments_of_a_dead_tile_read_unwritten, "K=256")
RACED(30, ACT_BWD, no_barrier_before_columns_are_added, "dbias")
RACED(31, EMBED_BWD, no_barrier_before_rows_are_zeroed, "")
COMPARED(32, NORM_BWD, copies_waited_for_one_row_too_late, "D=384")
COMPARED(33, ATTENTION_BWD, gradients_of_scores_saturate, "(overflow)")
