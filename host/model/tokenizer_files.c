/* tokenizer_files.c - copying, and making what is missing. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/vec.h"
#include "model/family.h"
#include "model/json_print.h"
#include "model/tokenizer_files.h"
#include "model/weights.h"

#define VOCAB_MAX_BYTES ((size_t)256 << 20)

const char *const tokenizer_file_names[] = {"tokenizer.json",
                                            "tokenizer_config.json",
                                            "special_tokens_map.json",
                                            "vocab.txt",
                                            "added_tokens.json",
                                            "vocab.json",
                                            "merges.txt",
                                            "spiece.model",
                                            "sentencepiece.bpe.model",
                                            NULL};
enum { TOKENIZER_JSON, TOKENIZER_CONFIG, SPECIAL_TOKENS, VOCAB, MERGES = 6, N_FILES = 9 };

/* ORDER SPECIAL: as transformers lists them. */
static const char *const special_keys[] = {"unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
enum { UNK, SEP, PAD, CLS, MASK, N_SPECIAL };

typedef struct {
    arena *a;
    const model_config *config;
    const char *path[N_FILES]; /* in the source folder; NULL: not there */
    const char *to;
    int lowercase, chinese, strip_accents; /* strip_accents -1: null, as lowercase says */
    str special[N_SPECIAL];
    int is_wordpiece; /* BERT's roles are meant where a file does not say them */
    VEC(str) token;
    int64_t special_id[N_SPECIAL];
    hone_err *err;
} files;

static hone_status copy_file(const files *f, int i) {
    file_view v;
    HONE_TRY(file_map(&v, f->path[i], HONE_EDAMAGED, f->err));
    const hone_status status = file_write(path_join(f->a, f->to, tokenizer_file_names[i]), v.p, v.n, f->err);
    file_unmap(&v);
    return status;
}

static hone_status read_object(const files *f, int i, const json **root) {
    str s;
    *root = NULL;
    if (!f->path[i]) return HONE_OK;
    HONE_TRY(file_read(&s, f->a, f->path[i], VOCAB_MAX_BYTES, HONE_EUSAGE, f->err));
    HONE_TRY(json_parse(root, f->a, f->path[i], s.p, s.n, HONE_EUSAGE, f->err));
    if ((*root)->kind == JSON_OBJECT) return HONE_OK;
    return hone_fail(f->err, HONE_EUSAGE, "%s: %s, expected an object", f->path[i],
                     json_kind_name((*root)->kind));
}

static void take_flag(int *to, const json *value, int of_null) {
    if (value && value->kind == JSON_BOOL) *to = value->boolean;
    if (value && value->kind == JSON_NULL) *to = of_null;
}

/* "[CLS]", or {"content": "[CLS]", ...}. */
static void take_token(str *to, const json *value) {
    if (value && value->kind == JSON_OBJECT) value = json_get(value, "content");
    if (value && value->kind == JSON_STRING) *to = value->string;
}

/* What the files at hand say, the more specific over the more general. */
static hone_status read_facts(files *f) {
    static const str preset[] = {STR("[UNK]"), STR("[SEP]"), STR("[PAD]"), STR("[CLS]"), STR("[MASK]")};
    const json *tokenizer, *config, *map;
    HONE_TRY(read_object(f, TOKENIZER_CONFIG, &config));
    HONE_TRY(read_object(f, SPECIAL_TOKENS, &map));
    f->lowercase = f->chinese = 1;
    f->strip_accents = -1;
    memcpy(f->special, preset, sizeof preset);
    f->is_wordpiece = f->path[VOCAB] != NULL;
    if (!config && f->path[TOKENIZER_JSON]) {
        HONE_TRY(read_object(f, TOKENIZER_JSON, &tokenizer));
        const json *kind = json_get(json_get(tokenizer, "model"), "type");
        f->is_wordpiece = !kind || kind->kind != JSON_STRING || str_is(kind->string, "WordPiece");
        const json *normalizer = json_get(tokenizer, "normalizer");
        take_flag(&f->lowercase, json_get(normalizer, "lowercase"), 1);
        take_flag(&f->chinese, json_get(normalizer, "handle_chinese_chars"), 1);
        take_flag(&f->strip_accents, json_get(normalizer, "strip_accents"), -1);
        take_token(&f->special[UNK], json_get(json_get(tokenizer, "model"), "unk_token"));
    }
    take_flag(&f->lowercase, json_get(config, "do_lower_case"), 1);
    take_flag(&f->chinese, json_get(config, "tokenize_chinese_chars"), 1);
    take_flag(&f->strip_accents, json_get(config, "strip_accents"), -1);
    for (int i = 0; i < N_SPECIAL; i++) {
        take_token(&f->special[i], json_get(map, special_keys[i]));
        take_token(&f->special[i], json_get(config, special_keys[i]));
    }
    return HONE_OK;
}

static hone_status find_specials(files *f, const name_index *names) {
    for (int i = 0; i < N_SPECIAL; i++) {
        char shown[60];
        f->special_id[i] = names_find(names, f->special[i].p);
        if (f->special_id[i] < 0)
            return hone_fail(f->err, HONE_EUSAGE, "%s: %s \"%s\" is not in the vocabulary", f->path[VOCAB],
                             special_keys[i],
                             text_escape(shown, sizeof shown, f->special[i].p, f->special[i].n));
    }
    return HONE_OK;
}

/* vocab.txt: a token a line, the line's number its id. CRLF and a byte order mark are taken off. */
static hone_status read_vocab(files *f) {
    str s;
    size_t at = 0, bad;
    int twice, first;
    HONE_TRY(file_read(&s, f->a, f->path[VOCAB], VOCAB_MAX_BYTES, HONE_EUSAGE, f->err));
    if (!utf8_valid(s.p, s.n, &bad))
        return hone_fail(f->err, HONE_EUSAGE, "%s: byte %zu: invalid UTF-8", f->path[VOCAB], bad);
    if (s.n >= 3 && !memcmp(s.p, "\xef\xbb\xbf", 3)) at = 3;
    while (at < s.n) {
        const char *end = memchr(s.p + at, '\n', s.n - at);
        size_t n = end ? (size_t)(end - s.p) - at : s.n - at;
        const size_t next = at + n + (end != NULL);
        if (n && s.p[at + n - 1] == '\r') n--;
        if (!n)
            return hone_fail(f->err, HONE_EUSAGE, "%s: line %zu is empty, expected a token", f->path[VOCAB],
                             f->token.n + 1);
        vec_push(&f->token, (str){arena_copy(f->a, s.p + at, n), n});
        at = next;
    }
    const char **name = ARENA_ARRAY(f->a, f->token.n, const char *);
    for (size_t i = 0; i < f->token.n; i++) name[i] = f->token.p[i].p;
    const name_index *names = names_index(f->a, name, (int)f->token.n, &twice, &first);
    if (twice >= 0) {
        char shown[60];
        return hone_fail(f->err, HONE_EUSAGE, "%s: line %d: \"%s\" stands on line %d already", f->path[VOCAB],
                         twice + 1, text_escape(shown, sizeof shown, name[twice], strlen(name[twice])),
                         first + 1);
    }
    return find_specials(f, names);
}

/* ---- tokenizer.json, as the tokenizers library prints it
 * ----------------------------------------------------------*/
static void print_added(const files *f, text *out) {
    int done[N_SPECIAL] = {0}, n = 0;
    text_str(out, "  \"added_tokens\": [");
    for (int k = 0; k < N_SPECIAL; k++) {
        int next = -1;
        for (int i = 0; i < N_SPECIAL; i++)
            if (!done[i] && (next < 0 || f->special_id[i] < f->special_id[next])) next = i;
        for (int i = 0; i < N_SPECIAL; i++)
            done[i] |= f->special_id[i] == f->special_id[next]; /* one token, two roles */
        text_printf(out, "%s\n    {\n      \"id\": %lld,\n      \"content\": ", n++ ? "," : "",
                    (long long)f->special_id[next]);
        text_json(out, f->special[next].p, f->special[next].n);
        text_str(out, ",\n      \"single_word\": false,\n      \"lstrip\": false,\n      \"rstrip\": false,\n"
                      "      \"normalized\": false,\n      \"special\": true\n    }");
        int left = 0;
        for (int i = 0; i < N_SPECIAL; i++) left += !done[i];
        if (!left) break;
    }
    text_str(out, "\n  ],\n");
}

/* One piece of a template: a special token, or sequence A or B. */
static void print_piece(const files *f, text *out, const char *kind, str id, int type, int last) {
    (void)f;
    text_printf(out, "      {\n        \"%s\": {\n          \"id\": ", kind);
    text_json(out, id.p, id.n);
    text_printf(out, ",\n          \"type_id\": %d\n        }\n      }%s\n", type, last ? "" : ",");
}

static void print_template(const files *f, text *out) {
    static const char special[] = "SpecialToken", sequence[] = "Sequence";
    const int used[] = {CLS, SEP};
    text_str(out, "  \"post_processor\": {\n    \"type\": \"TemplateProcessing\",\n    \"single\": [\n");
    print_piece(f, out, special, f->special[CLS], 0, 0);
    print_piece(f, out, sequence, STR("A"), 0, 0);
    print_piece(f, out, special, f->special[SEP], 0, 1);
    text_str(out, "    ],\n    \"pair\": [\n");
    print_piece(f, out, special, f->special[CLS], 0, 0);
    print_piece(f, out, sequence, STR("A"), 0, 0);
    print_piece(f, out, special, f->special[SEP], 0, 0);
    print_piece(f, out, sequence, STR("B"), 1, 0);
    print_piece(f, out, special, f->special[SEP], 1, 1);
    text_str(out, "    ],\n    \"special_tokens\": {\n");
    for (int i = 0; i < 2; i++) {
        const str token = f->special[used[i]];
        text_str(out, "      ");
        text_json(out, token.p, token.n);
        text_str(out, ": {\n        \"id\": ");
        text_json(out, token.p, token.n);
        text_printf(out,
                    ",\n        \"ids\": [\n          %lld\n        ],\n        \"tokens\": [\n          ",
                    (long long)f->special_id[used[i]]);
        text_json(out, token.p, token.n);
        text_printf(out, "\n        ]\n      }%s\n", i ? "" : ",");
    }
    text_str(out, "    }\n  },\n");
}

static const char *truth(int x) { return x < 0 ? "null" : x ? "true" : "false"; }

static hone_status make_tokenizer(files *f) {
    text out = {0};
    HONE_TRY(read_vocab(f));
    text_str(&out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    print_added(f, &out);
    text_printf(&out,
                "  \"normalizer\": {\n    \"type\": \"BertNormalizer\",\n    \"clean_text\": true,\n    "
                "\"handle_chinese_chars\": %s,\n"
                "    \"strip_accents\": %s,\n    \"lowercase\": %s\n  },\n",
                truth(f->chinese), truth(f->strip_accents), truth(f->lowercase));
    text_str(&out, "  \"pre_tokenizer\": {\n    \"type\": \"BertPreTokenizer\"\n  },\n");
    print_template(f, &out);
    text_str(&out, "  \"decoder\": {\n    \"type\": \"WordPiece\",\n    \"prefix\": \"##\",\n    "
                   "\"cleanup\": true\n  },\n  \"model\": {\n"
                   "    \"type\": \"WordPiece\",\n    \"unk_token\": ");
    text_json(&out, f->special[UNK].p, f->special[UNK].n);
    text_str(&out, ",\n    \"continuing_subword_prefix\": \"##\",\n    \"max_input_chars_per_word\": 100,\n  "
                   "  \"vocab\": {");
    for (size_t i = 0; i < f->token.n; i++) {
        text_str(&out, i ? ",\n      " : "\n      ");
        text_json(&out, f->token.p[i].p, f->token.p[i].n);
        text_printf(&out, ": %zu", i);
    }
    text_str(&out, "\n    }\n  }\n}");
    const hone_status status =
        file_write(path_join(f->a, f->to, tokenizer_file_names[TOKENIZER_JSON]), out.p, out.n, f->err);
    text_free(&out);
    return status;
}

/* ---- the two small ones
 * ----------------------------------------------------------------------------------------*/
static void print_special(const files *f, text *out, int i) {
    text_printf(out, "  \"%s\": ", special_keys[i]);
    text_json(out, f->special[i].p, f->special[i].n);
}

/* Of other kinds: what AutoTokenizer cannot know. Their special tokens are those of the class. */
static void print_length_and_class(const files *f, text *out) {
    text_printf(out, "{\n  \"model_max_length\": %d,\n  \"tokenizer_class\": \"%s\"\n}\n",
                f->config->longest,
                f->config->family->tokenizer_class);
}

static void print_bert_config(const files *f, text *out) {
    text_str(out, "{\n");
    print_special(f, out, CLS);
    text_printf(out, ",\n  \"do_lower_case\": %s,\n", truth(f->lowercase));
    print_special(f, out, MASK);
    text_printf(out, ",\n  \"model_max_length\": %d,\n",
                f->config->longest);
    print_special(f, out, PAD);
    text_str(out, ",\n");
    print_special(f, out, SEP);
    text_printf(
        out,
        ",\n  \"strip_accents\": %s,\n  \"tokenize_chinese_chars\": %s,\n  \"tokenizer_class\": \"%s\",\n",
        truth(f->strip_accents), truth(f->chinese), f->config->family->tokenizer_class);
    print_special(f, out, UNK);
    text_str(out, "\n}\n");
}

static hone_status make_config(const files *f) {
    text out = {0};
    if (f->is_wordpiece) print_bert_config(f, &out);
    else print_length_and_class(f, &out);
    const hone_status status =
        file_write(path_join(f->a, f->to, tokenizer_file_names[TOKENIZER_CONFIG]), out.p, out.n, f->err);
    text_free(&out);
    return status;
}

static hone_status make_special_map(const files *f) {
    static const int order[] = {CLS, MASK, PAD, SEP, UNK};
    text out = {0};
    text_str(&out, "{\n");
    for (int i = 0; i < N_SPECIAL; i++) {
        print_special(f, &out, order[i]);
        text_str(&out, i < N_SPECIAL - 1 ? ",\n" : "\n");
    }
    text_str(&out, "}\n");
    const hone_status status =
        file_write(path_join(f->a, f->to, tokenizer_file_names[SPECIAL_TOKENS]), out.p, out.n, f->err);
    text_free(&out);
    return status;
}

static hone_status write_files(files *f, const char *from) {
    for (int i = 0; i < N_FILES; i++)
        HONE_TRY(model_file(&f->path[i], f->a, from, tokenizer_file_names[i], f->err));
    if (!f->path[TOKENIZER_JSON] && !f->path[VOCAB] && !f->path[MERGES])
        return hone_fail(f->err, HONE_EUSAGE, "%s: no tokenizer.json and no vocab.txt", from);
    HONE_TRY(read_facts(f));
    for (int i = 0; i < N_FILES; i++)
        if (f->path[i]) HONE_TRY(copy_file(f, i));
    if (!f->path[TOKENIZER_JSON] && f->path[VOCAB]) HONE_TRY(make_tokenizer(f));
    if (!f->path[TOKENIZER_CONFIG]) HONE_TRY(make_config(f));
    return f->path[SPECIAL_TOKENS] || !f->is_wordpiece ? HONE_OK : make_special_map(f);
}

hone_status tokenizer_files_write(const model_config *c, const char *from, const char *to, hone_err *err) {
    files f = {.a = arena_new("tokenizer files"), .config = c, .to = to, .err = err};
    const hone_status status = write_files(&f, from);
    vec_free(&f.token);
    arena_free(f.a);
    return status;
}
