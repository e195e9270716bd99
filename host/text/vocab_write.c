/* vocab_write.c - tokenizer.json as the library prints it, part by part; what differs between kinds is in the tables. */
#include <stdio.h>
#include <string.h>

#include "text/vocab_write.h"
#include "base/file.h"

static const special_tokens bert = {{STR("[PAD]"), STR("[UNK]"), STR("[CLS]"), STR("[SEP]"), STR("[MASK]")},
                                    {"pad_token", "unk_token", "cls_token", "sep_token", "mask_token"},
                                    5};
static const special_tokens roberta = {{STR("<s>"), STR("<pad>"), STR("</s>"), STR("<unk>"), STR("<mask>")},
                                       {"cls_token", "pad_token", "sep_token", "unk_token", "mask_token"},
                                       5};
static const special_tokens gpt2 = {{STR("<|endoftext|>")}, {NULL}, 1};
static const special_tokens t5 = {
    {STR("<pad>"), STR("</s>"), STR("<unk>")}, {"pad_token", "eos_token", "unk_token"}, 3};

static const struct {
    const special_tokens *special;
    const char *class, *normalizer, *pretokenizer, *template, *decoder;
} kinds[] = {
    [VOCAB_WORDPIECE] = {&bert, "BertTokenizer", NULL, "{\"type\":\"BertPreTokenizer\"}", "bert",
                         "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"},
    [VOCAB_GPT2] =
        {&gpt2, "GPT2Tokenizer", "null", NULL,
         "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":false,\"use_regex\":true}",
         "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}"},
    [VOCAB_ROBERTA] =
        {&roberta, "RobertaTokenizer", "null", NULL, NULL,
         "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}"},
    [VOCAB_UNIGRAM] =
        {&t5, "PreTrainedTokenizerFast",
         "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"},{\"type\":\"NFKC\"},{\"type\":"
         "\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]}",
         "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"always\","
         "\"split\":true}",
         "t5",
         "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"always\","
         "\"split\":true}"},
    [VOCAB_MOLECULES] = {&bert, "PreTrainedTokenizerFast", "null", NULL, "bert", "{\"type\":\"Fuse\"}"},
    [VOCAB_CHARACTERS] = {&bert, "PreTrainedTokenizerFast", "null", "null", "bert", "{\"type\":\"Fuse\"}"},
};

const special_tokens *vocab_special(vocab_kind kind) { return kinds[kind].special; }

static int is_bytes(vocab_kind k) { return k == VOCAB_GPT2 || k == VOCAB_ROBERTA; }

static const char *truth(int x) { return x ? "true" : "false"; }

/* ---- the parts of tokenizer.json ---- */

static void print_added(text *out, const vocab_options *o) {
    const special_tokens *s = kinds[o->kind].special;
    text_str(out, "\"added_tokens\":[");
    for (int i = 0; i < s->n; i++) {
        const int mask =
            o->kind == VOCAB_ROBERTA && str_is(s->token[i], "<mask>"); /* takes the space before it */
        text_printf(out, "%s\n{\"id\":%d,\"content\":", i ? "," : "", i);
        text_json(out, s->token[i].p, s->token[i].n);
        text_printf(
            out,
            ",\"single_word\":false,\"lstrip\":%s,\"rstrip\":false,\"normalized\":false,\"special\":true}",
            truth(mask));
    }
    text_str(out, "\n],\n");
}

static void print_piece(text *out, const char *kind, const char *id, int type, int last) {
    text_printf(out, "{\"%s\":{\"id\":\"%s\",\"type_id\":%d}}%s", kind, id, type, last ? "]," : ",");
}

static void print_bert_template(text *out) {
    static const char special[] = "SpecialToken", sequence[] = "Sequence";
    text_str(out, "{\"type\":\"TemplateProcessing\",\"single\":[");
    print_piece(out, special, "[CLS]", 0, 0);
    print_piece(out, sequence, "A", 0, 0);
    print_piece(out, special, "[SEP]", 0, 1);
    text_str(out, "\"pair\":[");
    print_piece(out, special, "[CLS]", 0, 0);
    print_piece(out, sequence, "A", 0, 0);
    print_piece(out, special, "[SEP]", 0, 0);
    print_piece(out, sequence, "B", 1, 0);
    print_piece(out, special, "[SEP]", 1, 1);
    text_str(out, "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},"
                  "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}}");
}

