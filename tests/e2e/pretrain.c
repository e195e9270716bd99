/* pretrain.c - task pretrain: beside torch (scripts/golden/pretrain.py), the same bits however it was cut, and the folder handed
 * back. */
#include <math.h>

#include "command.h"
#include "formula_model.h"
#include "golden.h"
#include "parity_check.h"
#include "plan/rung.h"
#include "train/eval.h"
#include "train/inputs.h"

static const formula_kind bert = {"bert", "BertForPreTraining", "pretrain-bert.json", 44, {{NULL, NULL}}};

static const char *sha_of(const json *summary) { return text_of(summary, "params_sha256"); }

static void check_parts(arena *a, const char *out, const json *golden) {
    str log;
    const json *row, *want = member(golden, "steps")->child;
    CHECK_OK(file_read(&log, a, path_join(a, out, "log.jsonl"), (size_t)1 << 26, HONE_EDATA, err));
    while (parity_next_row(a, &log, &row)) {
        if (!json_get(row, "loss")) continue;
        CHECK_NEAR(number_of(row, "mlm_loss") / number_of(want, "mlm_loss"), 1, 1e-5);
        CHECK_NEAR(number_of(row, "nsp_loss") / number_of(want, "nsp_loss"), 1, 1e-5);
        want = want->next;
    }
    CHECK(!want);
}

typedef struct {
    const json *row;
    double worst;
} beside;

static void compare_sample(void *arg, int64_t i, const float *x, double loss) {
    beside *b = arg;
    (void)i;
    CHECK_INT((int)x[0], number_of(b->row, "words"));
    const json *logit = member(b->row, "logits")->child;
    const double differs[] = {loss - number_of(b->row, "word_loss"), (double)x[2] - logit->number,
                              (double)x[3] - logit->next->number};
    for (int k = 0; k < 3; k++) b->worst = fmax(b->worst, fabs(differs[k]));
    b->row = b->row->next;
}

/* Logits of next sentences and losses of words of the trained model, pair by pair. */
static void compare_pairs(arena *a, const char *model, const json *pairs) {
    job *j;
    session *s;
    dataset *d;
    pool *p = pool_new(1);
    const char *file = test_fixture("e2e/documents-validation.txt");
    const job_override given[] = {{"task", "pretrain"}, {"max_seq_length", "24"}, {"device", "ref"}};
    CHECK_OK(job_load(&j, NULL, given, 3, 1, err));
    CHECK_OK(session_open(&s, j, model, NULL, p, err));
    const dataset_options o = session_dataset_options(s, 0);
    CHECK_OK(dataset_open(&d, file, &o, s->tok, &s->labels, 1, p, err));
    CHECK_OK(inputs_samples(&d, s, file, 0, err));
    CHECK_INT(d->n, (int64_t)pairs->n);
    const eval_batches b = eval_batches_of(j, d, EVAL_TOKENS);
    CHECK_OK(session_start(s, &(session_limits){.tokens_max = b.tokens, .seqs_max = b.samples}, err));
    beside x = {pairs->child, 0};
    CHECK_OK(evaluate(s, d, b, compare_sample, &x, err));
    CHECK(!x.row);
    printf("largest difference of a logit or a pair's loss from torch: %.3g\n", x.worst);
    CHECK(x.worst < 1e-5);
    dataset_free(d);
    session_close(s);
    pool_free(p);
    job_free(j);
    (void)a;
}

TEST(twenty_steps_of_pretraining_equal_torch) {
    arena *a = command_begin();
    const json *golden = golden_open(a, bert.golden), *want = member(golden, "eval");
    const char *model = formula_model(a, "model", &bert, ""), *out = here(a, "out");
    const json *summary =
        command_json(a,
                     "train --task pretrain --model_name_or_path \"%s\" --train_file \"%s\" "
                     "--validation_file \"%s\" --output_dir \"%s\" "
                     "--max_steps 20 --seed 42 --max_seq_length 24 --per_device_train_batch_size 8 "
                     "--train_sampling_strategy sequential "
                     "--learning_rate 1e-3 --warmup_ratio 0.1 --weight_decay 0.01 --save_strategy no "
                     "--logging_steps 1 --json --quiet \"%s\"",
                     model, test_fixture("e2e/documents.txt"), test_fixture("e2e/documents-validation.txt"),
                     out, put_file(a, "job.json", "{}"));
    CHECK_INT(number_of(summary, "global_step"), 20);
    parity_steps(a, out, golden);
    check_parts(a, out, golden);
    CHECK_INT(parity_weights(a, model, out, golden), bert.n_weights);
    CHECK_NEAR(number_of(summary, "eval_mlm_loss") / number_of(want, "mlm_loss"), 1, 1e-6);
    CHECK_NEAR(number_of(summary, "eval_nsp_loss") / number_of(want, "nsp_loss"), 1, 1e-6);
    CHECK_NEAR(number_of(summary, "eval_accuracy"), number_of(want, "accuracy"), 1e-9);
    CHECK_NEAR(number_of(summary, "eval_nsp_accuracy"), number_of(want, "nsp_accuracy"), 1e-9);
    CHECK_NEAR(number_of(summary, "eval_perplexity"), exp(number_of(summary, "eval_mlm_loss")), 1e-4);
    CHECK_NEAR(number_of(summary, "eval_loss"), number_of(want, "mlm_loss") + number_of(want, "nsp_loss"),
               1e-5);
    compare_pairs(a, out, member(want, "pairs"));
    arena_free(a);
}

