/* emu_machine.c - the cuda device on machines that are not ready, that fail, and whose libraries behave otherwise. The
 * emulated machine is told to; each test has a process of its own. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices.h"
#include "machine.h"

enum { CUDA_WORK = 1 << 21 }; /* more than a product wants */

static cuemu_state *machine;
static char said[4096]; /* what the device logged */

static void note(void *context, const char *line) {
    (void)context;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", line);
}

static const hone_device_v1 *load(void) {
    hone_err err = {0};
    machine = machine_of();
    return device_load("emu", &err);
}

static hone_status open_on(const hone_device_v1 *table, hone_device **out, int ordinal, hone_err *err) {
    static pool *alone;
    static hone_host_v1 host; /* outlives the device */
    if (!alone) alone = pool_new(1);
    host = *pool_host(alone);
    host.log = note;
    return table->open(out, &host, ordinal, err);
}

static void refuses(hone_status status, const char *words, int ordinal) {
    hone_device *d = NULL;
    hone_err err = {0};
    const hone_status is = open_on(load(), &d, ordinal, &err);
    if (is != status || !strstr(err.text, words) || !*err.hint || strchr(err.text, '\n'))
        test_fail(__FILE__, __LINE__, "status %d, \"%s\" (%s); expected %d, \"%s\" and a hint", is, err.text,
                  err.hint, status, words);
}

TEST(emu_without_a_driver_says_so) {
    load();
    machine->driver_version = 0;
    refuses(HONE_EUSAGE, "emu: this machine has no NVIDIA driver; expected one for CUDA 13.0 or later", 0);
}
TEST(emu_with_an_old_driver_names_both_versions) {
    load();
    machine->driver_version = 11040;
    refuses(HONE_EUSAGE,
            "the driver supports CUDA 11.4, hone was built with 13.0; expected a driver for 13.0 or later",
            0);
}
TEST(emu_without_a_device_says_so) {
    load();
    machine->n_devices = 0;
    refuses(HONE_EUSAGE, "the driver (CUDA 13.0) shows no device", 0);
}
TEST(emu_names_the_devices_that_there_are) {
    load();
    machine->n_devices = 2;
    refuses(HONE_EUSAGE, "there is no device 2; expected 0 to 1", 2);
    refuses(HONE_EUSAGE, "there is no device -1; expected 0 to 1", -1);
}
TEST(emu_on_an_old_device_names_what_it_needs) {
    load();
    machine->major = 7, machine->minor = 5;
    refuses(HONE_EUSAGE, "emulated GPU has compute capability 7.5; expected 8.0 (Ampere) or later", 0);
}
TEST(emu_that_cannot_use_its_device_says_why) {
    static const struct {
        int count, set, image;
        hone_status status;
        const char *words;
    } cases[] = {
        {802, 0, 0, HONE_EUSAGE, "the system is not ready"},
        {803, 0, 0, HONE_EUSAGE, "the driver's library and its kernel module have different versions"},
        {999, 0, 0, HONE_EUSAGE, "does not answer as it should: unknown error (cudaErrorUnknown)"},
        {0, 46, 0, HONE_EUSAGE, "held by another process alone"},
        {0, 2, 0, HONE_ENOFIT, "no memory left to begin with"},
        {0, 214, 0, HONE_ECOMM, "uncorrectable memory error (ECC)"},
        {0, 0, 209, HONE_EUSAGE, "was not built for compute capability 9.0 of emulated GPU"},
        {0, 999, 0, HONE_EUSAGE, "does not answer as it should: unknown error (cudaErrorUnknown)"}};
    load();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        machine->count_error = cases[i].count, machine->set_error = cases[i].set,
        machine->image_error = cases[i].image;
        refuses(cases[i].status, cases[i].words, 0);
    }
}

TEST(emu_out_of_memory_names_bytes_wanted_and_free) {
    const hone_device_v1 *table = load();
    hone_device *d;
    hone_err err = {0};
    void *first, *second = NULL;
    machine->memory_bytes = 1000000;
    CHECK_OK(open_on(table, &d, 0, err));
    CHECK_OK(table->slab_new(d, 0, 600000, &first, err));
    CHECK_INT(table->slab_new(d, 0, 500000, &second, &err), HONE_ENOFIT);
    CHECK_STR(err.text, "emu: emulated GPU refused 500000 bytes of device memory: out of memory; 400000 of "
                        "its 1000000 bytes are free");
    CHECK(strstr(err.hint, "smaller batch"));
    table->slab_free(d, first);
    CHECK_OK(table->slab_new(d, 0, 500000, &second, err)); /* nothing sticks */
    for (int i = 0; i < 500000; i++) CHECK(((char *)second)[i] == 0);
    table->slab_free(d, second);
    table->close(d);
}

