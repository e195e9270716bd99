#include <stdlib.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "folder.h"
#include "model/architecture.h"
#include "model/check.h"
#include "model/inspect.h"
#include "model/json_print.h"
#include "model/tokenizer_files.h"

static const str labels[] = {STR("card \"lost\""), STR("no"), STR("über\n<b>|")};

TEST(export_config_is_written_as_transformers_writes_it) {
    arena *a = arena_new("test");
    const char *folder = make_export(tiny_bert, "bert", "BertForSequenceClassification", labels, 3);
    CHECK_STR(slurp(a, folder, "config.json").p, "{\n"
                                                 "  \"architectures\": [\n"
                                                 "    \"BertForSequenceClassification\"\n"
                                                 "  ],\n"
                                                 "  \"attention_probs_dropout_prob\": 0.1,\n"
                                                 "  \"classifier_dropout\": null,\n"
                                                 "  \"dtype\": \"float32\",\n"
                                                 "  \"hidden_act\": \"gelu\",\n"
                                                 "  \"hidden_dropout_prob\": 0.0,\n"
                                                 "  \"hidden_size\": 8,\n"
                                                 "  \"id2label\": {\n"
                                                 "    \"0\": \"card \\\"lost\\\"\",\n"
                                                 "    \"1\": \"no\",\n"
                                                 "    \"2\": \"über\\n<b>|\"\n"
                                                 "  },\n"
                                                 "  \"initializer_range\": 0.02,\n"
                                                 "  \"intermediate_size\": 16,\n"
                                                 "  \"label2id\": {\n"
                                                 "    \"card \\\"lost\\\"\": 0,\n"
                                                 "    \"no\": 1,\n"
                                                 "    \"über\\n<b>|\": 2\n"
                                                 "  },\n"
                                                 "  \"layer_norm_eps\": 1e-12,\n"
                                                 "  \"max_position_embeddings\": 12,\n"
                                                 "  \"model_type\": \"bert\",\n"
                                                 "  \"num_attention_heads\": 2,\n"
                                                 "  \"num_hidden_layers\": 2,\n"
                                                 "  \"pad_token_id\": 0,\n"
                                                 "  \"problem_type\": \"single_label_classification\",\n"
                                                 "  \"some_extra\": {\n"
                                                 "    \"a\": [\n"
                                                 "      1,\n"
                                                 "      2.5,\n"
                                                 "      null,\n"
                                                 "      true,\n"
                                                 "      \"x\\n\"\n"
                                                 "    ]\n"
                                                 "  },\n"
                                                 "  \"tie_word_embeddings\": true,\n"
                                                 "  \"torch_dtype\": \"float32\",\n"
                                                 "  \"transformers_version\": \"4.8.2\",\n"
                                                 "  \"type_vocab_size\": 2,\n"
                                                 "  \"vocab_size\": 20\n"
                                                 "}\n");
    arena_free(a);
}

/* What was exported loads as the model that was exported, bit by bit, with nothing new and nothing left over.
 */
static void check_round_trip(const char *config, const char *name, const char *architecture, int n_labels) {
    const char *folder = make_export(config, name, architecture, n_labels ? labels : NULL, n_labels);
    model_config *c;
    params *p;
    int n, n_ignored, n_unexpected;
    const params_options options = {.strict = 1, .quiet = 1};
    CHECK_OK(config_load(&c, folder, err));
    CHECK_STR(c->architecture, architecture);
    param_want *want = architecture_params(c->a, c, architecture, n_labels, &n);
    CHECK_OK(params_open(&p, c, folder, want, n, &options, err));
    CHECK_INT(params_n_new(p), 0);
    params_ignored(p, &n_ignored);
    params_unexpected(p, &n_unexpected);
    CHECK_INT(n_ignored + n_unexpected, 0);
    for (int i = 0; i < n; i++) {
        float values[1000], stored[1000];
        const stored_tensor *t = params_source(p, i);
        make_values(values, t->n, i);
        CHECK_INT(t->type, STORED_F32);
        CHECK_OK(params_read(p, i, 0, t->n, stored, err));
        CHECK(!memcmp(stored, values, (size_t)t->n * 4));
    }
    params_close(p);
    config_free(c);
    check *result = check_folder(folder);
    for (int i = 0; i < result->n; i++)
        if (!result->finding[i].passed)
            test_fail(__FILE__, __LINE__, "%d: %s", result->finding[i].item, result->finding[i].text);
    CHECK_INT(result->n, CHECK_ITEMS);
    check_free(result);
}

