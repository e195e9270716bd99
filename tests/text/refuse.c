/* refuse.c - tokenizer files that are wrong are refused by name and place (bad-inputs F36, F38 to F41). */
#include "text_util.h"

static const char *write_file(const char *name, const char *p, size_t n) {
    static char path[4200];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    CHECK_OK(file_write(path, p, n, err));
    return path;
}

/* Loading the test's folder must fail with a message that holds every part. */
static void must_refuse(const char *const *parts) {
    tokenizer *t = NULL;
    hone_err err = {0};
    CHECK_INT(tokenizer_load(&t, test_folder(), &err), HONE_EUSAGE);
    for (; *parts; parts++)
        if (!strstr(err.text, *parts) && !strstr(err.hint, *parts))
            test_fail(__FILE__, __LINE__, "\"%s\" does not hold \"%s\"", err.text, *parts);
    CHECK(!strchr(err.text, '\n'));
}
#define REFUSED(...) must_refuse((const char *const[]){__VA_ARGS__, NULL})

static void refuse_vocab(const char *content, const char *first, const char *second) {
    write_file("vocab.txt", content, strlen(content));
    REFUSED("vocab.txt", first, second);
}

TEST(text_vocabulary_is_refused_with_its_line) {
    refuse_vocab("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\na\n", "line 7", "\"a\" given twice, first in line 5");
    refuse_vocab("[PAD]\n[UNK]\n[CLS]\n\n[SEP]\n", "line 4", "empty");
    refuse_vocab("[PAD]\n[CLS]\n[SEP]\na\n", "\"[UNK]\"", "unk_token");
    refuse_vocab("[PAD]\n[UNK]\n[SEP]\na\n", "\"[CLS]\"", "cls_token");
    refuse_vocab("[UNK]\n\xff\n", "byte 6", "UTF-8");
    refuse_vocab("", "no tokens", "no tokens");
}

TEST(text_vocabulary_with_crlf_and_byte_order_mark_is_read) {
    static const char content[] = "\xef\xbb\xbf[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nhello\r\n##s\r\n";
    tokenizer *t = NULL;
    encoding e = {0};
    const encode_options o = {0};
    write_file("vocab.txt", content, sizeof content - 1);
    CHECK_OK(tokenizer_load(&t, test_folder(), err));
    CHECK_INT(tokenizer_size(t), 6);
    CHECK_OK(tokenizer_encode(t, STR("Hellos"), (str){0}, &o, &e, err));
    CHECK_INT(e.n, 4);
    CHECK_INT(e.id[1], 4);
    CHECK_INT(e.id[2], 5);
    encoding_free(&e);
    tokenizer_free(t);
}

TEST(text_vocabulary_uses_the_names_in_tokenizer_config) {
    static const char vocab[] = "<pad>\n<unk>\n<s>\n</s>\nhello\nHello\n";
    static const char config[] = "{\"unk_token\":\"<unk>\",\"cls_token\":{\"content\":\"<s>\"},\"sep_token\":"
                                 "\"</s>\",\"pad_token\":\"<pad>\","
                                 "\"mask_token\":null,\"do_lower_case\":false,\"model_max_length\":128}";
    tokenizer *t = NULL;
    encoding e = {0};
    const encode_options o = {0};
    write_file("vocab.txt", vocab, sizeof vocab - 1);
    write_file("tokenizer_config.json", config, sizeof config - 1);
    CHECK_OK(tokenizer_load(&t, test_folder(), err));
    const tokenizer_roles r = tokenizer_special(t);
    CHECK(r.pad == 0 && r.unk == 1 && r.cls == 2 && r.sep == 3 && r.mask == -1);
    CHECK_INT(tokenizer_model_max_length(t), 128);
    CHECK_OK(tokenizer_encode(t, STR("Hello </s>"), (str){0}, &o, &e, err));
    CHECK_INT(e.n, 4);
    CHECK_INT(e.id[0], 2);
    CHECK_INT(e.id[1], 5);
    CHECK_INT(e.id[2], 3);
    encoding_free(&e);
    tokenizer_free(t);
}

TEST(text_folder_without_tokenizer_is_refused) { REFUSED("no tokenizer.json and no vocab.txt"); }

/* ---- tokenizer.json ---- */