static void print_t5_template(text *out) {
    static const char special[] = "SpecialToken", sequence[] = "Sequence";
    text_str(out, "{\"type\":\"TemplateProcessing\",\"single\":[");
    print_piece(out, sequence, "A", 0, 0);
    print_piece(out, special, "</s>", 0, 1);
    text_str(out, "\"pair\":[");
    print_piece(out, sequence, "A", 0, 0);
    print_piece(out, special, "</s>", 0, 0);
    print_piece(out, sequence, "B", 0, 0);
    print_piece(out, special, "</s>", 0, 1);
    text_str(out, "\"special_tokens\":{\"</s>\":{\"id\":\"</s>\",\"ids\":[1],\"tokens\":[\"</s>\"]}}}");
}

static void print_normalizer(text *out, const vocab_options *o) {
    if (kinds[o->kind].normalizer) text_str(out, kinds[o->kind].normalizer);
    else
        text_printf(out,
                    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
                    "\"strip_accents\":null,\"lowercase\":%s}",
                    truth(o->lowercase));
}

static void print_pretokenizer(text *out, const vocab_options *o) {
    if (kinds[o->kind].pretokenizer) {
        text_str(out, kinds[o->kind].pretokenizer);
    } else if (is_bytes(o->kind)) {
        text_printf(
            out, "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"trim_offsets\":true,\"use_regex\":true}",
            truth(o->prefix_space));
    } else {
        int i = 0;
        while (pretokenize_patterns[i].cut != CUT_SMILES) i++;
        text_str(out, "{\"type\":\"Split\",\"pattern\":{\"Regex\":");
        text_json(out, pretokenize_patterns[i].pattern, strlen(pretokenize_patterns[i].pattern));
        text_str(out, "},\"behavior\":\"Isolated\",\"invert\":false}");
    }
}

static void print_template(text *out, const vocab_options *o) {
    const char *template = kinds[o->kind].template;
    if (template && !strcmp(template, "bert")) print_bert_template(out);
    else if (template && !strcmp(template, "t5")) print_t5_template(out);
    else if (template) text_str(out, template);
    else
        text_printf(
            out,
            "{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",2],\"cls\":[\"<s>\",0],\"trim_offsets\":true,"
            "\"add_prefix_space\":%s}",
            truth(o->prefix_space));
}

static void print_token(text *out, str token) { text_json(out, token.p, token.n); }

static void print_vocab(text *out, const vocab *v, const char *between) {
    text_str(out, "{");
    for (int id = 0; id < v->n; id++) {
        text_printf(out, "%s%s", id ? "," : "", between);
        print_token(out, v->token[id]);
        text_printf(out, ":%d", id);
    }
    text_printf(out, "%s}", between);
}

static void print_scores(text *out, const trained_vocab *v) {
    for (int id = 0; id < v->vocab->n; id++) {
        text_str(out, id ? ",\n[" : "\n[");
        print_token(out, v->vocab->token[id]);
        text_printf(out, ",%.17g]", v->score[id]); /* every double survives */
    }
}

static void print_model(text *out, const vocab_options *o, const trained_vocab *v) {
    switch (o->kind) {
    case VOCAB_WORDPIECE:
        text_str(out, "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                      "\"max_input_chars_per_word\":100,\"vocab\":");
        print_vocab(out, v->vocab, "\n");
        break;
    case VOCAB_MOLECULES:
        text_str(out, "{\"type\":\"WordLevel\",\"unk_token\":\"[UNK]\",\"vocab\":");
        print_vocab(out, v->vocab, "\n");
        break;
    case VOCAB_UNIGRAM:
        text_str(out, "{\"type\":\"Unigram\",\"unk_id\":2,\"byte_fallback\":false,\"vocab\":[");
        print_scores(out, v);
        text_str(out, "\n]");
        break;
    default:
        text_printf(
            out,
            "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":%s,\"continuing_subword_prefix\":null,"
            "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,"
            "\"vocab\":",
            is_bytes(o->kind) ? "null" : "\"[UNK]\"");
        print_vocab(out, v->vocab, "\n");
        text_str(out, ",\"merges\":[");
        for (int i = 0; i < v->n_merges; i++) {
            text_str(out, i ? ",\n[" : "\n[");
            print_token(out, v->vocab->token[v->merge[i].first]);
            text_str(out, ",");
            print_token(out, v->vocab->token[v->merge[i].second]);
            text_str(out, "]");
        }
        text_str(out, "\n]");
    }
    text_str(out, "}");
}