/* What both heads read: of each sequence the first row, then those of its hidden words in the order of the tokens. With a row goes
 * the key that dropout is drawn by, or the last layer would be dropped otherwise than when all of its rows are made. */
TEST(rows_that_are_read_keep_the_keys_of_their_tokens) {
    job *j;
    session *s;
    dataset *d;
    pool *p = pool_new(1);
    const char *file = test_fixture("e2e/documents-validation.txt"), *model = test_fixture("e2e/model");
    const job_override given[] = {{"task", "pretrain"}, {"max_seq_length", "24"}, {"device", "ref"},
                                  {"config_name", model}, {"tokenizer_name", model}};
    CHECK_OK(job_load(&j, NULL, given, 5, 1, err));
    CHECK_OK(session_open(&s, j, NULL, model, p, err));
    const dataset_options o = session_dataset_options(s, 0);
    CHECK_OK(dataset_open(&d, file, &o, s->tok, &s->labels, 1, p, err));
    CHECK_OK(inputs_samples(&d, s, file, 0, err));
    CHECK_OK(session_start(s, &(session_limits){.training = 1, .tokens_max = 96, .seqs_max = 5}, err));
    const int64_t samples[] = {2, 0, 1};
    CHECK_OK(session_feed(s, d, samples, 3, 0, 1, err));
    const batch *b = s->batch;
    CHECK_INT(b->n_seqs, 3);
    int seen[HONE_FILL_SPAN + 1] = {0};
    for (int v = 1; v <= s->plan->n_values; v++) {
        const hone_value *x = &s->plan->value[v];
        if (!x->fill_space || !plan_space_is_read(s->plan, x->fill_space)) continue;
        const void *has = run_input(s->run, v);
        int32_t row = 0, word = 0;
        for (int32_t i = 0; i < b->n_seqs; i++) {
            const int32_t begins = row;
            for (int32_t k = b->at[i].first; k < b->at[i].first + b->at[i].n; k++) {
                const int is_word = word < b->n_words && b->word_row[word] == k;
                word += is_word;
                if (!is_word && k != b->at[i].first) continue;
                if (x->fill == HONE_FILL_INDEX) CHECK_INT(((const int32_t *)has)[row], k);
                if (x->fill == HONE_FILL_KEY) {
                    CHECK_INT(((const hone_key *)has)[row].sample, b->key[k].sample);
                    CHECK_INT(((const hone_key *)has)[row].position, b->key[k].position);
                }
                row++;
            }
            if (x->fill == HONE_FILL_AT) {
                CHECK_INT(((const hone_range *)has)[i].first, begins);
                CHECK_INT(((const hone_range *)has)[i].n, row - begins);
            }
        }
        CHECK_INT(word, b->n_words);
        if (x->fill == HONE_FILL_INDEX && row < s->plan->space[x->fill_space].cap)
            CHECK_INT(((const int32_t *)has)[row], -1);
        seen[x->fill]++;
    }
    CHECK(seen[HONE_FILL_INDEX] == 1 && seen[HONE_FILL_KEY] == 1 && seen[HONE_FILL_AT] == 1);
    dataset_free(d);
    session_close(s);
    pool_free(p);
    job_free(j);
}

/* The tiny job on documents; validated on another file of them, or (own 1) on the same. */
static const json *train_on(arena *a, int own, const char *name, const char *launch, const char *more) {
    const char *documents = test_fixture("e2e/documents.txt"),
               *task = arena_print(a,
                                   ",\"task\": \"pretrain\",\"max_seq_length\": 24,\"train_file\": "
                                   "\"%s\",\"validation_file\": \"%s\"%s",
                                   documents, own ? documents : test_fixture("e2e/documents-validation.txt"),
                                   more);
    return command_json(a, "%s train \"%s\" --json --quiet", launch,
                        tiny_job(a, arena_print(a, "%s.json", name), name, task));
}

static const json *train(arena *a, const char *name, const char *launch, const char *more) {
    return train_on(a, 0, name, launch, arena_print(a, ",\"max_steps\": 12,\"reduce_shards\": 4%s", more));
}

