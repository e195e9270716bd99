#include <stdlib.h>
#include <unistd.h>

#include "folder.h"
#include "model/check.h"

static const str labels[] = {STR("a"), STR("b"), STR("c")};

static const char *good_folder(void) {
    return make_export(tiny_bert, "checked", "BertForSequenceClassification", labels, 3);
}

/* Replace the first `from` of a file by `to`. */
static void edit(const char *folder, const char *name, const char *from, const char *to) {
    arena *a = arena_new("test");
    const str s = slurp(a, folder, name);
    const char *at = strstr(s.p, from);
    if (!at) test_fail(__FILE__, __LINE__, "%s has no %s", name, from);
    const char *edited = arena_print(a, "%.*s%s%s", (int)(at - s.p), s.p, to, at + strlen(from));
    make_text(folder, name, edited);
    arena_free(a);
}

/* The check finds this, and only items from first to last fail. */
static void check_finds(const char *folder, int item, const char *expected) {
    check *c = check_folder(folder);
    int found = 0;
    for (int i = 0; i < c->n; i++) {
        const finding *f = &c->finding[i];
        if (f->passed) continue;
        if (f->item != item) test_fail(__FILE__, __LINE__, "item %d fails too: %s", f->item, f->text);
        if (strstr(f->text, expected)) found = 1;
        else if (c->n_failed == 1)
            test_fail(__FILE__, __LINE__, "\"%s\", expected \"%s\"", f->text, expected);
    }
    CHECK(found);
    CHECK(c->n_failed > 0);
    check_free(c);
}

TEST(check_finds_each_fault_of_config) {
    const char *folder = good_folder();
    edit(folder, "config.json", "\"hidden_dropout_prob\": 0.0", "\"hidden_dropout_prob\": 0");
    check_finds(folder, 3, "hidden_dropout_prob: expected a float with a point or an exponent");
    folder = good_folder();
    edit(folder, "config.json", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": 1");
    check_finds(folder, 3, "tie_word_embeddings: expected true or false");
    folder = good_folder();
    edit(folder, "config.json", "\"problem_type\": \"single_label_classification\"",
         "\"problem_type\": null");
    check_finds(folder, 3, "problem_type: expected text");
    folder = good_folder();
    edit(folder, "config.json", "\"torch_dtype\": \"float32\"", "\"torch_dtype\": \"float16\"");
    check_finds(folder, 3, "dtype and torch_dtype differ");
}

TEST(check_finds_labels_that_do_not_fit) {
    const char *folder = good_folder();
    edit(folder, "config.json", "\"a\": 0,\n    \"b\": 1", "\"a\": 1,\n    \"b\": 0");
    check_finds(folder, 4, "label2id is not the reverse of id2label");
    folder = good_folder();
    edit(folder, "config.json", "\"id2label\": {", "\"id2label\": {\n    \"3\": \"d\",");
    check *c = check_folder(folder);
    int head = 0, shape = 0;
    for (int i = 0; i < c->n; i++) {
        head |= !strcmp(c->finding[i].text, "4 labels, the head has 3 rows");
        shape |=
            !strcmp(c->finding[i].text, "\"classifier.bias\" is F32 [3], config.json implies F32 [4]") ||
            !strcmp(c->finding[i].text, "\"classifier.weight\" is F32 [3,8], config.json implies F32 [4,8]");
    }
    CHECK(head && shape);
    check_free(c);
}