static void print_tokenizer(text *out, const vocab_options *o, const trained_vocab *v) {
    text_str(out, "{\n\"version\":\"1.0\",\n\"truncation\":null,\n\"padding\":null,\n");
    print_added(out, o);
    text_str(out, "\"normalizer\":");
    print_normalizer(out, o);
    text_str(out, ",\n\"pre_tokenizer\":");
    print_pretokenizer(out, o);
    text_str(out, ",\n\"post_processor\":");
    print_template(out, o);
    text_printf(out, ",\n\"decoder\":%s,\n\"model\":", kinds[o->kind].decoder);
    print_model(out, o, v);
    text_str(out, "\n}\n");
}

/* ---- the other files ---- */

/* "</s>"; RoBERTa's mask is an object, since it takes the space before it. type: says so in words, as
 * tokenizer_config.json has it and special_tokens_map.json has it not. */
static void print_role_token(text *out, const special_tokens *s, int i, const char *type) {
    if (s != &roberta || !str_is(s->token[i], "<mask>")) {
        print_token(out, s->token[i]);
        return;
    }
    text_printf(out,
                "{%s\"content\": \"<mask>\", \"lstrip\": true, \"normalized\": false, \"rstrip\": false, "
                "\"single_word\": false}",
                type);
}

static void print_roles(text *out, const special_tokens *s, const char *type) {
    static const char *const end_roles[] = {"bos_token", "eos_token", "unk_token"};
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < (s->role[i] ? 1 : 3); k++) {
            text_printf(out, "%s  \"%s\": ", i + k ? ",\n" : "", s->role[i] ? s->role[i] : end_roles[k]);
            print_role_token(out, s, i, type);
        }
    if (s == &roberta) text_str(out, ",\n  \"bos_token\": \"<s>\",\n  \"eos_token\": \"</s>\"");
}

static void print_config(text *out, const vocab_options *o) {
    text_str(out, "{\n");
    print_roles(out, kinds[o->kind].special, "\"__type\": \"AddedToken\", ");
    if (o->kind == VOCAB_WORDPIECE)
        text_printf(
            out,
            ",\n  \"do_lower_case\": %s,\n  \"strip_accents\": null,\n  \"tokenize_chinese_chars\": true",
            truth(o->lowercase));
    if (is_bytes(o->kind)) text_printf(out, ",\n  \"add_prefix_space\": %s", truth(o->prefix_space));
    text_printf(out,
                ",\n  \"clean_up_tokenization_spaces\": false,\n  \"model_max_length\": %d,\n"
                "  \"tokenizer_class\": \"%s\"\n}\n",
                o->model_max_length, kinds[o->kind].class);
}

static void print_words(text *out, const vocab *v) {
    for (int id = 0; id < v->n; id++) {
        text_add(out, v->token[id].p, v->token[id].n);
        text_str(out, "\n");
    }
}

static void print_merges(text *out, const trained_vocab *v) {
    text_str(out, "#version: 0.2\n");
    for (int i = 0; i < v->n_merges; i++) {
        const str a = v->vocab->token[v->merge[i].first], b = v->vocab->token[v->merge[i].second];
        text_add(out, a.p, a.n);
        text_str(out, " ");
        text_add(out, b.p, b.n);
        text_str(out, "\n");
    }
}

static hone_status write_file(const vocab_options *o, const char *name, text *content, hone_err *err) {
    arena *a = arena_new("name");
    const hone_status status = file_write(path_join(a, o->folder, name), content->p, content->n, err);
    arena_free(a);
    text_clear(content);
    return status;
}

static hone_status write_all(const vocab_options *o, const trained_vocab *v, text *out, hone_err *err) {
    HONE_TRY(folder_make(o->folder, err));
    if (o->kind == VOCAB_WORDPIECE) {
        print_words(out, v->vocab);
        HONE_TRY(write_file(o, "vocab.txt", out, err));
    }
    if (is_bytes(o->kind)) {
        print_vocab(out, v->vocab, "");
        HONE_TRY(write_file(o, "vocab.json", out, err));
        print_merges(out, v);
        HONE_TRY(write_file(o, "merges.txt", out, err));
    }
    print_config(out, o);
    HONE_TRY(write_file(o, "tokenizer_config.json", out, err));
    text_str(out, "{\n");
    print_roles(out, kinds[o->kind].special, "");
    text_str(out, "\n}\n");
    HONE_TRY(write_file(o, "special_tokens_map.json", out, err));
    print_tokenizer(out, o, v);
    return write_file(o, "tokenizer.json", out, err);
}

hone_status vocab_write(const vocab_options *o, const trained_vocab *v, hone_err *err) {
    text out = {0};
    const hone_status status = write_all(o, v, &out, err);
    text_free(&out);
    return status;
}
