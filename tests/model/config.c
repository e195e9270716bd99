#include "make.h"

TEST(config_of_minilm_says_what_it_is) {
    model_config *c;
    CHECK_OK(config_load(&c, test_model_or_skip(), err));
    CHECK_STR(c->family->model_type, "bert");
    CHECK_STR(c->architecture, "BertModel");
    CHECK(c->vocab == 30522 && c->width == 384 && c->layers == 6 && c->heads == 12 && c->head_width == 32);
    CHECK(c->inner == 1536 && c->positions == 512 && c->types == 2 && c->act == HONE_ACT_GELU &&
          c->pad_id == 0);
    CHECK(c->eps == 1e-12 && c->init_range == 0.02 && c->p_hidden == 0.1 && c->p_attention == 0.1);
    CHECK(c->p_head == 0.1 && c->n_labels == 2 && !c->label && !c->problem_type && c->n_notes == 0);
    config_free(c);
}

TEST(config_of_distilbert_is_read_by_its_own_keys) {
    model_config *c = make_config(tiny_distilbert);
    CHECK_STR(c->family->model_type, "distilbert");
    CHECK(c->vocab == 20 && c->width == 8 && c->layers == 2 && c->heads == 2 && c->inner == 16 &&
          c->types == 0);
    CHECK(c->p_hidden == 0.1 && c->p_head == 0.25 && c->eps == 1e-12 && c->positions == 12);
    config_free(c);
}

TEST(config_of_roberta_counts_positions_behind_the_padding) {
    static const char given[] = "\"max_position_embeddings\": 12", less[] = "\"max_position_embeddings\":  1",
                      pad[] = ", \"pad_token_id\": 0";
    model_config *c = make_config(tiny_roberta);
    char edited[2000];
    CHECK_STR(c->family->model_type, "roberta");
    CHECK(c->positions == 12 && c->pad_id == 0 && c->first_position == 1 && c->longest == 11);
    config_free(c);
    snprintf(edited, sizeof edited, "%.*s}", (int)(strstr(tiny_roberta, pad) - tiny_roberta), tiny_roberta);
    c = make_config(edited);
    CHECK(c->positions == 12 && c->pad_id == 1 && c->first_position == 2 && c->longest == 10);
    config_free(c);
    memcpy(strstr(edited, given), less, strlen(less));
    CHECK_REFUSED(config_parse(&c, "config.json", edited, strlen(edited), err), HONE_EUSAGE,
                  "config.json: max_position_embeddings is 1, expected more than 2 (pad_token_id + 1)");
}

/* tiny_bert with one value replaced, or (to NULL) with more members. */
static hone_status parse_with(const char *from, const char *to, hone_err *err) {
    char edited[2000];
    const char *at = strstr(tiny_bert, from);
    CHECK(at);
    snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - tiny_bert), tiny_bert, to, at + strlen(from));
    model_config *c;
    const hone_status status = config_parse(&c, "config.json", edited, strlen(edited), err);
    if (!status) config_free(c);
    return status;
}
#define REFUSE(from, to, text) CHECK_REFUSED(parse_with(from, to, err), HONE_EUSAGE, text)
#define REFUSE_ADDED(members, text) CHECK_REFUSED(parse_with(ADD(members), err), HONE_EUSAGE, text)
#define ADD(members) "{\"model_type\"", "{" members ", \"model_type\""

TEST(config_values_of_wrong_type_or_range_are_refused_with_line_and_column) {
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": \"768\"",
           "config.json: line 1 column 89 (hidden_size): \"768\" is text, expected integer 1 to 65,536");
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": 0", "(hidden_size): 0, expected integer 1 to 65,536");
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": -1", "(hidden_size): -1, expected integer 1 to 65,536");
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": 2147483648",
           "(hidden_size): 2147483648, expected integer 1 to 65,536");
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": 8.0", "(hidden_size): 8, expected integer 1 to 65,536");
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": 8.5", "(hidden_size): 8.5, expected integer 1 to 65,536");
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": null",
           "hidden_size is missing, expected integer 1 to 65,536");
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": [8]",
           "(hidden_size): a list, expected integer 1 to 65,536");
    REFUSE("\"hidden_size\": 8", "\"hidden_size\": 9",
           "hidden_size 9 is no multiple of num_attention_heads 2");
    REFUSE("\"num_attention_heads\": 2", "\"num_attention_heads\": 0",
           "line 2 column 49 (num_attention_heads): 0, expected integer 1 to 65,536");
    REFUSE("\"vocab_size\": 20", "\"vocab_size\": 4611686018427387904",
           "(vocab_size): 4611686018427387904, expected integer 1 to 16,777,216");
    REFUSE("\"hidden_dropout_prob\": 0", "\"hidden_dropout_prob\": 1",
           "(hidden_dropout_prob): 1, expected a number from 0 to below 1");
    REFUSE("\"hidden_dropout_prob\": 0", "\"hidden_dropout_prob\": true",
           "(hidden_dropout_prob): true, expected a number from 0 to below 1");
    REFUSE("\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": -1e-12",
           "(layer_norm_eps): -1e-12, expected a number from 0 to 1");
    REFUSE("\"pad_token_id\": 0", "\"pad_token_id\": 20", "(pad_token_id): 20, expected integer -1 to 19");
    REFUSE("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"linear\"",
           "(hidden_act): \"linear\" is text, expected gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish "
           "or tanh");
    REFUSE("\"hidden_act\": \"gelu\"", "\"hidden_act\": 1",
           "(hidden_act): 1, expected gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish or tanh");
}