#define TOKENS "\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2"
#define MODEL "\"model\":{\"type\":\"WordPiece\",\"vocab\":{" TOKENS "}}"

static void refuse_json(const char *content, const char *first, const char *second) {
    write_file("tokenizer.json", content, strlen(content));
    REFUSED("tokenizer.json", first, second);
}

TEST(text_json_with_wrong_ids_is_refused_by_token_and_place) {
    refuse_json("{\"model\":{\"vocab\":{" TOKENS ",\"a\":4}}}", "no token has id 3", "line 1 column 19");
    refuse_json("{\"model\":{\"vocab\":{" TOKENS ",\"a\":2}}}", "id 2 of \"a\"", "twice");
    refuse_json("{\"model\":{\"vocab\":{" TOKENS ",\"a\":3,\"a\":4}}}", "\"a\"", "line 1 column");
    refuse_json("{\"model\":{\"vocab\":{" TOKENS ",\"a\":2147483648}}}", "id of \"a\"", "line 1 column 54");
    refuse_json("{\"model\":{\"vocab\":{" TOKENS ",\n\"a\":-1}}}", "id of \"a\"", "line 2 column 5");
    refuse_json("{\"model\":{\"vocab\":{" TOKENS ",\"a\":1.5}}}", "id of \"a\"", "model.vocab");
    refuse_json("{\"model\":{\"vocab\":{\"a\":0}}}", "model.unk_token", "not in the vocabulary");
    refuse_json("{\"model\":{\"vocab\":{" TOKENS "},\"max_input_chars_per_word\":0}}",
                "max_input_chars_per_word", "[1, 500]");
    refuse_json("{\"model\":{}}", "model.vocab", "missing");
    refuse_json("{}", "model", "missing");
    refuse_json("[]", "expected an object", "line 1");
    refuse_json("{\"model\":", "line 1", "column");
}

TEST(text_json_of_other_kinds_is_refused_by_name) {
    refuse_json("{\"model\":{\"type\":\"Regexp\",\"vocab\":{}}}", "\"Regexp\" is not yet available",
                "WordPiece");
    refuse_json("{" MODEL ",\"normalizer\":{\"type\":\"ByteLevel\"}}", "\"ByteLevel\" is not yet available",
                "BertNormalizer");
    refuse_json("{" MODEL ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(a+)+\"}}}",
                "normalizer.pattern", "(a+)+");
    refuse_json("{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}}",
                "precompiled_charsmap", "cut short");
    refuse_json("{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"A A\"}}",
                "precompiled_charsmap", "base64");
    refuse_json("{" MODEL ",\"pre_tokenizer\":{\"type\":\"Digits\"}}", "\"Digits\" is not yet available",
                "BertPreTokenizer");
    refuse_json("{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a+)+$\"},"
                "\"behavior\":\"Isolated\"}}",
                "(a+)+$", "exponential time");
    refuse_json("{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", "ByteLevel", "BPE only");
    refuse_json("{" MODEL ",\"post_processor\":{\"type\":\"Odd\"}}", "\"Odd\"", "TemplateProcessing");
    refuse_json("{" MODEL ",\"decoder\":{\"type\":\"CTC\"}}", "\"CTC\"", "decoder.type");
    refuse_json("{\"model\":{\"type\":\"B\\u001b[31m\\n\"}}", "\\x1b", "\\x0a");
}

TEST(text_json_with_a_wrong_model_is_refused_by_place) {
#define BPE(merges)                                                                                          \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[" merges "]}}"
    refuse_json(BPE("\"a c\""), "model.merges", "second piece is not in the vocabulary");
    refuse_json(BPE("\"a b\",\"b a\""), "line 1 column", "what it makes is not in the vocabulary");
    refuse_json(BPE("\"a b c\""), "model.merges", "expected two pieces");
    refuse_json(BPE("[\"a\"]"), "model.merges", "expected two pieces");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "model.merges", "missing");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1}}", "dropout",
                "null");
    refuse_json("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1],[\"a\",-2]],\"unk_id\":0}}",
                "model.vocab", "there already");
    refuse_json("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",\"b\"]],\"unk_id\":0}}", "model.vocab",
                "[token, score]");
    refuse_json("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]],\"unk_id\":1}}", "model.unk_id",
                "id of a token");
    refuse_json("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}}", "model.unk_token",
                "not in the vocabulary");
}

