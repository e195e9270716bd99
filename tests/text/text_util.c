#include "text_util.h"
#include "base/mem.h"

tokenizer *load_small(const char *name) {
    char path[128];
    tokenizer *t = NULL;
    snprintf(path, sizeof path, "tokenizer/%s", name);
    CHECK_OK(tokenizer_load(&t, test_fixture(path), err));
    return t;
}

void make_vocab_folder(const char *folder, const char *vocab, const char *config) {
    char path[4200];
    str s;
    arena *a = arena_new("vocabulary");
    CHECK_OK(folder_make(folder, err));
    CHECK_OK(file_read(&s, a, vocab, (size_t)1 << 28, HONE_EDATA, err));
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    CHECK_OK(file_write(path, s.p, s.n, err));
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    CHECK_OK(file_write(path, config, strlen(config), err));
    arena_free(a);
}

void offsets_in_characters(str s, int32_t *offset, size_t n) {
    int32_t *at = mem_new((s.n + 1) * sizeof *at, "characters"), seen = 0;
    for (size_t i = 0; i < s.n; i++) {
        seen += (s.p[i] & 0xc0) != 0x80;
        at[i + 1] = seen;
        if (i && (s.p[i] & 0xc0) == 0x80) at[i] = -1; /* inside a character: no place to cut */
    }
    for (size_t i = 0; i < n; i++) {
        CHECK(offset[i] >= 0 && (size_t)offset[i] <= s.n);
        offset[i] = at[offset[i]];
    }
    mem_free(at);
}

void sum_begin(running_sum *s) {
    sha256_begin(&s->sum);
    s->waiting = (text){0};
}

void sum_add(running_sum *s, const void *p, size_t n) {
    text_add(&s->waiting, p, n);
    if (s->waiting.n < (size_t)1 << 20) return;
    sha256_add(&s->sum, s->waiting.p, s->waiting.n);
    text_clear(&s->waiting);
}

void sum_end(running_sum *s, char hex[65]) {
    uint8_t digest[32];
    if (s->waiting.n) sha256_add(&s->sum, s->waiting.p, s->waiting.n);
    text_free(&s->waiting);
    sha256_end(&s->sum, digest);
    sha256_hex(digest, hex);
    hex[24] = 0;
}

void add_encoding(running_sum *s, const encoding *e, str first, str second) {
    const size_t n = (size_t)e->n;
    int32_t *x = mem_new((1 + 4 * n) * sizeof *x, "numbers"), *offset = x + 1 + 2 * n;
    int32_t *part = mem_new((4 * n + 1) * sizeof *part, "offsets");
    size_t n_part[2] = {0};
    x[0] = e->n;
    for (size_t i = 0; i < n; i++) {
        const int k = e->type[i];
        x[1 + i] = e->id[i];
        x[1 + n + i] = k;
        part[(size_t)k * 2 * n + n_part[k]++] = e->from[i];
        part[(size_t)k * 2 * n + n_part[k]++] = e->to[i];
    }
    offsets_in_characters(first, part, n_part[0]);
    offsets_in_characters(second, part + 2 * n, n_part[1]);
    memcpy(offset, part, n_part[0] * sizeof *part);
    memcpy(offset + n_part[0], part + 2 * n, n_part[1] * sizeof *part);
    sum_add(s, x, (1 + 4 * n) * sizeof *x);
    mem_free(x);
    mem_free(part);
}

static uint64_t draw(uint64_t *state, uint64_t n) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % n;
}

void random_text(text *out, uint64_t i) {
    static const uint32_t planes[][2] = {{0x20, 0x7f},       {0, 0x300},         {0x300, 0x370},
                                         {0x370, 0x2000},    {0x2000, 0x3100},   {0x3100, 0xd800},
                                         {0xe000, 0x10000},  {0x10000, 0x20000}, {0x1d100, 0x1d250},
                                         {0x1e000, 0x1f000}, {0x20000, 0x110000}};
    static const char *const special[] = {"[SEP]", " [MASK] ",      "[cls]", "[UNK]x",
                                          "[PAD]", "\xcc\x81[CLS]", "[MASK", "]"};
    const uint64_t n_planes = sizeof planes / sizeof *planes;
    uint64_t state = (i + 1) * 0xd1342543de82ef95;
    const uint64_t plane = draw(&state, n_planes), mixed = draw(&state, 2);
    text_clear(out);
    for (uint64_t left = 1 + draw(&state, 40); left; left--) {
        const uint32_t *p = planes[mixed ? draw(&state, n_planes) : plane];
        char bytes[4];
        const int n = utf8_encode((uint32_t)(p[0] + draw(&state, p[1] - p[0])), bytes);
        text_add(out, bytes, (size_t)n);
    }
    if (draw(&state, 8)) return;
    const size_t half = out->n;
    text_str(out, special[draw(&state, sizeof special / sizeof *special)]);
    for (size_t k = 0; k < half; k++) {
        const char byte = out->p[k];
        text_add(out, &byte, 1);
    }
}
