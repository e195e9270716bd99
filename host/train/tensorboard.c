/* tensorboard.c - the few protocol-buffer fields that a scalar needs, written by hand. */
#include <string.h>

#include "train/tensorboard.h"
#include "base/hash.h"

static void add_varint(text *t, uint64_t x) {
    do {
        const char byte = (char)((x & 127) | (x > 127 ? 128 : 0));
        text_add(t, &byte, 1);
    } while (x >>= 7);
}

static void add_bytes(text *t, int tag, const char *p, size_t n) {
    add_varint(t, (uint64_t)tag << 3 | 2);
    add_varint(t, n);
    text_add(t, p, n);
}

static void add_event_head(text *t, double wall_seconds, int64_t step) {
    add_varint(t, 1 << 3 | 1);
    text_add(t, (const char *)&wall_seconds, 8);
    add_varint(t, 2 << 3);
    add_varint(t, (uint64_t)step);
}

static void add_checked(text *out, const void *p, size_t n) {
    const uint32_t crc = crc32c(0, p, n), masked = (crc >> 15 | crc << 17) + 0xa282ead8u;
    text_add(out, p, n);
    text_add(out, (const char *)&masked, 4);
}

static void add_record(text *out, const text *event) {
    const uint64_t n = event->n;
    add_checked(out, &n, 8);
    add_checked(out, event->p, event->n);
}

void tensorboard_begin(text *out, double wall_seconds) {
    text event = {0};
    add_event_head(&event, wall_seconds, 0);
    add_bytes(&event, 3, "brain.Event:2", 13);
    add_record(out, &event);
    text_free(&event);
}

void tensorboard_scalar(text *out, double wall_seconds, int64_t step, const char *tag, double value) {
    text v = {0}, summary = {0}, event = {0};
    const float x = (float)value;
    add_bytes(&v, 1, tag, strlen(tag));
    add_varint(&v, 2 << 3 | 5);
    text_add(&v, (const char *)&x, 4);
    add_bytes(&summary, 1, v.p, v.n);
    add_event_head(&event, wall_seconds, step);
    add_bytes(&event, 5, summary.p, summary.n);
    add_record(out, &event);
    text_free(&v);
    text_free(&summary);
    text_free(&event);
}