TEST(check_finds_tensors_that_are_missing_or_too_many) {
    const char *folder = good_folder();
    edit(folder, "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    check_finds(folder, 1, "missing 16 of 57 tensors: bert.encoder.layer.2.attention.self.query.weight ...");
    folder = good_folder();
    edit(folder, "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    check_finds(folder, 1, "16 tensors that BertForSequenceClassification has not: \"bert.encoder.layer.1.");
    folder = good_folder();
    edit(folder, "config.json", "BertForSequenceClassification", "BertForChess");
    check_finds(folder, 1, "architecture \"BertForChess\" is none whose tensors are known");
}

TEST(check_finds_a_header_without_format_and_weights_in_half) {
    const char *folder = good_folder();
    model_config *c = make_config(tiny_bert);
    int n;
    param_want *want = make_wants(c->a, c, 3, &n);
    make_weights(folder, want, n, STORED_F16, NULL);
    check_finds(folder, 6, " tensors are not float32, first \"");
    arena *a = arena_new("test");
    folder = good_folder();
    const str s = slurp(a, folder, "model.safetensors");
    char *copy = arena_copy(a, s.p, s.n), *at = strstr(copy + 8, "\"pt\"");
    CHECK(at);
    memcpy(at, "\"tp\"", 4);
    make_file(folder, "model.safetensors", copy, s.n);
    check_finds(folder, 2, "model.safetensors: no \"format\": \"pt\" in its metadata");
    config_free(c);
    arena_free(a);
}

TEST(check_finds_values_that_are_not_finite) {
    const char *folder = good_folder();
    safetensors *s;
    CHECK_OK(safetensors_open(&s, make_path(folder, "model.safetensors"), err));
    const long at = (long)(s->data_at + safetensors_find(s, "classifier.weight")->begin) + 20;
    safetensors_close(s);
    const uint32_t nan = 0x7fc00000;
    FILE *f = fopen(make_path(folder, "model.safetensors"), "r+b");
    CHECK(f && !fseek(f, at, SEEK_SET) && fwrite(&nan, 4, 1, f) == 1 && !fclose(f));
    check_finds(folder, 8, "1 non-finite values, first in \"classifier.weight\" at index 5");
}

TEST(check_finds_tokenizers_that_do_not_fit) {
    const char *folder = good_folder();
    edit(folder, "tokenizer.json", "\"card\": 6", "\"card\": 21");
    check_finds(folder, 5, "tokenizer has 22 ids, embedding 20 rows; highest id used 21");
    folder = good_folder();
    edit(folder, "special_tokens_map.json", "\"[SEP]\"", "\"</s>\"");
    check_finds(folder, 5,
                "sep_token is \"[SEP]\" in tokenizer_config.json and another in special_tokens_map.json");
    folder = good_folder();
    edit(folder, "tokenizer_config.json", "\"pad_token\": \"[PAD]\"", "\"pad_token\": \"[X]\"");
    edit(folder, "special_tokens_map.json", "\"[PAD]\"", "\"[X]\"");
    check_finds(folder, 5, "pad_token \"[X]\" of tokenizer_config.json is not in tokenizer.json");
    folder = good_folder();
    edit(folder, "config.json", "\"pad_token_id\": 0", "\"pad_token_id\": 1");
    check_finds(folder, 5, "pad_token_id 1 of config.json, the tokenizer gives \"[PAD]\" id 0");
    CHECK(!unlink(make_path(folder, "tokenizer.json")));
    check_finds(folder, 5, "no tokenizer.json");
}

TEST(check_finds_a_card_that_is_no_yaml) {
    const char *folder = good_folder();
    edit(folder, "README.md", "library_name: transformers", "library_name: a: b");
    check_finds(folder, 7, "README.md: line 2: \": \" or \" #\" in a text without quotes");
    CHECK(!unlink(make_path(folder, "README.md")));
    check_finds(folder, 7, "no README.md");
}

TEST(check_of_nothing_fails_every_item) {
    check *c = check_folder(test_folder());
    text t = {0};
    CHECK_INT(c->n, CHECK_ITEMS);
    CHECK_INT(c->n_failed, CHECK_ITEMS);
    check_print(c, &t);
    CHECK(strstr(t.p, "FAILED 2 header     ") && strstr(t.p, "\n8 findings, 8 failed\n"));
    text_free(&t);
    check_free(c);
}
