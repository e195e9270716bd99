/* sums.c - real vocabularies over random texts and all real data, and the normaliser alone with every choice
 * of its options, against sums of what the library answered. Vocabularies and data are not in the repository:
 * without them a test is skipped. */
#include <zlib.h>

#include "base/host.h"
#include "base/mem.h"
#include "text/normalize.h"
#include "text_util.h"

typedef struct {
    arena *a;
    const json *golden;
    tokenizer *t[8];
    const json *row[8];
    int n;
} vocabs;

static void open_vocabs(vocabs *v) {
    test_data_or_skip("tokenizer/bert-base-cased-vocab.txt");
    v->a = arena_new("sums");
    v->golden = json_of_file(v->a, test_fixture("tokenizer/sums.json"));
    for (const json *row = member(v->golden, "vocabs")->child; row; row = row->next, v->n++) {
        const json *o = member(row, "options"), *strip = member(o, "strip_accents");
        const char *file = arena_print(v->a, "tokenizer/%s", text_of(row, "file"));
        const char *folder = arena_print(v->a, "%s/%d", test_folder(), v->n);
        make_vocab_folder(
            folder, test_data_or_skip(file),
            arena_print(v->a, "{\"do_lower_case\":%s,\"strip_accents\":%s,\"tokenize_chinese_chars\":%s}",
                        member(o, "do_lower_case")->boolean ? "true" : "false",
                        strip->kind == JSON_NULL ? "null"
                        : strip->boolean         ? "true"
                                                 : "false",
                        member(o, "tokenize_chinese_chars")->boolean ? "true" : "false"));
        CHECK_OK(tokenizer_load(&v->t[v->n], folder, err));
        v->row[v->n] = row;
    }
    CHECK_INT(v->n, 4);
}

static void close_vocabs(vocabs *v) {
    for (int i = 0; i < v->n; i++) tokenizer_free(v->t[i]);
    arena_free(v->a);
}

/* Sums over texts: each alone, and the first 4,000 as pairs of neighbours. */
static void sum_texts(const tokenizer *t, const str *texts, size_t n, char one[65], char two[65]) {
    static const encode_options whole = {0};
    running_sum a, b;
    encoding e = {0};
    sum_begin(&a);
    sum_begin(&b);
    for (size_t i = 0; i < n; i++) {
        CHECK_OK(tokenizer_encode(t, texts[i], (str){0}, &whole, &e, err));
        add_encoding(&a, &e, texts[i], (str){0});
        if (i % 2 && i < 4000) {
            CHECK_OK(tokenizer_encode(t, texts[i - 1], texts[i], &whole, &e, err));
            add_encoding(&b, &e, texts[i - 1], texts[i]);
        }
    }
    sum_end(&a, one);
    sum_end(&b, two);
    encoding_free(&e);
}

static void check_sums(const char *vocab, const char *what, const tokenizer *t, const str *texts, size_t n,
                       const json *golden) {
    char one[65], two[65];
    sum_texts(t, texts, n, one, two);
    if (!str_is(golden->child->string, one))
        test_fail(__FILE__, __LINE__, "%s: %s: other ids, types or offsets", vocab, what);
    if (!str_is(golden->child->next->string, two))
        test_fail(__FILE__, __LINE__, "%s: %s: pairs have other ids, types or offsets", vocab, what);
}

TEST(text_random_texts_encode_as_the_library_does) {
    vocabs v = {0};
    open_vocabs(&v);
    str *texts = ARENA_ARRAY(v.a, N_RANDOM, str);
    text x = {0};
    for (size_t i = 0; i < N_RANDOM; i++) {
        random_text(&x, i);
        texts[i] = (str){arena_copy(v.a, x.p, x.n), x.n};
    }
    for (int k = 0; k < v.n; k++) {
        size_t from = 0;
        for (const json *s = member(v.row[k], "random")->child; s; s = s->next, from += 1000)
            check_sums(text_of(v.row[k], "name"), arena_print(v.a, "random texts from %zu", from), v.t[k],
                       texts + from, 1000, s);
        CHECK_INT(from, N_RANDOM);
    }
    text_free(&x);
    close_vocabs(&v);
}

#define PIECE 4096 /* characters at most: whole books stand in one line of some files */

