/* stream.c - pieces of text while ids come: put together they are the whole, and each is whole characters. */
#include <zlib.h>

#include "base/rng.h"
#include "text/stream.h"
#include "text_util.h"

/* What is final of ids behind a prompt, piece by piece. Returns how much of the whole is the prompt's. */
static size_t stream_all(const tokenizer *t, const int32_t *id, int n_prompt, int n, text *out) {
    token_stream s = {0};
    size_t bad;
    text_clear(out);
    stream_begin(&s, t, id, n_prompt);
    for (int i = n_prompt; i < n; i++) {
        stream_add(&s, &id[i], 1);
        const str now = stream_text(&s);
        const size_t end = i + 1 == n ? now.n : stream_final(&s);
        CHECK(end <= now.n);
        if (end > out->n) text_add(out, now.p + out->n, end - out->n);
        CHECK(utf8_valid(out->p, out->n, &bad));
    }
    CHECK(str_eq(stream_text(&s), (str){out->p ? out->p : "", out->n}));
    const size_t from = s.from;
    stream_free(&s);
    return from;
}

TEST(stream_makes_the_decoded_text_of_any_ids) {
    static const char *const names[] = {"gpt2", "roberta", "llama", "t5", "xlm-roberta", "bert", "molecules", "pieces-bytes"};
    text x = {0}, out = {0}, whole = {0}, prompt = {0};
    encoding e = {0};
    static const encode_options o = {0};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        tokenizer *t = load_small(names[k]);
        for (uint64_t i = 0; i < 300; i++) {
            int32_t id[512];
            random_text(&x, i);
            CHECK_OK(tokenizer_encode(t, (str){x.p, x.n < 200 ? 0 : x.n}, (str){0}, &o, &e, err));
            const int n_prompt = e.n < 400 ? e.n : 0, n = n_prompt + 24;
            if (n_prompt) memcpy(id, e.id, sizeof *id * (size_t)n_prompt);
            for (int j = n_prompt; j < n; j++)
                id[j] = (int32_t)rng_below(5, RNG_TEST, i, (uint64_t)j, (uint64_t)tokenizer_size(t));
            text_clear(&whole), text_clear(&prompt);
            tokenizer_decode(t, id, n, 1, &whole);
            tokenizer_decode(t, id, n_prompt, 1, &prompt);
            const size_t from = stream_all(t, id, n_prompt, n, &out);
            CHECK(from <= prompt.n && from <= whole.n && (!from || !memcmp(whole.p, prompt.p, from)));
            CHECK(prompt.n - from <= 3 || !strcmp(names[k], "llama") || !strcmp(names[k], "pieces-bytes")); /* runs of bytes */
            if (!str_eq((str){whole.p + from, whole.n - from}, (str){out.p, out.n}))
                test_fail(__FILE__, __LINE__, "%s, text %d: \"%s\", expected \"%s\" without its prompt", names[k],
                          (int)i, out.p, whole.p);
        }
        tokenizer_free(t);
    }
    text_free(&x), text_free(&out), text_free(&whole), text_free(&prompt);
    encoding_free(&e);
}

TEST(stream_waits_for_the_rest_of_a_character) {
    tokenizer *t = NULL;
    token_stream s = {0};
    encoding e = {0};
    static const encode_options o = {0};
    CHECK_OK(tokenizer_load(&t, test_fixture("generate"), err));
    CHECK_OK(tokenizer_encode(t, STR("a\xe2\x82\xac!"), (str){0}, &o, &e, err)); /* a, three bytes of a euro, ! */
    CHECK_INT(e.n, 5);
    stream_begin(&s, t, e.id, 1);
    stream_add(&s, e.id + 1, 1);
    CHECK_INT(stream_final(&s), 0);
    stream_add(&s, e.id + 2, 1);
    CHECK_INT(stream_final(&s), 0);
    stream_add(&s, e.id + 3, 1);
    CHECK_INT(stream_final(&s), 3);
    stream_add(&s, e.id + 4, 1);
    CHECK(str_eq(stream_text(&s), STR("\xe2\x82\xac!")));
    CHECK_INT(stream_final(&s), 4);
    stream_begin(&s, t, e.id, 1);
    stream_add(&s, e.id + 1, 2);
    stream_add(&s, e.id, 1); /* that was no character: the library's mark, and what came then */
    CHECK(str_eq(stream_text(&s), STR("\xef\xbf\xbd" "a")));
    CHECK_INT(stream_final(&s), 4);
    stream_free(&s);
    encoding_free(&e);
    tokenizer_free(t);
}

/* Books and texts of all scripts: what GPT-2's vocabulary encodes comes back piece by piece. */
TEST(stream_gives_the_corpora_back_with_gpt2) {
    static const char *const files[] = {"gutenberg/alice.txt.gz", "unicode/udhr2.jsonl.gz", "unicode/blns.txt"};
    tokenizer *t = NULL;
    text back = {0};
    encoding e = {0};
    static const encode_options o = {0};
    char path[2][4200];
    arena *a = arena_new("copy");
    for (int k = 0; k < 2; k++) {
        str s;
        snprintf(path[k], sizeof path[k], "%s/%s", test_folder(), k ? "merges.txt" : "vocab.json");
        CHECK_OK(file_read(&s, a, test_data_or_skip(k ? "tokenizer/gpt2-vocab.bpe" : "tokenizer/gpt2-encoder.json"),
                           (size_t)1 << 28, HONE_EDATA, err));
        CHECK_OK(file_write(path[k], s.p, s.n, err));
    }
    CHECK_OK(tokenizer_load(&t, test_folder(), err));
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        static char line[1024]; /* a longer one comes in parts */
        gzFile in = gzopen(test_data_or_skip(files[f]), "rb");
        CHECK(in);
        for (int n = 0; gzgets(in, line, sizeof line) && n < 4000; n++) {
            size_t bad;
            if (!utf8_valid(line, strlen(line), &bad)) line[bad] = 0; /* which are cut anywhere */
            if (!*line) continue;
            CHECK_OK(tokenizer_encode(t, str_of(line), (str){0}, &o, &e, err));
            stream_all(t, e.id, 0, e.n, &back);
            CHECK_STR(back.p, line);
        }
        gzclose(in);
    }
    text_free(&back);
    encoding_free(&e);
    tokenizer_free(t);
    arena_free(a);
}
