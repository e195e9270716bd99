/* record.c - what a run writes down, read back byte by byte: rows, and TensorBoard's records by a reader of its own. */
#include <stdlib.h>

#include "golden.h"
#include "train/record.h"
#include "train/tensorboard.h"

/* CRC-32C bit by bit: polynomial 0x1EDC6F41, reflected. */
static uint32_t crc_slowly(const char *p, size_t n) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)p[i];
        for (int b = 0; b < 8; b++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint32_t masked(const char *p, size_t n) {
    const uint32_t crc = crc_slowly(p, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

typedef struct {
    double wall;
    uint64_t step;
    char version[32], tag[64];
    float value;
} event;

static uint64_t read_varint(const char **p) {
    uint64_t x = 0;
    for (int shift = 0;; shift += 7) {
        const uint8_t byte = (uint8_t) * (*p)++;
        x |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return x;
    }
}

static void read_value(event *e, const char *p, const char *end) {
    while (p < end) {
        const uint64_t key = read_varint(&p);
        if (key == 0x0a) { /* tag */
            const uint64_t n = read_varint(&p);
            CHECK(n < sizeof e->tag);
            memcpy(e->tag, p, n), e->tag[n] = 0, p += n;
        } else if (key == 0x15) memcpy(&e->value, p, 4), p += 4;
        else test_fail(__FILE__, __LINE__, "field %llu in a value", (unsigned long long)key);
    }
    CHECK(p == end);
}

static void read_event(event *e, const char *p, const char *end) {
    *e = (event){0};
    while (p < end) {
        const uint64_t key = read_varint(&p);
        if (key == 0x09) memcpy(&e->wall, p, 8), p += 8;
        else if (key == 0x10) e->step = read_varint(&p);
        else if (key == 0x1a) {
            const uint64_t n = read_varint(&p);
            memcpy(e->version, p, n), p += n;
        } else if (key == 0x2a) { /* summary, holding one value */
            const uint64_t n = read_varint(&p);
            const char *stop = p + n;
            CHECK_INT(read_varint(&p), 0x0a);
            const uint64_t m = read_varint(&p);
            CHECK(p + m == stop);
            read_value(e, p, stop);
            p = stop;
        } else test_fail(__FILE__, __LINE__, "field %llu in an event", (unsigned long long)key);
    }
    CHECK(p == end);
}

static int read_events(event *out, int cap, const char *p, size_t n) {
    int found = 0;
    for (const char *end = p + n; p < end; found++) {
        uint64_t length;
        uint32_t crc;
        CHECK(found < cap && end - p > 12);
        memcpy(&length, p, 8);
        memcpy(&crc, p + 8, 4);
        CHECK(crc == masked(p, 8));
        p += 12;
        CHECK((uint64_t)(end - p) >= length + 4);
        memcpy(&crc, p + length, 4);
        CHECK(crc == masked(p, length));
        read_event(&out[found], p, p + length);
        p += length + 4;
    }
    return found;
}

TEST(tensorboard_records_hold_what_was_written) {
    text t = {0};
    event e[4];
    CHECK_INT(crc_slowly("123456789", 9), 0xe3069283u); /* the standard's check value */
    tensorboard_begin(&t, 1.5e9);
    tensorboard_scalar(&t, 1.5e9 + 0.25, 7, "train/loss", 0.125);
    tensorboard_scalar(&t, 1.5e9 + 1, (int64_t)1 << 40, "eval/accuracy", 1.0 / 3);
    CHECK_INT(read_events(e, 4, t.p, t.n), 3);
    CHECK_STR(e[0].version, "brain.Event:2");
    CHECK_STR(e[1].tag, "train/loss");
    CHECK_INT(e[1].step, 7);
    CHECK_NEAR(e[1].wall, 1.5e9 + 0.25, 0);
    CHECK_NEAR((double)e[1].value, 0.125, 0);
    CHECK_INT(e[2].step, (int64_t)1 << 40);
    CHECK_NEAR((double)e[2].value, (double)(1.0f / 3), 0);
    text_free(&t);
}

TEST(record_writes_rows_events_csv_and_history) {
    job *j;
    record *r;
    const job_override o[] = {{"report_to", "tensorboard,csv"}};
    CHECK_OK(job_load(&j, NULL, o, 1, 1, err));
    const char *folder = test_folder();
    CHECK_OK(record_open(&r, j, folder, 0, err));
    record_run(r, "{\"type\":\"run\"}");
    const record_train row = {.step = 3,
                              .epoch = 0.5,
                              .loss = 0.1,
                              .grad_norm = 2,
                              .rate = 1e-5,
                              .seconds = 4,
                              .tokens_per_second = 100,
                              .tokens = 99};
    record_chain(r, 2, 0xabcdef);
    record_chain(r, 3, 0x1234567890abcdefu);
    record_step(r, &row);
    record_chain(r, 4, 5); /* a checkpoint ends what is not written yet */
    const metric f[] = {{"loss", 0.25}, {"accuracy", 0.5}};
    record_eval(r, 3, 0.5, f, 2, 0.125, 16);
    record_saved(r, 3, "x/checkpoint-3", 1234, 0.5, 0.25);
    const text *history = record_history(r);
    CHECK_STR(history->p, "{\"epoch\":0.5,\"step\":3,\"loss\":0.1,\"grad_norm\":2,\"learning_rate\":1e-05},"
                          "{\"epoch\":0.5,\"step\":3,\"eval_loss\":0.25,\"eval_accuracy\":0.5,\"eval_"
                          "runtime\":0.125,\"eval_samples_per_second\":16}");
    str log, csv, events;
    CHECK_OK(file_read(&log, j->a, path_join(j->a, folder, "log.jsonl"), 1 << 16, HONE_EDATA,
                       err)); /* flushed as it is written */
    CHECK_STR(log.p, "{\"type\":\"run\"}\n"
                     "{\"step\":3,\"epoch\":0.5,\"loss\":0.1,\"grad_norm\":2,\"learning_rate\":1e-05,"
                     "\"tokens\":99,\"tokens_per_second\":100,\"seconds\":4,\"chain\":[\"0000000000abcdef\",\"1234567890abcdef\"]}\n"
                     "{\"step\":3,\"epoch\":0.5,\"eval_loss\":0.25,\"eval_accuracy\":0.5,\"eval_runtime\":0."
                     "125,\"eval_samples_per_second\":16}\n"
                     "{\"step\":4,\"chain\":[\"0000000000000005\"]}\n"
                     "{\"step\":3,\"saved\":\"x/checkpoint-3\",\"bytes\":1234,\"seconds\":0.5,\"held_seconds\":0.25}\n");
    CHECK_OK(file_read(&csv, j->a, path_join(j->a, folder, "log.csv"), 1 << 16, HONE_EDATA, err));
    CHECK_STR(csv.p, "step,epoch,loss,grad_norm,learning_rate,tokens,tokens_per_second,seconds\n3,0.5,0.1,2,"
                     "1e-05,99,100,4\n");
    const char **names;
    int n, found = 0;
    event e[16];
    CHECK_OK(folder_list(&names, &n, j->a, folder, err));
    for (int i = 0; i < n; i++) {
        if (strncmp(names[i], "events.out.tfevents.", 20)) continue;
        CHECK_OK(file_read(&events, j->a, path_join(j->a, folder, names[i]), 1 << 16, HONE_EDATA, err));
        found = read_events(e, 16, events.p, events.n);
    }
    CHECK_INT(found, 8); /* its head, five figures of the step, two of the evaluation */
    CHECK_STR(e[1].tag, "train/loss");
    CHECK_NEAR((double)e[1].value, (double)0.1f, 0);
    CHECK_STR(e[7].tag, "eval/accuracy");
    record_close(r);
    CHECK_OK(record_open(&r, j, folder, 1, err)); /* resumed: goes on behind */
    record_step(r, &row);
    record_close(r);
    CHECK_OK(file_read(&log, j->a, path_join(j->a, folder, "log.jsonl"), 1 << 16, HONE_EDATA, err));
    CHECK(!strncmp(log.p, "{\"type\":\"run\"}\n", 15) && strstr(log.p, "\"bytes\":1234"));
    job_free(j);
}