/* COPY of n floats; the two calls differ in their op's name only if wrong. */
static hone_call copy_of(void *x, void *y, int64_t n) {
    hone_call c = {.op = HONE_OP_COPY};
    c.in[0] = (hone_tensor){.p = x, .dim = {n, 1, 1}, .ld = 1, .n_dims = 1, .dtype = HONE_F32};
    c.out[0] = c.in[0];
    c.out[0].p = y;
    return c;
}

TEST(emu_fault_on_the_device_is_reported_with_its_calls) {
    const hone_device_v1 *table = load();
    hone_device *d;
    hone_queue *q;
    void *slab;
    CHECK_OK(open_on(table, &d, 0, err));
    CHECK_OK(table->slab_new(d, 0, 4096, &slab, err));
    CHECK(!table->queue_new(d, &q));
    const hone_call c = copy_of(slab, (char *)slab + 2048, 100);
    CHECK(!table->op[HONE_OP_COPY](q, &c));
    CHECK(!table->queue_wait(q) && !*said);
    const hone_status given = table->op[HONE_OP_COPY](q, &c);
    CHECK(!given);
    machine->work_error = 700;
    CHECK_INT(table->queue_wait(q), machine->work_error ? HONE_EBUG : HONE_OK);
    CHECK(strstr(said, "emulated GPU: ") &&
          strstr(said, "an illegal memory access was encountered (cudaErrorIllegalAddress)"));
    *said = 0;
    CHECK(table->op[HONE_OP_COPY](q, &c) == HONE_EBUG && strstr(said, "a launch failed")); /* it sticks */
    machine->work_error = 214;
    *said = 0;
    CHECK_INT(table->queue_wait(q), HONE_ECOMM);
    CHECK(strstr(said, "drain this machine"));
    machine->work_error = 0; /* or nothing could be given back */
    table->queue_free(q);
    table->slab_free(d, slab);
    table->close(d);
}

/* ---- the library of products -------------------------------------------------------------------------------------*/
static hone_query forward(int64_t N, int64_t I, int64_t O, hone_dtype dtype) {
    hone_query q = {.op = HONE_OP_LINEAR_FWD};
    q.in[0] = (hone_tensor){.dim = {N, I, 1}, .ld = I, .n_dims = 2, .dtype = dtype};
    q.in[1] = (hone_tensor){.dim = {O, I, 1}, .ld = I, .n_dims = 2, .dtype = dtype};
    q.out[0] = (hone_tensor){.dim = {N, O, 1}, .ld = O, .n_dims = 2, .dtype = dtype};
    return q;
}

/* The gradient of what an activation saw: where the library's slope of GELU may be taken. */
static hone_query backward_through_act(int64_t N, int64_t I, int64_t O, hone_dtype dtype) {
    hone_query q = {.op = HONE_OP_LINEAR_BWD};
    q.in[0] = (hone_tensor){.dim = {N, O, 1}, .ld = O, .n_dims = 2, .dtype = dtype};
    q.in[1] = (hone_tensor){.dim = {O, I, 1}, .ld = I, .n_dims = 2, .dtype = dtype};
    q.in[2] = q.out[0] = (hone_tensor){.dim = {N, I, 1}, .ld = I, .n_dims = 2, .dtype = dtype};
    return q;
}

/* Chooses for the product of 7 x 5; how many products the library was given meanwhile. */
static int choose(const hone_device_v1 *table, hone_device *d, int64_t rows) {
    void *choice = NULL, *again = NULL;
    const int before = machine->n_products;
    const hone_query q = forward(rows, 7, 5, HONE_F32), other = forward(3 * rows, 7, 5, HONE_F32);
    CHECK_OK(table->choose(d, &q, &choice, err));
    CHECK_OK(table->choose(d, &other, &again, err));
    CHECK(choice && choice == again); /* one for all numbers of rows */
    return machine->n_products - before;
}

