/* embed.c - texts as vectors, beside transformers (scripts/golden/embed.py); numpy's file; what a folder of
 * sentence-transformers says. */
#include <math.h>
#include <stdint.h>

#include "command.h"
#include "formula_model.h"
#include "golden.h"
#include "parity_check.h"

#define TEXTS "e2e/validation.csv"

/* The largest difference of the rows that `hone embed` printed; want: lists of numbers. */
static double worst_row(arena *a, const char *out, size_t n, const json *want) {
    str rows = {out, n};
    const json *row;
    double worst = 0;
    for (const json *w = want->child; w; w = w->next) {
        CHECK(parity_next_row(a, &rows, &row));
        const json *got = member(row, "embedding")->child;
        CHECK_INT(member(row, "embedding")->n, w->n);
        for (const json *x = w->child; x; x = x->next, got = got->next)
            worst = fmax(worst, fabs(got->number - x->number));
    }
    return worst;
}

static void check_family(arena *a, const formula_kind *k) {
    const json *want = member(golden_open(a, "embed.json"), k->model_type);
    const char *model = formula_model(a, k->model_type, k, ""), *texts = test_fixture(TEXTS);
    static const char *const devices[] = {"cpu", "ref", "emu"};
    for (int i = 0; i < 3; i++)
        for (int first = 0; first < 2; first++) {
            const char *how = first ? "cls" : "mean";
            const said s = command_run(a,
                                       "embed \"%s\" \"%s\" --text_column_names text --max_predict_samples 4 "
                                       "--pooling %s --device %s --quiet",
                                       model, texts, how, devices[i]);
            if (i == 2 && s.code == 2 && strstr(s.err, "there is no libhone_emu.so")) continue;
            CHECK_INT(s.code, 0);
            const double worst = worst_row(a, s.out, s.n_out, member(want, how));
            printf("%s, %s, %s: largest difference %.3g\n", k->model_type, how, devices[i], worst);
            CHECK_NEAR(worst, 0, 2e-6);
        }
}

TEST(embeddings_of_every_family_are_those_of_transformers) {
    arena *a = command_begin();
    check_family(a, &(formula_kind){"bert", "BertModel", NULL, 0, {{NULL, NULL}}});
    check_family(
        a, &(formula_kind){"roberta", "RobertaModel", NULL, 0, FORMULA_ROBERTA});
    check_family(a, &(formula_kind){"distilbert",
                                    "DistilBertModel",
                                    NULL,
                                    0,
                                    FORMULA_DISTILBERT});
    arena_free(a);
}

TEST(embeddings_of_minilm_are_those_of_transformers) {
    const char *model = test_model_or_skip();
    arena *a = command_begin();
    str want;
    CHECK_OK(file_read(&want, a, test_fixture("golden/embed-minilm.f32"), (size_t)1 << 20, HONE_EDATA, err));
    const said s = command_expect(a, 0, "embed \"%s\" \"%s\" --text_column_names text --normalize", model,
                                  test_fixture(TEXTS));
    str rows = {s.out, s.n_out};
    const json *row;
    double worst = 0;
    size_t n = 0;
    for (; parity_next_row(a, &rows, &row); n++) {
        size_t k = 0;
        CHECK_INT(member(row, "embedding")->n, 384);
        for (const json *x = member(row, "embedding")->child; x; x = x->next, k++) {
            float w;
            memcpy(&w, want.p + 4 * (384 * n + k), 4);
            worst = fmax(worst, fabs(x->number - (double)w));
        }
    }
    CHECK_INT(n * 384 * 4, want.n);
    printf("largest difference of %zu embeddings of MiniLM: %.3g\n", n, worst);
    CHECK_NEAR(worst, 0, 1e-6);
    arena_free(a);
}