TEST(config_of_what_hone_does_not_compute_is_refused) {
    REFUSE_ADDED("\"position_embedding_type\": \"relative_key\"",
                 "(position_embedding_type): \"relative_key\" is text, expected absolute");
    REFUSE_ADDED("\"is_decoder\": true", "(is_decoder): true, expected false");
    REFUSE_ADDED("\"pruned_heads\": {\"0\": [1]}", "(pruned_heads): an object, expected none");
    REFUSE_ADDED("\"quantization_config\": {}",
                 "(quantization_config): an object, expected weights that are not quantised");
    CHECK_OK(parse_with(
        ADD("\"position_embedding_type\": \"absolute\", \"is_decoder\": false, \"pruned_heads\": {}"), err));
    REFUSE("\"bert\"", "\"brt\"",
           "config.json: line 1 column 16 (model_type): \"brt\" unknown; nearest: \"bert\"; supported: bert, "
           "distilbert, roberta, gpt2");
    REFUSE("\"bert\"", "\"t5\"", "(model_type): \"t5\" unknown; supported: bert, distilbert, roberta, gpt2");
    REFUSE("\"bert\"", "7", "(model_type): 7, expected text");
}

TEST(config_labels_must_be_numbered_without_a_gap) {
    model_config *c;
    static const char good[] =
        "\"id2label\": {\"1\": \"b\", \"0\": \"a\"}, \"label2id\": {\"a\": 0, \"b\": 1}";
    char edited[2000];
    snprintf(edited, sizeof edited, "{%s, %s", good, tiny_bert + 1);
    c = make_config(edited);
    CHECK(c->n_labels == 2 && c->n_notes == 0);
    CHECK_STR(c->label[0].p, "a");
    CHECK_STR(c->label[1].p, "b");
    config_free(c);
    REFUSE_ADDED("\"id2label\": {\"0\": \"a\", \"2\": \"b\"}",
                 "(id2label.2): \"b\" is text, expected ids 0, 1, 2 ... without a gap");
    REFUSE_ADDED("\"id2label\": {\"0\": \"a\", \"01\": \"b\"}",
                 "(id2label.01): \"b\" is text, expected ids 0, 1, 2 ... without a gap");
    REFUSE_ADDED("\"id2label\": {\"0\": 1}", "(id2label.0): 1, expected text");
    REFUSE_ADDED("\"id2label\": [\"a\"]", "(id2label): a list, expected an object of 1 to 65,536 labels");
    REFUSE_ADDED("\"id2label\": {\"0\": \"a\"}, \"num_labels\": 2",
                 "(num_labels): 2, expected 1, as many as id2label has");
    REFUSE_ADDED("\"num_labels\": 2147483648", "(num_labels): 2147483648, expected integer 1 to 65,536");
    REFUSE_ADDED("\"problem_type\": \"ranking\"",
                 "(problem_type): \"ranking\" is text, expected single_label_classification, "
                 "multi_label_classification or regression");
    REFUSE_ADDED("\"architectures\": 1",
                 "config.json: line 1 column 44: key \"architectures\" is given twice, first on line 1; "
                 "expected each key once");
}

TEST(config_keys_that_name_code_become_a_note) {
    char edited[2000];
    snprintf(edited, sizeof edited,
             "{\"auto_map\": {\"AutoModel\": \"x--y.Z\"}, \"_attn_implementation_internal\": \"z/k\", %s",
             tiny_bert + 1);
    model_config *c = make_config(edited);
    CHECK_INT(c->n_notes, 1);
    CHECK_STR(c->note[0], "ignored 2 keys that name code: auto_map, _attn_implementation_internal");
    config_free(c);
    snprintf(edited, sizeof edited,
             "{\"id2label\": {\"0\": \"a\", \"1\": \"b\"}, \"label2id\": {\"a\": 1, \"b\": 0}, %s",
             tiny_bert + 1);
    c = make_config(edited);
    CHECK_INT(c->n_notes, 1);
    CHECK_STR(c->note[0], "label2id does not say what id2label says; id2label is used");
    config_free(c);
}

TEST(config_files_that_are_missing_empty_or_something_else_are_refused_by_name) {
    const char *folder = test_folder();
    model_config *c;
    CHECK_REFUSED(config_load(&c, make_path(folder, "none"), err), HONE_EUSAGE,
                  "/none: not there; expected a model folder or a config.json");
    CHECK_REFUSED(config_load(&c, folder, err), HONE_EUSAGE, ": no config.json; expected a model folder");
    make_text(folder, "config.json", "");
    CHECK_REFUSED(config_load(&c, folder, err), HONE_EUSAGE,
                  "/config.json: the file is empty, expected an object");
    make_text(folder, "config.json", "[]");
    CHECK_REFUSED(config_load(&c, folder, err), HONE_EUSAGE, "/config.json: a list, expected an object");
    make_text(folder, "config.json", "{}");
    CHECK_REFUSED(config_load(&c, folder, err), HONE_EUSAGE,
                  "/config.json: model_type is missing, expected one of: bert, distilbert, roberta, gpt2");
    FILE *f = fopen(make_path(folder, "config.json"), "wb");
    CHECK(f && !fseek(f, (16 << 20) + 1, SEEK_SET) && fputc('x', f) == 'x' && !fclose(f));
    CHECK_REFUSED(config_load(&c, folder, err), HONE_EUSAGE,
                  "/config.json: 16777218 bytes, the limit is 16 MiB");
}

TEST(config_cut_anywhere_is_refused) {
    for (size_t n = 0; n < strlen(tiny_bert) - 1; n++) {
        model_config *c;
        hone_err err = {0};
        CHECK_INT(config_parse(&c, "config.json", tiny_bert, n, &err), HONE_EUSAGE);
        CHECK(!strncmp(err.text, "config.json: ", 13));
    }
}
