/* questions.c - task question-answering beside torch, run_qa.py and SQuAD's scripts (scripts/golden/heads.py). */
#include "command.h"
#include "formula_model.h"
#include "golden.h"
#include "parity_check.h"

#define TASK "--task question-answering --max_seq_length 32 --doc_stride 8"

static void check_figures(arena *a, const json *summary, const json *want) {
    for (const json *w = want->child; w; w = w->next) {
        if (w->kind != JSON_NUMBER) continue;
        const double got = number_of(summary, arena_print(a, "eval_%s", w->key.p));
        if (!strcmp(w->key.p, "loss")) CHECK_NEAR(got / w->number, 1, 2e-6);
        else CHECK_NEAR(got, w->number, 1e-8 * (1 + w->number)); /* nine digits are printed */
    }
}

/* How far a score lies above the first answer's: the bias, which is noise (parity_check.c), shifts all. */
static double above(const json *list, const json *x, const char *key) {
    return number_of(x, key) - number_of(list->child, key);
}

/* Every answer that was weighed, as run_qa.py wrote them. */
static void check_best(const json *got, const json *want) {
    CHECK_INT(got->n, want->n);
    for (const json *w = want->child, *g = got->child; w; w = w->next, g = g->next) {
        CHECK(str_eq(g->key, w->key));
        CHECK_INT(g->n, w->n);
        for (const json *x = w->child, *y = g->child; x; x = x->next, y = y->next) {
            CHECK_STR(text_of(y, "text"), text_of(x, "text"));
            CHECK_NEAR(above(g, y, "start_logit"), above(w, x, "start_logit"), 5e-6);
            CHECK_NEAR(above(g, y, "end_logit"), above(w, x, "end_logit"), 5e-6);
            CHECK_NEAR(number_of(y, "probability"), number_of(x, "probability"), 1e-6);
        }
    }
}

static void check_texts(const json *got, const json *want) {
    CHECK_INT(got->n, want->n);
    for (const json *w = want->child, *g = got->child; w; w = w->next, g = g->next) {
        CHECK(str_eq(g->key, w->key));
        CHECK_STR(g->string.p, w->string.p);
    }
}

static void check_rows(arena *a, const char *out, const json *want, const json *odds) {
    const said s = command_expect(a, 0, "predict \"%s\" \"%s\" %s --version_2_with_negative true --top 3",
                                  out, test_fixture("e2e/questions-validation.json"), TASK);
    str rows = {s.out, s.n_out};
    const json *row, *w = want->child;
    for (; parity_next_row(a, &rows, &row); w = w->next) {
        CHECK(w);
        CHECK_STR(text_of(row, "id"), w->key.p);
        CHECK_STR(text_of(row, "answer"), w->string.p);
        CHECK_NEAR(number_of(row, "null_odds"), member(odds, w->key.p)->number, 1e-5);
        CHECK_INT(member(row, "top")->n, 3);
    }
    CHECK(!w);
}

static void ten_steps(const formula_kind *k) {
    arena *a = command_begin();
    const json *golden = golden_open(a, k->golden), *want = member(golden, "eval"),
               *train_file = member(want, "train_file");
    const char *model = formula_model(a, "model", k, ""), *out = here(a, "out"),
               *train = arena_print(a, "%s", test_fixture("e2e/questions-train.json")),
               *validation = arena_print(a, "%s", test_fixture("e2e/questions-validation.json"));
    const json *summary = command_json(
        a,
        "train %s --model_name_or_path \"%s\" --train_file \"%s\" --validation_file \"%s\" --output_dir "
        "\"%s\" "
        "--max_steps 10 --per_device_train_batch_size 8 --train_sampling_strategy sequential --learning_rate "
        "1e-3 "
        "--warmup_ratio 0.2 --weight_decay 0.01 --save_strategy no --logging_steps 1 --json --quiet \"%s\"",
        TASK, model, train, validation, out, put_file(a, "job.json", "{}"));
    CHECK_INT(number_of(summary, "global_step"), 10);
    parity_steps(a, out, golden);
    CHECK_INT(parity_weights(a, model, out, golden), k->n_weights);
    check_figures(a, summary, want);
    CHECK_INT(number_of(summary, "eval_samples"), member(want, "predictions")->n);
    check_texts(json_of_file(a, path_join(a, out, "eval_predictions.json")), member(want, "predictions"));
    check_best(json_of_file(a, path_join(a, out, "eval_nbest_predictions.json")), member(want, "best"));
    for (const json *w = member(want, "odds")->child,
                    *g = json_of_file(a, path_join(a, out, "eval_null_odds.json"))->child;
         w; w = w->next, g = g->next)
        CHECK_NEAR(g->number, w->number, 1e-5);
    check_rows(a, out, member(want, "predictions"), member(want, "odds"));
    check_figures(
        a, command_json(a, "eval \"%s\" \"%s\" %s --per_device_eval_batch_size 3 --json", out, train, TASK),
        train_file);
    command_expect(a, 0, "export --check \"%s\"", out);
    arena_free(a);
}