/* numpy's format 1.0, and the same numbers as the rows; batches of any size. */
TEST(embeddings_as_npy_are_those_of_the_rows) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *out = here(a, "x.npy"), *texts = test_fixture(TEXTS);
    const said s = command_expect(a, 0, "embed \"%s\" \"%s\" --text_column_names text", model, texts);
    command_expect(
        a, 0, "embed \"%s\" \"%s\" --text_column_names text --output \"%s\" --per_device_eval_batch_size 3",
        model, texts, out);
    str file, rows = {s.out, s.n_out};
    CHECK_OK(file_read(&file, a, out, (size_t)1 << 20, HONE_EDATA, err));
    CHECK(!memcmp(file.p, "\x93NUMPY\x01\x00", 8));
    const size_t header = (size_t)(uint8_t)file.p[8] + 256 * (size_t)(uint8_t)file.p[9];
    CHECK_INT((10 + header) % 64, 0);
    CHECK(strstr(arena_copy(a, file.p + 10, header),
                 "'descr': '<f4', 'fortran_order': False, 'shape': (20, 32)"));
    CHECK_INT(file.n, 10 + header + 20 * 32 * 4);
    const json *row;
    for (size_t i = 0; parity_next_row(a, &rows, &row); i++) {
        size_t k = 0;
        for (const json *x = member(row, "embedding")->child; x; x = x->next, k++) {
            float v;
            memcpy(&v, file.p + 10 + header + 4 * (32 * i + k), 4);
            CHECK((float)x->number == v);
        }
    }
    arena_free(a);
}

static double first_number(arena *a, const char *model, const char *flags, double *length) {
    const said s =
        command_expect(a, 0, "embed \"%s\" \"%s\" --text_column_names text --max_predict_samples 1 %s", model,
                       test_fixture(TEXTS), flags);
    str rows = {s.out, s.n_out};
    const json *row;
    double sum = 0;
    CHECK(parity_next_row(a, &rows, &row));
    for (const json *x = member(row, "embedding")->child; x; x = x->next) sum += x->number * x->number;
    *length = sqrt(sum);
    return member(row, "embedding")->child->number;
}

TEST(embeddings_follow_the_folders_modules_and_the_flags) {
    arena *a = command_begin();
    double length, cls, mean;
    const char *tiny = tiny_model(a);
    copy_folder(a, tiny, here(a, "m"));
    const char *m = here(a, "m");
    mean = first_number(a, m, "", &length);
    cls = first_number(a, m, "--pooling cls", &length);
    CHECK(fabs(length - 1) > 1e-3 && cls != mean);
    put_file(a, "m/modules.json",
             "[{\"idx\": 0, \"name\": \"0\", \"path\": \"\", \"type\": "
             "\"sentence_transformers.models.Transformer\"},"
             "{\"idx\": 1, \"name\": \"1\", \"path\": \"1_Pooling\", \"type\": "
             "\"sentence_transformers.models.Pooling\"},"
             "{\"idx\": 2, \"name\": \"2\", \"path\": \"2_Normalize\", \"type\": "
             "\"sentence_transformers.models.Normalize\"}]");
    CHECK_OK(folder_make(here(a, "m/1_Pooling"), err));
    put_file(a, "m/1_Pooling/config.json",
             "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false}");
    CHECK_NEAR(first_number(a, m, "--normalize=false", &length), cls, 0);
    first_number(a, m, "", &length);
    CHECK_NEAR(length, 1, 1e-6);
    CHECK_NEAR(first_number(a, m, "--pooling mean --normalize=false", &length), mean, 0);
    put_file(a, "m/sentence_bert_config.json", "{\"max_seq_length\": 4, \"do_lower_case\": false}");
    CHECK(first_number(a, m, "--pooling mean --normalize=false", &length) != mean);
    put_file(a, "m/1_Pooling/config.json", "{\"pooling_mode_max_tokens\": true}");
    command_refused(
        a, 2, "1_Pooling/config.json: line 1 column 29: a pooling that is not known; expected mean or cls",
        "embed \"%s\" \"%s\"", m, test_fixture(TEXTS));
    put_file(a, "m/modules.json",
             "[{\"path\": \"2_Dense\", \"type\": \"sentence_transformers.models.Dense\"}]");
    command_refused(a, 2, "a module that is not known", "embed \"%s\" \"%s\"", m, test_fixture(TEXTS));
    command_refused(a, 2, "--pooling: \"max\", expected mean or cls", "embed \"%s\" \"%s\" --pooling max",
                    tiny, test_fixture(TEXTS));
    arena_free(a);
}