static void refuse_merges(const char *vocab, const char *merges, const char *first, const char *second) {
    write_file("vocab.json", vocab, strlen(vocab));
    write_file("merges.txt", merges, strlen(merges));
    REFUSED(first, second);
}

TEST(text_merges_are_refused_with_their_line) {
    static const char vocab[] = "{\"a\":0,\"b\":1,\"ab\":2,\"<|endoftext|>\":3}";
    refuse_merges(vocab, "#version: 0.2\na b\na c\n", "merges.txt: line 3", "second piece");
    refuse_merges(vocab, "a b\nb b\n", "merges.txt: line 2: \"b b\"", "what it makes");
    refuse_merges(vocab, "a b ab\n", "line 1", "two pieces");
    refuse_merges(vocab, "a b\n\na b\n", "line 2", "two pieces");
    refuse_merges("{\"a\":0,\"b\":2}", "a b\n", "vocab.json", "no token has id 1");
    refuse_merges("{\"a\":0,\"b\":0}", "a b\n", "vocab.json", "twice");
}

TEST(text_json_with_a_wrong_template_is_refused_by_field) {
#define TEMPLATE(single, table)                                                                              \
    "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single                     \
    "],\"pair\":[],\"special_tokens\":{" table "}}}"
    refuse_json(TEMPLATE("{\"SpecialToken\":{\"id\":\"[BOS]\",\"type_id\":0}}", ""), "special_tokens",
                "\"[BOS]\"");
    refuse_json(TEMPLATE("{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}}",
                         "\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[77],\"tokens\":[\"[CLS]\"]}"),
                "\"[CLS]\"", "no token");
    refuse_json(TEMPLATE("{\"Sequence\":{\"id\":\"C\",\"type_id\":0}}", ""), "post_processor",
                "\"A\" or \"B\"");
    refuse_json(TEMPLATE("{\"Sequence\":{\"id\":\"A\",\"type_id\":300}}", ""), "type_id", "[0, 255]");
    refuse_json(TEMPLATE("7", ""), "post_processor", "Sequence or SpecialToken");
    refuse_json(
        "{" MODEL
        ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",9],\"cls\":[\"[CLS]\",1]}}",
        "post_processor", "sep and cls");
}

TEST(text_json_with_wrong_added_tokens_is_refused) {
    refuse_json("{" MODEL ",\"added_tokens\":[{\"id\":5}]}", "added_tokens", "content and id");
    refuse_json("{" MODEL ",\"added_tokens\":[{\"id\":1,\"content\":\"x\"}]}", "added_tokens",
                "id of another token");
    refuse_json("{" MODEL ",\"added_tokens\":[{\"id\":2,\"content\":\"[CLS]\"}]}", "added_tokens",
                "another id");
    refuse_json("{" MODEL ",\"added_tokens\":[{\"id\":2147483648,\"content\":\"x\"}]}", "added_tokens",
                "content and id");
    text t = {0};
    text_str(&t, "{" MODEL ",\"added_tokens\":[");
    for (int i = 0; i <= 100000; i++)
        text_printf(&t, "%s{\"id\":%d,\"content\":\"t%d\"}", i ? "," : "", i + 3, i);
    text_str(&t, "]}");
    refuse_json(t.p, "added_tokens", "at most 100,000");
    text_free(&t);
}

TEST(text_json_nested_too_deep_is_refused) {
    text t = {0};
    text_str(&t, "{" MODEL ",\"added_tokens\":");
    for (int i = 0; i < 10000; i++) text_str(&t, "[");
    refuse_json(t.p, "line 1", "deep");
    text_free(&t);
}

TEST(text_shorter_than_the_special_tokens_is_refused) {
    tokenizer *t = load_small("bert");
    encoding e = {0};
    hone_err err = {0};
    const encode_options o = {.max_length = 1};
    CHECK_INT(tokenizer_encode(t, STR("hello"), (str){0}, &o, &e, &err), HONE_EUSAGE);
    CHECK(strstr(err.text, "max_seq_length") && strstr(err.text, "2 or more"));
    CHECK_INT(tokenizer_encode(t, STR("hello"), STR("fox"), &o, &e, &err), HONE_EUSAGE);
    encoding_free(&e);
    tokenizer_free(t);
}