TEST(ten_steps_of_questions_equal_torch_and_squads_scripts) {
    ten_steps(&(formula_kind){"bert", "BertForQuestionAnswering", "questions-bert.json", 35, {{NULL, NULL}}});
}

TEST(ten_steps_of_questions_of_roberta_equal_torch_and_squads_scripts) {
    ten_steps(&(formula_kind){"roberta",
                              "RobertaForQuestionAnswering",
                              "questions-roberta.json",
                              35,
                              FORMULA_ROBERTA});
}

TEST(ten_steps_of_questions_of_distilbert_equal_torch_and_squads_scripts) {
    ten_steps(&(formula_kind){"distilbert",
                              "DistilBertForQuestionAnswering",
                              "questions-distilbert.json",
                              34,
                              FORMULA_DISTILBERT});
}

static const json *train(arena *a, const char *name, const char *launch, const char *more) {
    const char *file = arena_print(a, "%s", test_fixture("e2e/questions-train.json"));
    const char *job =
        tiny_job(a, arena_print(a, "%s.json", name), name,
                 arena_print(a,
                             ",\"task\": \"question-answering\",\"max_seq_length\": 32,\"doc_stride\": "
                             "8,\"train_file\": \"%s\","
                             "\"validation_file\": \"%s\",\"reduce_shards\": 4%s%s",
                             file, file, strstr(more, "epochs") ? "" : ",\"max_steps\": 12", more));
    return command_json(a, "%s train \"%s\" --json --quiet", launch, job);
}

TEST(questions_end_in_the_same_bits_on_several_ranks_and_threads_and_when_resumed) {
    arena *a = command_begin();
    const char *saves = ",\"save_strategy\": \"steps\",\"save_steps\": 7";
    const json *one = train(a, "one", "", ""),
               *two = train(a, "two", "launch -n 2", ",\"per_device_train_batch_size\": 4");
    const char *sha = text_of(one, "params_sha256");
    CHECK_STR(text_of(two, "params_sha256"), sha);
    CHECK(number_of(two, "eval_f1") == number_of(one, "eval_f1"));
    CHECK_STR(text_of(train(a, "thread", "", ",\"threads\": 1"), "params_sha256"), sha);
    CHECK_STR(text_of(train(a, "again", "", saves), "params_sha256"), sha);
    CHECK_STR(text_of(train(a, "again", "", arena_print(a, "%s,\"resume_from_checkpoint\": \"true\"", saves)),
                      "params_sha256"),
              sha);
    arena_free(a);
}

TEST(questions_are_the_same_on_every_device) {
    arena *a = command_begin();
    const said there = command_run(a, "plan \"%s\" --device emu --quiet", tiny_job(a, "job.json", "out", ""));
    const json *cpu = train(a, "cpu", "", ",\"max_tokens_per_batch\": 64"),
               *ref = train(a, "ref", "", ",\"max_tokens_per_batch\": 64,\"device\": \"ref\"");
    CHECK_NEAR(number_of(ref, "train_loss"), number_of(cpu, "train_loss"), 1e-5);
    CHECK_NEAR(number_of(ref, "eval_loss"), number_of(cpu, "eval_loss"), 1e-5);
    if (there.code == 2 && strstr(there.err, "there is no libhone_emu.so"))
        test_skip("cpu and ref only: %s", there.err);
    const json *emu = train(a, "emu", "", ",\"max_tokens_per_batch\": 64,\"device\": \"emu\"");
    CHECK_NEAR(number_of(emu, "train_loss"), number_of(cpu, "train_loss"), 1e-5);
    CHECK_NEAR(number_of(emu, "eval_loss"), number_of(cpu, "eval_loss"), 1e-5);
    arena_free(a);
}

