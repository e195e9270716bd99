/* gold.c - ids that others published for bert-base-uncased: questions of SQuAD, hostile texts of ggml. */
#include <zlib.h>

#include "text_util.h"

static tokenizer *load_uncased(void) {
    tokenizer *t = NULL;
    make_vocab_folder(test_folder(), test_data_or_skip("tokenizer/bert-base-uncased-vocab.txt"), "{}");
    CHECK_OK(tokenizer_load(&t, test_folder(), err));
    return t;
}

TEST(text_squad_questions_have_the_published_ids) {
    const char *path = test_data_or_skip("tokenizer/bert-uncased-gold-squad-questions.jsonl.gz");
    static char line[1 << 16];
    static const encode_options o = {.no_special = 1};
    encoding e = {0};
    tokenizer *t = load_uncased();
    gzFile f = gzopen(path, "rb");
    int n = 0;
    CHECK(f);
    for (; gzgets(f, line, sizeof line); n++) {
        arena *a = arena_new("line");
        const json *row;
        CHECK_OK(json_parse(&row, a, path, line, strlen(line), HONE_EDATA, err));
        CHECK_OK(tokenizer_encode(t, member(row, "original")->string, (str){0}, &o, &e, err));
        const json *ids = member(row, "ids"), *id = ids->child;
        CHECK_INT(e.n, ids->n);
        for (int i = 0; i < e.n; i++, id = id->next)
            if (e.id[i] != id->integer)
                test_fail(__FILE__, __LINE__, "%s: token %d", text_of(row, "original"), i);
        arena_free(a);
    }
    CHECK_INT(n, 10570);
    gzclose(f);
    encoding_free(&e);
    tokenizer_free(t);
}

static void check_ggml(tokenizer *t, const char *inputs, const char *outputs) {
    static const char mark[] = "\n__ggml_vocab_test__\n";
    static const encode_options o = {.no_special = 1};
    arena *a = arena_new("gold");
    encoding e = {0};
    str in, out;
    int n = 0;
    CHECK_OK(file_read(&in, a, test_data_or_skip(inputs), 1 << 20, HONE_EDATA, err));
    CHECK_OK(file_read(&out, a, test_data_or_skip(outputs), 1 << 20, HONE_EDATA, err));
    for (const char *p = in.p, *q = out.p, *end; (end = strstr(p, mark)); p = end + sizeof mark - 1, n++) {
        CHECK_OK(tokenizer_encode(t, (str){p, (size_t)(end - p)}, (str){0}, &o, &e, err));
        for (int i = 0; i < e.n; i++) {
            char *behind;
            CHECK_INT(e.id[i], strtol(q, &behind, 10));
            q = behind;
        }
        while (*q == ' ') q++;
        CHECK(*q == '\n');
        q++;
    }
    CHECK(n > 20);
    encoding_free(&e);
    arena_free(a);
}

TEST(text_hostile_texts_of_ggml_have_the_published_ids) {
    tokenizer *t = load_uncased();
    check_ggml(t, "tokenizer/ggml-vocab-bert-bge.gguf.inp", "tokenizer/ggml-vocab-bert-bge.gguf.out");
    tokenizer_free(t);
}

static void copy_to(const char *name, const char *from) {
    char path[4200];
    arena *a = arena_new("copy");
    str s;
    CHECK_OK(file_read(&s, a, from, (size_t)1 << 28, HONE_EDATA, err));
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    CHECK_OK(file_write(path, s.p, s.n, err));
    arena_free(a);
}

static tokenizer *load_gpt2(void) {
    tokenizer *t = NULL;
    copy_to("vocab.json", test_data_or_skip("tokenizer/gpt2-encoder.json"));
    copy_to("merges.txt", test_data_or_skip("tokenizer/gpt2-vocab.bpe"));
    CHECK_OK(tokenizer_load(&t, test_folder(), err));
    return t;
}

TEST(text_gpt2_has_the_published_ids) {
    arena *a = arena_new("gold");
    encoding e = {0};
    text back = {0};
    static const encode_options o = {0};
    tokenizer *t = load_gpt2();
    CHECK_INT(tokenizer_size(t), 50257);
    CHECK_INT(tokenizer_special(t).eos, 50256);
    check_ggml(t, "tokenizer/ggml-vocab-gpt-2.gguf.inp", "tokenizer/ggml-vocab-gpt-2.gguf.out");
    const json *root = json_of_file(a, test_data_or_skip("tokenizer/gpt2-gold-french.json"));
    const str whole = member(root, "text")->string;
    const json *ids = member(root, "token_ids"), *id = ids->child;
    CHECK_OK(tokenizer_encode(t, whole, (str){0}, &o, &e, err));
    CHECK_INT(e.n, ids->n);
    for (int i = 0; i < e.n; i++, id = id->next) CHECK_INT(e.id[i], id->integer);
    tokenizer_decode(t, e.id, e.n, 0, &back);
    CHECK(str_eq((str){back.p, back.n}, whole));
    text_free(&back);
    encoding_free(&e);
    tokenizer_free(t);
    arena_free(a);
}

/* Real data through GPT-2, against sums of the library's answers. */
TEST(text_hostile_data_encodes_as_the_library_does_with_gpt2) {
    arena *a = arena_new("sums");
    static const encode_options o = {0};
    encoding e = {0};
    text x = {0};
    running_sum sum;
    char hex[65];
    tokenizer *t = load_gpt2();
    const json *golden = json_of_file(a, test_fixture("tokenizer/gpt2-sums.json"));
    sum_begin(&sum);
    for (uint64_t i = 0; i < N_RANDOM; i++) {
        random_text(&x, i);
        CHECK_OK(tokenizer_encode(t, (str){x.p, x.n}, (str){0}, &o, &e, err));
        add_encoding(&sum, &e, (str){x.p, x.n}, (str){0});
    }
    sum_end(&sum, hex);
    CHECK_STR(hex, text_of(golden, "random"));
    int n = 0;
    for (const json *f = member(golden, "files")->child; f; f = f->next, n++) {
        static char line[1 << 22];
        gzFile in = gzopen(test_data_or_skip(f->key.p), "rb");
        CHECK(in);
        sum_begin(&sum);
        while (gzgets(in, line, sizeof line)) { /* with its newline */
            const str s = str_of(line);
            CHECK_OK(tokenizer_encode(t, s, (str){0}, &o, &e, err));
            add_encoding(&sum, &e, s, (str){0});
        }
        gzclose(in);
        sum_end(&sum, hex);
        if (strcmp(hex, f->string.p)) test_fail(__FILE__, __LINE__, "%s: other ids or offsets", f->key.p);
    }
    CHECK(n >= 4);
    text_free(&x);
    encoding_free(&e);
    tokenizer_free(t);
    arena_free(a);
}