TEST(export_of_every_family_loads_again_bit_by_bit_and_passes_the_check) {
    check_round_trip(tiny_bert, "bert-classes", "BertForSequenceClassification", 3);
    check_round_trip(tiny_distilbert, "distilbert-classes", "DistilBertForSequenceClassification", 3);
    check_round_trip(tiny_bert, "bert-masked", "BertForMaskedLM", 0);
    check_round_trip(tiny_bert, "bert-bare", "BertModel", 0);
    check_round_trip(tiny_distilbert, "distilbert-masked", "DistilBertForMaskedLM", 0);
    check_round_trip(tiny_roberta, "roberta-classes", "RobertaForSequenceClassification", 3);
    check_round_trip(tiny_roberta, "roberta-masked", "RobertaForMaskedLM", 0);
    check_round_trip(tiny_roberta, "roberta-tokens", "RobertaForTokenClassification", 3);
    check_round_trip(tiny_bert, "bert-tokens", "BertForTokenClassification", 3);
    check_round_trip(tiny_bert, "bert-spans", "BertForQuestionAnswering", 0);
    check_round_trip(tiny_roberta, "roberta-spans", "RobertaForQuestionAnswering", 0);
    check_round_trip(tiny_distilbert, "distilbert-tokens", "DistilBertForTokenClassification", 3);
    check_round_trip(tiny_distilbert, "distilbert-spans", "DistilBertForQuestionAnswering", 0);
    check_round_trip(tiny_bert, "bert-pretraining", "BertForPreTraining", 0);
    check_round_trip(tiny_gpt2, "gpt2-texts", "GPT2LMHeadModel", 0);
    check_round_trip(tiny_gpt2, "gpt2-classes", "GPT2ForSequenceClassification", 3);
    check_round_trip(tiny_gpt2, "gpt2-bare", "GPT2Model", 0);
}

/* Read and written again: the same bytes, in which a product of GPT-2 is stored [in, out]. */
TEST(export_turns_the_products_of_gpt2_as_the_folder_has_them) {
    arena *a = arena_new("test");
    const char *folder = make_export(tiny_gpt2, "first", "GPT2LMHeadModel", NULL, 0);
    const str config = slurp(a, folder, "generation_config.json");
    CHECK(strstr(config.p, "\"eos_token_id\": 3,") && !strstr(config.p, "n_embd"));
    CHECK(strstr(slurp(a, folder, "config.json").p, "\"summary_first_dropout\": 0.0,"));
    model_config *c;
    weights *w;
    int n, turned = 0;
    CHECK_OK(config_load(&c, folder, err));
    CHECK_OK(weights_open(&w, folder, err));
    param_want *want = architecture_params(c->a, c, "GPT2LMHeadModel", 0, &n);
    for (int i = 0; i < n; i++) {
        float values[1000], stored[1000];
        const int at = weights_find(w, want[i].name);
        const int64_t I = want[i].dim[1], O = want[i].dim[0];
        CHECK(at >= 0);
        if (!want[i].transposed) continue;
        turned++;
        CHECK(w->tensor[at]->dim[0] == I && w->tensor[at]->dim[1] == O);
        CHECK_OK(safetensors_floats(w->of[at], w->tensor[at], 0, I * O, stored, err));
        make_values(values, I * O, i);
        for (int64_t o = 0; o < O; o++)
            for (int64_t k = 0; k < I; k++) CHECK(stored[k * O + o] == values[o * I + k]);
    }
    CHECK_INT(turned, 4 * 2);
    weights_close(w);
    config_free(c);
    arena_free(a);
}

TEST(export_of_a_value_says_regression) {
    model_config *c;
    const char *folder = make_export(tiny_bert, "regression", "BertForSequenceClassification", NULL, 1);
    CHECK_OK(config_load(&c, folder, err));
    CHECK_STR(c->problem_type, "regression");
    CHECK_INT(c->n_labels, 1);
    CHECK_STR(c->label[0].p, "LABEL_0");
    config_free(c);
}

TEST(export_of_two_labels_alike_is_refused_before_anything_is_written) {
    static const str twice[] = {STR("a"), STR("b"), STR("a")};
    model_config *c = make_config(tiny_bert);
    int n;
    param_want *want = architecture_params(c->a, c, "BertForSequenceClassification", 3, &n);
    const export_model m = {.config = c,
                            .label = twice,
                            .n_labels = 3,
                            .param = want,
                            .n_params = n,
                            .get = formula_values,
                            .from = want};
    const char *folder = make_path(test_folder(), "out");
    CHECK_REFUSED(export_write(&m, folder, NULL, err), HONE_EUSAGE,
                  "label 0 and label 2 are both \"a\"; expected each label once");
    CHECK(!file_exists(folder));
    config_free(c);
}

static hone_status fail_at_last(void *want, int i, float *to, hone_err *err) {
    formula_values(want, i, to, err);
    return strstr(((param_want *)want)[i].name, "type_embeddings")
               ? hone_fail(err, HONE_ESTORAGE, "the device is gone")
               : HONE_OK;
}