/* The first word of each answer stands in its question. */
TEST(answers_are_learned) {
    arena *a = command_begin();
    const json *run = train(a, "out", "", ",\"num_train_epochs\": 60,\"learning_rate\": 3e-3");
    CHECK(number_of(run, "eval_f1") > 40);
    CHECK(number_of(run, "eval_exact_match") <= number_of(run, "eval_f1"));
    const char *asked = put_file(
        a, "asked.jsonl",
        "{\"question\": \"where is my parcel ?\", \"context\": \"my parc\\u00e9l has not come yet\"}\n");
    const said s = command_expect(a, 0, "predict \"%s\" \"%s\" --max_seq_length 32 --doc_stride 8",
                                  here(a, "out"), asked);
    CHECK(strstr(s.out, "{\"index\":0,\"id\":\"0\",\"answer\":\""));
    CHECK(strstr(file_text(a, path_join(a, here(a, "out"), "README.md")), "AutoModelForQuestionAnswering"));
    CHECK(!strstr(command_expect(a, 0, "inspect \"%s\"", here(a, "out")).out, "made new"));
    command_expect(a, 0, "bench step --model \"%s\" --task question-answering --seq 16 --batch 4 --steps 2",
                   here(a, "out"));
    arena_free(a);
}

static const char *squad(arena *a, const char *qa) {
    return put_file(
        a, "asked.json",
        arena_print(
            a, "{\"data\": [{\"paragraphs\": [{\"context\": \"my card is \\u00e9lan\", \"qas\": [%s]}]}]}",
            qa));
}

TEST(questions_that_are_wrong_are_refused) {
    static const char *const refused[][2] = {
        {"{\"id\": \"x\", \"question\": \"q\", \"answers\": [{\"text\": \"lan\", \"answer_start\": 11}]}",
         "question \"x\": the answer \"lan\" does not stand at 11 of the context"},
        {"{\"id\": \"x\", \"question\": 3, \"answers\": []}",
         "line 1 column 95: \"question\" is a number; expected text"},
        {"{\"id\": \"x\", \"question\": \"q\", \"answers\": []}, {\"id\": \"y\", \"question\": \"q\"}",
         "some questions have \"answers\", and others not"},
        {"{\"id\": \"x\", \"question\": \"q\"}", "its questions have no \"answers\""},
        {"{\"id\": \"x\", \"question\": \"my my my my my my my my my my my my\", \"answers\": []}",
         "its text finds no room"}};
    arena *a = command_begin();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        command_refused(
            a, 3, refused[i][1],
            "train \"%s\" --task question-answering --max_seq_length 14 --doc_stride 4 --train_file \"%s\"",
            tiny_job(a, "job.json", "out", ""), squad(a, refused[i][0]));
    command_refused(a, 2, "doc_stride: 128, expected less than",
                    "train \"%s\" --task question-answering --max_seq_length 8 --train_file \"%s\"",
                    tiny_job(a, "job.json", "out", ""),
                    squad(a, "{\"id\": \"x\", \"question\": \"my\", \"answers\": [{\"text\": \"card\", "
                             "\"answer_start\": 3}]}"));
    command_refused(a, 2, "validation_split_percentage: not for task question-answering", "train \"%s\"",
                    tiny_job(a, "job.json", "out",
                             ",\"task\": \"question-answering\",\"validation_split_percentage\": 10"));
    command_refused(a, 2, "doc_stride: not for task text-classification", "train \"%s\"",
                    tiny_job(a, "job.json", "out", ",\"doc_stride\": 10"));
    arena_free(a);
}