static int choose_in_another_process(void) {
    int ends[2], n = -1, status;
    CHECK(!pipe(ends));
    const pid_t child = fork();
    if (!child) {
        const hone_device_v1 *table = load();
        hone_device *d;
        machine->n_algorithms = 4;
        CHECK_OK(open_on(table, &d, 0, err));
        n = choose(table, d, 100);
        _exit(write(ends[1], &n, sizeof n) != sizeof n);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(read(ends[0], &n, sizeof n) == sizeof n);
    return n;
}

TEST(emu_products_are_measured_once_and_remembered) {
    setenv("HONE_CACHE", test_folder(), 1);
    const int first = choose_in_another_process(), second = choose_in_another_process();
    if (first < 4 * 5)
        test_fail(__FILE__, __LINE__, "%d products were played to choose of 4 algorithms", first);
    CHECK_INT(second, 0);
}

TEST(emu_products_whose_bits_depend_on_the_rows_are_not_taken) {
    setenv("HONE_CACHE", test_folder(), 1);
    const hone_device_v1 *table = load();
    hone_device *d;
    machine->n_algorithms = 3, machine->tells_rows = 1;
    CHECK_OK(open_on(table, &d, 0, err));
    CHECK(choose(table, d, 100) > 0);
    CHECK(strstr(said, "the fastest of 2 algorithms"));
    table->close(d);
}

/* A bias that the library does not add is added to the product as it was stored: one rounding more. */
static int play_with_room(void *arg, const cases_case *k) {
    const cases_on *on = arg;
    cases_case wide = *k;
    cases_result r;
    char name[256];
    wide.of_naive *= 2;
    if (k->dtype != HONE_BF16) wide.row_letter = 0; /* the same kernels; one type will do */
    if (cases_check(on, &wide, &r) == CASES_PASS) return 1;
    cases_describe(k, name, sizeof name);
    test_fail(__FILE__, __LINE__, "%s %s: %s", hone_op_find(k->op)->name, name, r.what);
}

TEST(emu_products_that_the_library_lacks_are_finished_by_our_kernels) {
    load();
    machine->has_no_bias = machine->has_no_bgradb = machine->gelu_is_erf = 1;
    cases_on on = devices_open("emu");
    devices_each(HONE_OP_LINEAR_FWD, HONE_OP_LINEAR_BWD_W, CASES_CHECK, play_with_room, &on);
}

/* Kernels that would like more: one stage of copies instead of two, rows of classes read twice. */
static int play_large(void *arg, const cases_case *k) {
    const cases_on *on = arg;
    cases_result r;
    char name[256];
    const int is_wide = k->extent[CASES_LETTER('K')] >= 128 || k->extent[CASES_LETTER('C')] > 40000;
    if (!is_wide || k->dtype != HONE_BF16 || cases_check(on, k, &r) == CASES_PASS) return 1;
    cases_describe(k, name, sizeof name);
    test_fail(__FILE__, __LINE__, "%s %s: %s", hone_op_find(k->op)->name, name, r.what);
}

TEST(emu_with_99_kb_of_shared_memory_plays_the_same) {
    load();
    machine->shared_bytes = 99 * 1024;
    cases_on on = devices_open("emu");
    devices_each(HONE_OP_ATTENTION_FWD, HONE_OP_ATTENTION_BWD, CASES_CHECK, play_large, &on);
    devices_each(HONE_OP_XENT, HONE_OP_XENT, CASES_CHECK, play_large, &on);
}

TEST(emu_gelu_of_the_library_is_taken_in_the_tanh_form_only) {
    const hone_device_v1 *table = load();
    for (int is_erf = 0; is_erf < 2; is_erf++) {
        hone_device *d;
        machine->gelu_is_erf = is_erf;
        CHECK_OK(open_on(table, &d, 0, err));
        for (hone_dtype dtype = HONE_F32; dtype <= HONE_F16; dtype++) {
            hone_query q = backward_through_act(64, 16, 16, dtype);
            void *choice;
            q.attr.linear.act = HONE_ACT_GELU_TANH;
            *said = 0;
            CHECK_OK(table->choose(d, &q, &choice, err));
            CHECK_INT(strstr(said, "is not the tanh form") != NULL, is_erf);
        }
        table->close(d);
    }
}

/* 1 + 2^-11 is half way between two numbers of 10 bits: to TF32 it goes away from zero, in fp32 it stays. */
TEST(emu_products_of_tf32_read_ten_bits_of_mantissa) {
    const hone_device_v1 *table = load();
    hone_device *d;
    hone_queue *queue;
    char *slab;
    const float x[8] = {1 + 0x1p-11f, -1 - 0x1p-11f, 1 + 0x1p-12f, 3 + 0x1p-10f, 1, -0.5f, 0x1p-13f, 0};
    float y[8], w = 1;
    CHECK_OK(open_on(table, &d, 0, err));
    CHECK_OK(table->slab_new(d, 0, 512 + CUDA_WORK, (void **)&slab, err));
    CHECK(!table->queue_new(d, &queue) && !table->put(queue, slab, x, sizeof x) &&
          !table->put(queue, slab + 64, &w, sizeof w));
    for (int tf32 = 0; tf32 < 2; tf32++) {
        hone_query q = forward(8, 1, 1, HONE_F32);
        hone_call c = {.op = HONE_OP_LINEAR_FWD, .work = slab + 512, .work_bytes = CUDA_WORK};
        c.attr.linear.tf32 = q.attr.linear.tf32 = tf32;
        memcpy(c.in, q.in, sizeof c.in);
        memcpy(c.out, q.out, sizeof c.out);
        c.in[0].p = slab, c.in[1].p = slab + 64, c.out[0].p = slab + 128;
        CHECK(table->work_bytes(&q) <= CUDA_WORK);
        CHECK_OK(table->choose(d, &q, &c.choice, err));
        CHECK(!table->op[HONE_OP_LINEAR_FWD](queue, &c));
        CHECK(!table->get(queue, y, slab + 128, sizeof y) && !table->queue_wait(queue));
        const float rounded[8] = {1 + 0x1p-10f, -1 - 0x1p-10f, 1, 3 + 0x1p-9f, 1, -0.5f, 0x1p-13f, 0};
        CHECK(!memcmp(y, tf32 ? rounded : x, sizeof y));
    }
    table->queue_free(queue);
    table->slab_free(d, slab);
    table->close(d);
}

/* ---- rows of zeros at the end ------------------------------------------------------------------------------------*/
/* Weight and bias gradient of `rows` rows, of which the first 100 hold numbers. */
static void play_weight_gradient(const hone_device_v1 *table, hone_device *d, int64_t rows, float dw[13 * 11],
                                 float dbias[13]) {
    enum { I = 11, O = 13, MOST = 320 };
    static float image[MOST * (I + O)];
    hone_call c = {.op = HONE_OP_LINEAR_BWD_W};
    hone_query q = {.op = HONE_OP_LINEAR_BWD_W};
    hone_queue *queue;
    void *slab;
    memset(image, 0, sizeof image);
    for (int i = 0; i < 100 * O; i++) image[i] = (float)((i * 7919) % 1999 - 999) * 0.001f;
    for (int i = 0; i < 100 * I; i++) image[MOST * O + i] = (float)((i * 104729) % 2003 - 1001) * 0.001f;
    const size_t bytes = sizeof image + 4 * (O * I + O) + 256;
    q.in[0] = (hone_tensor){.dim = {rows, O, 1}, .ld = O, .n_dims = 2, .dtype = HONE_F32};
    q.in[1] = (hone_tensor){.dim = {rows, I, 1}, .ld = I, .n_dims = 2, .dtype = HONE_F32};
    q.out[0] = (hone_tensor){.dim = {O, I, 1}, .ld = I, .n_dims = 2, .dtype = HONE_F32};
    q.out[1] = (hone_tensor){.dim = {O, 1, 1}, .ld = 1, .n_dims = 1, .dtype = HONE_F32};
    memcpy(c.in, q.in, sizeof c.in);
    memcpy(c.out, q.out, sizeof c.out);
    const size_t work_bytes = table->work_bytes(&q);
    CHECK_OK(table->slab_new(d, 0, bytes + work_bytes, &slab, err));
    CHECK_OK(table->choose(d, &q, &c.choice, err));
    CHECK(!table->queue_new(d, &queue) && !table->put(queue, slab, image, sizeof image));
    char *at = slab;
    c.in[0].p = at;
    c.in[1].p = at + 4 * MOST * O;
    c.out[0].p = at + sizeof image;
    c.out[1].p = at + sizeof image + 4 * O * I;
    c.work = at + (bytes + 63) / 64 * 64 - 64;
    c.work_bytes = work_bytes;
    CHECK(!table->op[HONE_OP_LINEAR_BWD_W](queue, &c));
    CHECK(!table->get(queue, dw, c.out[0].p, 4 * O * I) && !table->get(queue, dbias, c.out[1].p, 4 * O));
    CHECK(!table->queue_wait(queue));
    table->queue_free(queue);
    table->slab_free(d, slab);
}

TEST(emu_weight_gradients_do_not_depend_on_rows_of_zeros_at_the_end) {
    static const int64_t rows[] = {101, 128, 192, 320};
    const hone_device_v1 *table = load();
    for (int ours = 0; ours < 2; ours++) { /* the bias gradient by the library, and by our kernel */
        hone_device *d;
        float dw[13 * 11], dbias[13], dw_more[13 * 11], dbias_more[13];
        machine->has_no_bgradb = ours;
        CHECK_OK(open_on(table, &d, 0, err));
        play_weight_gradient(table, d, 100, dw, dbias);
        for (int i = 0; i < 4; i++) {
            play_weight_gradient(table, d, rows[i], dw_more, dbias_more);
            CHECK(!memcmp(dw, dw_more, sizeof dw) && !memcmp(dbias, dbias_more, sizeof dbias));
        }
        table->close(d);
    }
}