static void check_same(const json *x, const json *y) {
    CHECK_STR(sha_of(x), sha_of(y));
    CHECK(number_of(x, "train_loss") == number_of(y, "train_loss"));
    CHECK(number_of(x, "eval_loss") == number_of(y, "eval_loss"));
    CHECK(number_of(x, "eval_nsp_accuracy") == number_of(y, "eval_nsp_accuracy"));
}

TEST(pretraining_ends_in_the_same_bits_on_several_ranks_and_threads) {
    arena *a = command_begin();
    const json *one = train(a, "one", "", "");
    check_same(train(a, "two", "launch -n 2", ",\"per_device_train_batch_size\": 4"), one);
    check_same(train(a, "four", "launch -n 4", ",\"per_device_train_batch_size\": 2,\"zero_stage\": 1"), one);
    check_same(train(a, "thread", "", ",\"threads\": 1"), one);
    CHECK(strcmp(sha_of(train(a, "other", "", ",\"nsp_probability\": 0.3")), sha_of(one)));
    CHECK(strcmp(sha_of(train(a, "short", "", ",\"short_seq_prob\": 0.9")), sha_of(one)));
    arena_free(a);
}

/* Pieces of words; and masks whose number is another one in every epoch. */
TEST(pretraining_hides_whole_words_on_several_ranks) {
    arena *a = command_begin();
    const char *whole = ",\"whole_word_mask\": true";
    const json *one = train(a, "one", "", whole);
    check_same(train(a, "two", "launch -n 2", arena_print(a, "%s,\"per_device_train_batch_size\": 4", whole)),
               one);
    arena_free(a);
}

/* Inside the third epoch: the pairs are those of that epoch, and the sums of both losses go on. */
TEST(pretraining_resumes_to_the_same_bits) {
    arena *a = command_begin();
    const char *saves = ",\"save_strategy\": \"steps\",\"save_steps\": 10", *more = ",\"logging_steps\": 7";
    const json *whole = train(a, "whole", "", more);
    train(a, "out", "", arena_print(a, "%s%s", more, saves));
    check_same(train(a, "out", "", arena_print(a, "%s%s,\"resume_from_checkpoint\": \"true\"", more, saves)),
               whole);
    arena_free(a);
}

TEST(pretraining_is_replayed_from_its_log) {
    arena *a = command_begin();
    train(a, "out", "", ",\"save_strategy\": \"steps\",\"save_steps\": 4");
    const json *again = command_json(a, "verify \"%s\" --replay 4 --json --quiet --from 8", here(a, "out"));
    CHECK_INT(number_of(again, "replayed"), 4);
    arena_free(a);
}

TEST(pretraining_on_a_device_of_fixed_rows_is_the_same) {
    arena *a = command_begin();
    const said there = command_run(a, "plan \"%s\" --device emu --quiet", tiny_job(a, "job.json", "out", ""));
    if (there.code == 2 && strstr(there.err, "there is no libhone_emu.so")) test_skip("%s", there.err);
    const json *ref = train(a, "ref", "", ",\"device\": \"ref\""),
               *emu = train(a, "emu", "", ",\"device\": \"emu\"");
    CHECK_NEAR(number_of(emu, "train_loss"), number_of(ref, "train_loss"), 1e-5);
    CHECK_NEAR(number_of(emu, "eval_loss"), number_of(ref, "eval_loss"), 1e-5);
    arena_free(a);
}

/* The folder is one to go on from: as what it was, as words alone, as a classifier. */
TEST(pretraining_is_learned_and_handed_on) {
    arena *a = command_begin();
    const json *first = train_on(a, 1, "first", "", ",\"num_train_epochs\": 400");
    CHECK(number_of(first, "eval_accuracy") > 0.2);     /* the commonest word: 0.11 */
    CHECK(number_of(first, "eval_nsp_accuracy") > 0.7); /* always the commoner answer: about 0.6 */
    command_expect(a, 0, "export --check \"%s\"", here(a, "first"));
    const char *from = arena_print(
        a, ",\"config_name\": \"\",\"model_name_or_path\": \"%s\",\"max_steps\": 1", here(a, "first"));
    const json *again = command_json(a, "eval \"%s\" \"%s\" --max_seq_length 24 --seed 7 --json",
                                     here(a, "first"), test_fixture("e2e/documents.txt"));
    CHECK(number_of(again, "eval_loss") == number_of(first, "eval_loss"));
    const json *second = train_on(a, 1, "second", "", arena_print(a, "%s,\"learning_rate\": 1e-9", from));
    CHECK_NEAR(number_of(second, "eval_loss"), number_of(first, "eval_loss"), 1e-3);
    command_expect(a, 0, "train \"%s\" --quiet",
                   tiny_job(a, "words.json", "words", arena_print(a, ",\"task\": \"fill-mask\"%s", from)));
    command_expect(a, 0, "train \"%s\" --quiet", tiny_job(a, "classes.json", "classes", from));
    command_expect(a, 0, "bench step --model \"%s\" --task pretrain --seq 16 --batch 4 --steps 2",
                   here(a, "first"));
    arena_free(a);
}