TEST(export_that_fails_leaves_the_older_model_alone) {
    arena *a = arena_new("test");
    const char *folder = make_export(tiny_bert, "out", "BertForSequenceClassification", labels, 3);
    const str config = slurp(a, folder, "config.json"),
              weights_before = slurp(a, folder, "model.safetensors");
    const char **names;
    int n, n_files;
    CHECK_OK(folder_list(&names, &n_files, a, folder, err));
    model_config *c = make_config(tiny_bert);
    param_want *want = architecture_params(a, c, "BertForSequenceClassification", 2, &n);
    const export_model m = {
        .config = c, .n_labels = 2, .param = want, .n_params = n, .get = fail_at_last, .from = want};
    CHECK_REFUSED(export_write(&m, folder, NULL, err), HONE_ESTORAGE, "the device is gone");
    CHECK(str_eq(slurp(a, folder, "config.json"), config));
    CHECK(str_eq(slurp(a, folder, "model.safetensors"), weights_before));
    CHECK_OK(folder_list(&names, &n, a, folder, err));
    CHECK_INT(n, n_files);
    config_free(c);
    arena_free(a);
}

TEST(export_keeps_no_key_that_names_code) {
    char edited[2000];
    text out = {0};
    snprintf(edited, sizeof edited,
             "{\"auto_map\": {\"AutoModel\": \"x--y.Z\"}, \"_attn_implementation\": \"z\", "
             "\"_name_or_path\": \"p\", %s",
             tiny_bert + 1);
    model_config *c = make_config(edited);
    const export_model m = {.config = c, .n_labels = 2};
    CHECK_OK(export_config(&m, &out, err));
    CHECK(!strstr(out.p, "auto_map") && !strstr(out.p, "_attn") && !strstr(out.p, "_name_or_path") &&
          strstr(out.p, "some_extra"));
    text_free(&out);
    config_free(c);
}

TEST(export_writes_reals_so_that_they_read_back_and_read_as_reals) {
    static const double reals[] = {0,     -0.0,   1,         0.1,  1e-12, 1.0 / 3,
                                   1e300, 5e-324, 123456789, 1e16, 0.02,  -2.5e-7};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        text t = {0};
        json_print_real(&t, reals[i]);
        CHECK(strtod(t.p, NULL) == reals[i]);
        CHECK(strpbrk(t.p, ".e"));
        text_free(&t);
    }
}

/* ---- tokenizer files
 * ------------------------------------------------------------------------------------------*/
static void check_made_tokenizer(const char *settings, const char *expected) {
    arena *a = arena_new("test");
    const char *from = make_path(test_folder(), "from"), *to = make_path(test_folder(), "to");
    model_config *c = make_config(tiny_bert);
    mkdir(from, 0777), mkdir(to, 0777);
    const str vocab = slurp(a, test_fixture("model"), "vocab.txt");
    make_file(from, "vocab.txt", vocab.p, vocab.n);
    if (settings) {
        const str s = slurp(a, test_fixture("model"), settings);
        make_file(from, "tokenizer_config.json", s.p, s.n);
    }
    CHECK_OK(tokenizer_files_write(c, from, to, err));
    CHECK_STR(slurp(a, to, "tokenizer.json").p, slurp(a, test_fixture("model"), expected).p);
    CHECK(str_eq(slurp(a, to, "vocab.txt"), vocab));
    if (settings)
        CHECK(str_eq(slurp(a, to, "tokenizer_config.json"), slurp(a, from, "tokenizer_config.json")));
    config_free(c);
    arena_free(a);
}

TEST(export_makes_the_tokenizer_file_that_transformers_makes_of_a_vocabulary) {
    check_made_tokenizer(NULL, "tokenizer-plain.json");
    check_made_tokenizer("tokenizer_config-cased.json", "tokenizer-cased.json");
}

TEST(export_makes_the_small_tokenizer_files_where_they_are_missing) {
    arena *a = arena_new("test");
    const char *folder = make_export(tiny_bert, "out", "BertForSequenceClassification", labels, 3);
    CHECK_STR(slurp(a, folder, "special_tokens_map.json").p,
              "{\n  \"cls_token\": \"[CLS]\",\n  \"mask_token\": \"[MASK]\",\n  \"pad_token\": \"[PAD]\",\n"
              "  \"sep_token\": \"[SEP]\",\n  \"unk_token\": \"[UNK]\"\n}\n");
    CHECK_STR(slurp(a, folder, "tokenizer_config.json").p,
              "{\n  \"cls_token\": \"[CLS]\",\n  \"do_lower_case\": true,\n  \"mask_token\": \"[MASK]\",\n  "
              "\"model_max_length\": 12,\n"
              "  \"pad_token\": \"[PAD]\",\n  \"sep_token\": \"[SEP]\",\n  \"strip_accents\": null,\n  "
              "\"tokenize_chinese_chars\": true,\n"
              "  \"tokenizer_class\": \"BertTokenizer\",\n  \"unk_token\": \"[UNK]\"\n}\n");
    arena_free(a);
}

