/* fill_mask.c - hone fill-mask beside transformers' pipeline (scripts/golden/fill_mask.py), and what it refuses. */
#include <math.h>

#include "command.h"
#include "formula_model.h"
#include "golden.h"
#include "parity_check.h"

static const formula_kind bert = {"bert", "BertForMaskedLM", "fill-mask-bert.json", 0, {{NULL, NULL}}};
static const formula_kind distilbert = {"distilbert",
                                        "DistilBertForMaskedLM",
                                        "fill-mask-distilbert.json",
                                        0,
                                        FORMULA_DISTILBERT};

/* With a byte-level BPE, whose ids are its own, and the pad that it has. */
static const formula_kind roberta = {
    "roberta",
    "RobertaForMaskedLM",
    "fill-mask-roberta.json",
    0,
    {{"_embeddings\": 48", "_embeddings\": 50"}, {"vocab_size\": 229", "vocab_size\": 401"}, {"pad_token_id\": 0", "pad_token_id\": 1"}}};

static const char *make_model(arena *a, const char *name, const formula_kind *k) {
    if (k != &roberta) return formula_model(a, name, k, "");
    const char *folder = formula_model(a, name, k, "");
    CHECK_OK(file_remove(path_join(a, folder, "vocab.txt"), err));
    put_file(a, arena_print(a, "%s/tokenizer.json", name), file_text(a, test_fixture("tokenizer/roberta/tokenizer.json")));
    put_file(a, arena_print(a, "%s/tokenizer_config.json", name),
             "{\"tokenizer_class\": \"RobertaTokenizer\", \"mask_token\": \"<mask>\", \"pad_token\": \"<pad>\", \"cls_token\": \"<s>\", "
             "\"sep_token\": \"</s>\", \"unk_token\": \"<unk>\"}\n");
    return folder;
}

static void check_masks(const json *got, const json *want, double *worst) {
    CHECK_INT((int64_t)got->n, (int64_t)want->n);
    const json *mask = want->child;
    for (const json *g = got->child; g; g = g->next, mask = mask->next) {
        CHECK_INT((int64_t)g->n, (int64_t)mask->n);
        const json *w = mask->child;
        for (const json *x = g->child; x; x = x->next, w = w->next) {
            CHECK_INT(number_of(x, "id"), number_of(w, "id"));
            CHECK_STR(text_of(x, "token"), text_of(w, "token"));
            CHECK_STR(text_of(x, "sequence"), text_of(w, "sequence"));
            *worst = fmax(*worst, fabs(number_of(x, "score") / number_of(w, "score") - 1));
        }
    }
}

static void beside_transformers(arena *a, const formula_kind *k, const char *device) {
    const json *rows = member(golden_open(a, k->golden), "rows"), *row;
    text lines = {0};
    double worst = 0;
    for (const json *r = rows->child; r; r = r->next) text_printf(&lines, "%s\n", text_of(r, "text"));
    const char *model = make_model(a, arena_print(a, "%s-%s", k->model_type, device), k),
               *file = put_file(a, "texts.txt", lines.p);
    text_free(&lines);
    const said s = command_run(a, "fill-mask \"%s\" \"%s\" --device %s", model, file, device);
    if (s.code == 2 && strstr(s.err, "there is no libhone_")) test_skip("%s", s.err);
    CHECK_INT(s.code, 0);
    str left = {s.out, s.n_out};
    const json *want = rows->child;
    for (int64_t i = 0; parity_next_row(a, &left, &row); i++, want = want->next) {
        CHECK(want);
        CHECK_INT(number_of(row, "index"), i);
        check_masks(member(row, "masks"), member(want, "masks"), &worst);
    }
    CHECK(!want);
    printf("%s, %s: largest relative difference of a probability from transformers: %.3g\n", k->model_type,
           device, worst);
    CHECK(worst < 1e-5);
}

TEST(words_behind_masks_equal_transformers) {
    arena *a = command_begin();
    beside_transformers(a, &bert, "cpu");
    beside_transformers(a, &distilbert, "cpu");
    beside_transformers(a, &roberta, "cpu");
    arena_free(a);
}

TEST(words_behind_masks_are_the_same_on_other_devices) {
    arena *a = command_begin();
    beside_transformers(a, &bert, "ref");
    beside_transformers(a, &bert, "emu");
    arena_free(a);
}

/* One text at a time, from standard input, in a column: the same row; as people read it. */
TEST(words_behind_masks_of_a_prompt_and_of_tables) {
    arena *a = command_begin();
    const char *model = formula_model(a, "model", &bert, "");
    const char *prompt = "i forgot my [MASK]";
    const json *one = command_json(a, "fill-mask \"%s\" --prompt \"%s\" --top 3 --json", model, prompt);
    CHECK_INT((int64_t)member(one, "masks")->child->n, 3);
    const char *row =
        command_expect(a, 0, "fill-mask \"%s\" --prompt \"%s\" --top 3 --json", model, prompt).out;
    CHECK_STR(
        command_shell(a, "echo '%s' | \"%s\" fill-mask \"%s\" --top 3", prompt, command_program(), model).out,
        row);
    const char *table = put_file(a, "t.jsonl", arena_print(a, "{\"text\":\"%s\"}\n", prompt));
    CHECK_STR(command_expect(a, 0, "fill-mask \"%s\" \"%s\" --top 3", model, table).out, row);
    const char *people = command_expect(a, 0, "fill-mask \"%s\" --prompt \"%s\" --top 3", model, prompt).out;
    const json *first = member(one, "masks")->child->child;
    CHECK(strstr(people, arena_print(a, "  %.4f  %s", number_of(first, "score"), text_of(first, "token"))));
    CHECK(strstr(people, text_of(first, "sequence")));
    arena_free(a);
}

/* More texts than one batch, and many masks: each as if it were alone. */
TEST(words_behind_masks_do_not_depend_on_the_texts_beside) {
    arena *a = command_begin();
    const char *model = formula_model(a, "model", &bert, "");
    text many = {0};
    for (int i = 0; i < 40; i++)
        text_str(&many, i % 3 ? "the [MASK] is [MASK] [MASK] [MASK]\n" : "i forgot my [MASK]\n");
    const char *file = put_file(a, "many.txt", many.p),
               *all = command_expect(a, 0, "fill-mask \"%s\" \"%s\"", model, file).out;
    text_free(&many);
    const char *alone =
        command_expect(a, 0, "fill-mask \"%s\" --prompt \"i forgot my [MASK]\" --json", model).out;
    const char *rest = strstr(alone, "\"masks\""), *last = strstr(all, "{\"index\":39,");
    CHECK(rest && last && strstr(last, rest));
    arena_free(a);
}

TEST(masks_that_cannot_be_filled_are_refused) {
    arena *a = command_begin();
    const char *model = formula_model(a, "filler", &bert, ""),
               *bad = put_file(a, "bad.txt", "the [MASK]\nmy card\n");
    command_refused(a, 3, "bad.txt: line 2: no [MASK], expected at least one", "fill-mask \"%s\" \"%s\"",
                    model, bad);
    command_refused(a, 3, "--prompt: line 1: no [MASK]", "fill-mask \"%s\" --prompt \"my card\"", model);
    command_refused(a, 2, "top", "fill-mask \"%s\" --prompt \"my [MASK]\" --top 230", model);
    command_refused(a, 2, "has no cls.predictions", "fill-mask \"%s\" --prompt \"my [MASK]\"", tiny_model(a));
    arena_free(a);
}