/* configs/jobs/pretrain-short.json, pretrain.json and pretrain-tuning.json, on the fixture's model and texts instead of books. */
TEST(the_jobs_of_pretraining_run) {
    arena *a = command_begin();
    const char *documents = test_fixture("e2e/documents.txt"), *table = test_fixture("e2e/train.csv");
    const said from_nothing = command_shell(
        a,
        "cd \"%s\" && \"%s\" train configs/jobs/pretrain-short.json --config_name \"%s\" --tokenizer_name \"%s\" "
        "--train_file \"%s\" --validation_file \"%s\" --max_steps 6 --eval_steps 3 "
        "--output_dir \"%s\" --json --quiet",
        HONE_SOURCE_FOLDER, command_program(), test_fixture("e2e/model"), test_fixture("e2e/model"),
        documents, documents, here(a, "short"));
    CHECK_INT(from_nothing.code, 0);
    const said s = command_shell(
        a,
        "cd \"%s\" && \"%s\" train configs/jobs/pretrain.json --model_name_or_path \"%s\" "
        "--train_file \"%s\" --validation_file \"%s\" --max_steps 6 --eval_steps 3 --max_seq_length 32 "
        "--output_dir \"%s\" --json --quiet",
        HONE_SOURCE_FOLDER, command_program(), here(a, "short"), documents, documents, here(a, "out"));
    const json *summary;
    CHECK_INT(s.code, 0);
    CHECK_OK(json_parse(&summary, a, "summary", s.out, s.n_out, HONE_EDATA, err));
    CHECK(number_of(summary, "eval_nsp_accuracy") >= 0);
    const said t = command_shell(
        a,
        "cd \"%s\" && \"%s\" train configs/jobs/pretrain-tuning.json --model_name_or_path \"%s\" "
        "--train_file \"%s\" --validation_file \"%s\" --max_seq_length 32 --learning_rate 5e-3 --output_dir "
        "\"%s\" --json --quiet",
        HONE_SOURCE_FOLDER, command_program(), here(a, "out"), table, table, here(a, "tuned"));
    if (t.code) test_fail(__FILE__, __LINE__, "%s", t.err);
    CHECK_OK(json_parse(&summary, a, "summary", t.out, t.n_out, HONE_EDATA, err));
    CHECK(number_of(summary, "eval_accuracy") > 0.5); /* of 4 kinds by chance: 0.25 */
    arena_free(a);
}

TEST(what_pretraining_cannot_do_is_refused) {
    static const char *const refused[][2] = {
        {",\"line_by_line\": true", "line_by_line: not for task pretrain, expected task fill-mask"},
        {",\"do_predict\": true", "do_predict: not for task pretrain"},
        {",\"validation_split_percentage\": 20", "validation_split_percentage: not for task pretrain"},
        {",\"max_seq_length\": 4", "max_seq_length: 4, expected at least 5"},
        {",\"nsp_probability\": 1.5", "nsp_probability"}};
    arena *a = command_begin();
    const char *task = ",\"task\": \"pretrain\"",
               *file = arena_print(a, "%s,\"train_file\": \"%s\"", task, test_fixture("e2e/documents.txt"));
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        command_refused(a, 2, refused[i][1], "train \"%s\"",
                        tiny_job(a, "job.json", "out", arena_print(a, "%s%s", file, refused[i][0])));
    command_refused(a, 2, "nsp_probability: not for task fill-mask, expected task pretrain", "train \"%s\"",
                    tiny_job(a, "job.json", "out", ",\"task\": \"fill-mask\",\"nsp_probability\": 0.2"));
    command_refused(a, 3, "1 documents, expected at least 2", "train \"%s\"",
                    tiny_job(a, "job.json", "out",
                             arena_print(a, "%s,\"train_file\": \"%s\"", task,
                                         put_file(a, "one.txt", "the card\nmy bill\n"))));
    static const formula_kind roberta = {
        "roberta", "RobertaForMaskedLM", NULL, 0, FORMULA_ROBERTA};
    command_refused(a, 2, "family roberta has no head for task pretrain", "train \"%s\"",
                    tiny_job(a, "job.json", "out",
                             arena_print(a, "%s,\"config_name\": \"\",\"model_name_or_path\": \"%s\"", file,
                                         formula_model(a, "roberta", &roberta, ""))));
    arena_free(a);
}