TEST(export_refuses_a_vocabulary_that_no_tokenizer_can_be_made_of) {
    const char *from = make_path(test_folder(), "from"), *to = make_path(test_folder(), "to");
    model_config *c = make_config(tiny_bert);
    mkdir(from, 0777), mkdir(to, 0777);
#define REFUSE_VOCAB(vocab, text)                                                                            \
    make_text(from, "vocab.txt", vocab);                                                                     \
    CHECK_REFUSED(tokenizer_files_write(c, from, to, err), HONE_EUSAGE, text)
    CHECK_REFUSED(tokenizer_files_write(c, from, to, err), HONE_EUSAGE,
                  "/from: no tokenizer.json and no vocab.txt");
    REFUSE_VOCAB("[PAD]\n\nx\n", "/vocab.txt: line 2 is empty, expected a token");
    REFUSE_VOCAB("[PAD]\nx\nx\n", "/vocab.txt: line 3: \"x\" stands on line 2 already");
    REFUSE_VOCAB("[PAD]\n[UNK]\n[CLS]\n[SEP]\n",
                 "/vocab.txt: mask_token \"[MASK]\" is not in the vocabulary");
    REFUSE_VOCAB("[PAD]\n\xff\n", "/vocab.txt: byte 6: invalid UTF-8");
    make_text(from, "vocab.txt", "\xef\xbb\xbf[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nx");
    CHECK_OK(tokenizer_files_write(c, from, to, err));
    arena *a = arena_new("test");
    CHECK(strstr(slurp(a, to, "tokenizer.json").p, "\"x\": 5"));
    arena_free(a);
    config_free(c);
}

TEST(export_of_minilm_carries_its_tokenizer_over_byte_for_byte) {
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                        "vocab.txt"};
    const char *from = test_model_or_skip(), *to = test_folder();
    model_config *c;
    arena *a = arena_new("test");
    CHECK_OK(config_load(&c, from, err));
    CHECK_OK(tokenizer_files_write(c, from, to, err));
    for (int i = 0; i < 4; i++) CHECK(str_eq(slurp(a, from, names[i]), slurp(a, to, names[i])));
    config_free(c);
    arena_free(a);
}

/* ---- inspect
 * -------------------------------------------------------------------------------------------------*/
TEST(inspect_says_what_a_folder_holds) {
    const char *folder = make_export(tiny_bert, "out", "BertForSequenceClassification", labels, 3);
    inspection *x;
    CHECK_OK(inspect_folder(&x, folder, 1, err));
    /* V D + S D + T D + 2 D, a layer 4 (D D + D) + 4 D + 2 F D + F + D, pooler, head */
    const int64_t expected = 20 * 8 + 12 * 8 + 2 * 8 + 16 + 2 * (4 * 72 + 32 + 256 + 16 + 8) + 72 + 27;
    CHECK_INT(x->n_parameters, expected);
    CHECK_INT(x->n_elements, expected);
    CHECK_INT(x->bytes, expected * 4);
    CHECK_STR(x->dtype, "F32");
    CHECK_STR(x->made_new, "");
    CHECK_STR(x->tokenizer_kind, "WordPiece");
    CHECK_INT(x->tokenizer_size, 20);
    CHECK_INT(x->n_tokenizer, 4);
    CHECK(!x->problem && x->n_ignored == 0 && x->n_unexpected == 0);
    float values[1000];
    sha256 s;
    uint8_t digest[32];
    char hex[65];
    int found = 0;
    make_values(values, 160, 0);
    sha256_begin(&s);
    sha256_add(&s, values, 640);
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
    for (int i = 0; i < x->n_tensors; i++)
        if (!strcmp(x->tensor[i].tensor->name, "bert.embeddings.word_embeddings.weight")) {
            CHECK_STR(x->tensor[i].sha256, hex);
            CHECK_STR(x->tensor[i].file, "model.safetensors");
            found = 1;
        }
    CHECK(found);
    inspect_free(x);
}

TEST(inspect_says_what_a_bare_model_would_be_given) {
    inspection *x;
    CHECK_OK(inspect_folder(&x, test_model_or_skip(), 0, err));
    CHECK_STR(x->made_new, "classifier.weight, classifier.bias");
    CHECK_INT(x->n_parameters, 22713216);
    CHECK_INT(x->n_ignored, 1);
    CHECK_INT(x->tokenizer_size, 30522);
    inspect_free(x);
}