/* A file's lines (whether it is compressed or not); *owner is given back with mem_free. */
static str *read_lines(const char *path, size_t *n, char **owner) {
    gzFile f = gzopen(path, "rb");
    if (!f) test_fail(__FILE__, __LINE__, "%s cannot be read", path);
    size_t bytes = 0, cap = 1 << 20;
    char *p = mem_new(cap, "file");
    for (int got; (got = gzread(f, p + bytes, (unsigned)(cap - bytes))) > 0;) {
        bytes += (size_t)got;
        if (bytes == cap) p = mem_grow(p, cap, 2 * cap, "file"), cap *= 2;
    }
    gzclose(f);
    *n = 1 + bytes / PIECE;
    for (size_t i = 0; i < bytes; i++) *n += p[i] == '\n';
    str *lines = mem_new(*n * sizeof *lines, "lines");
    size_t from = 0, k = 0, n_characters = 0;
    for (size_t i = 0; i <= bytes; i++) {
        const int end = i == bytes || p[i] == '\n';
        if ((end && (i > from || !n_characters)) ||
            (!end && n_characters && n_characters % PIECE == 0 && (p[i] & 0xc0) != 0x80))
            lines[k++] = (str){p + from, i - from}, from = i;
        if (end) from = i + 1, n_characters = 0;
        else n_characters += (p[i] & 0xc0) != 0x80;
    }
    *n = k;
    *owner = p;
    return lines;
}

static void check_vocab(int which) {
    vocabs v = {0};
    int n_files = 0;
    open_vocabs(&v);
    for (const json *s = member(v.row[which], "files")->child; s; s = s->next, n_files++) {
        const char *path = arena_print(v.a, "%s/%s", test_data(), s->key.p);
        char *owner;
        size_t n;
        if (!file_exists(path)) continue; /* data that may have been taken away */
        str *lines = read_lines(path, &n, &owner);
        check_sums(text_of(v.row[which], "name"), s->key.p, v.t[which], lines, n, s);
        mem_free(lines);
        mem_free(owner);
    }
    CHECK(n_files >= 12);
    close_vocabs(&v);
}

TEST(text_all_data_encodes_as_the_library_does_uncased) { check_vocab(0); }
TEST(text_all_data_encodes_as_the_library_does_cased) { check_vocab(1); }
TEST(text_hostile_data_encodes_as_the_library_does_with_accents_kept) { check_vocab(2); }
TEST(text_hostile_data_encodes_as_the_library_does_cased_and_stripped) { check_vocab(3); }

TEST(text_normalises_random_texts_as_the_library_does_with_every_option) {
    arena *a = arena_new("sums");
    text in = {0}, out = {0};
    characters c = {0};
    int n = 0;
    const json *golden = json_of_file(a, test_fixture("tokenizer/sums.json"));
    for (const json *row = member(golden, "normalizers")->child; row; row = row->next, n++) {
        const json *flag[4] = {row->child};
        for (int k = 1; k < 4; k++) flag[k] = flag[k - 1]->next;
        const normalize_options o = {flag[0]->boolean, flag[1]->boolean, flag[2]->boolean, flag[3]->boolean};
        running_sum sum;
        char hex[65];
        sum_begin(&sum);
        for (uint64_t i = 0; i < N_RANDOM; i++) {
            random_text(&in, i);
            c.n = 0;
            normalize_text(&c, &o, (str){in.p, in.n}, 0);
            text_clear(&out);
            for (size_t k = 0; k < c.n; k++) {
                char bytes[4];
                text_add(&out, bytes, (size_t)utf8_encode(c.code[k], bytes));
            }
            text_str(&out, "\n");
            sum_add(&sum, out.p, out.n);
        }
        sum_end(&sum, hex);
        if (!str_is(flag[3]->next->string, hex))
            test_fail(__FILE__, __LINE__,
                      "clean_text %d, chinese_chars %d, strip_accents %d, lowercase %d: other text",
                      o.clean_text, o.chinese_chars, o.strip_accents, o.lowercase);
    }
    CHECK_INT(n, 16);
    characters_free(&c);
    text_free(&in);
    text_free(&out);
    arena_free(a);
}

/* One tokenizer, many threads: each text the same whoever encodes it. */
typedef struct {
    const tokenizer *t;
    encoding *e;
    char (*sum)[65];
} many;

static void encode_hundred(void *arg, int64_t i, int thread) {
    const many *m = arg;
    static const encode_options o = {0};
    text x = {0};
    running_sum sum;
    sum_begin(&sum);
    for (uint64_t k = 0; k < 100; k++) {
        random_text(&x, (uint64_t)i % 10 * 100 + k);
        CHECK_OK(tokenizer_encode(m->t, (str){x.p, x.n}, (str){0}, &o, &m->e[thread], err));
        add_encoding(&sum, &m->e[thread], (str){x.p, x.n}, (str){0});
    }
    sum_end(&sum, m->sum[i]);
    text_free(&x);
}

TEST(text_threads_share_a_tokenizer) {
    tokenizer *t = load_small("added");
    encoding e[4] = {{0}};
    char sum[80][65];
    pool *p = pool_new(4);
    many m = {t, e, sum};
    pool_run(p, 80, encode_hundred, &m);
    for (int i = 10; i < 80; i++) CHECK_STR(sum[i], sum[i % 10]);
    pool_free(p);
    for (int i = 0; i < 4; i++) encoding_free(&e[i]);
    tokenizer_free(t);
}
