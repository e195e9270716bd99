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

TEST(text_hostile_texts_of_ggml_have_the_published_ids) {
    static const char mark[] = "\n__ggml_vocab_test__\n";
    static const encode_options o = {.no_special = 1};
    arena *a = arena_new("gold");
    encoding e = {0};
    str in, out;
    int n = 0;
    CHECK_OK(file_read(&in, a, test_data_or_skip("tokenizer/ggml-vocab-bert-bge.gguf.inp"), 1 << 20,
                       HONE_EDATA, err));
    CHECK_OK(file_read(&out, a, test_data_or_skip("tokenizer/ggml-vocab-bert-bge.gguf.out"), 1 << 20,
                       HONE_EDATA, err));
    tokenizer *t = load_uncased();
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
    tokenizer_free(t);
    arena_free(a);
}
