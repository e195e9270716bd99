/* commands.c - what each command prints: the keys and rows that scripts rely on, and nothing else on stdout. */
#include <math.h>
#include <stdlib.h>

#include "command.h"
#include "golden.h"

static void need(const json *object, const char *keys) {
    char word[64];
    for (const char *p = keys; sscanf(p, "%63s", word) == 1; p = strstr(p, word) + strlen(word))
        member(object, word);
}

static const json *line_of(arena *a, const said *s, int line) {
    const json *row;
    const char *p = s->out, *end;
    while (line-- && (p = strchr(p, '\n'))) p++;
    CHECK(p && (end = strchr(p, '\n')));
    CHECK_OK(json_parse(&row, a, "stdout", p, (size_t)(end - p), HONE_EDATA, err));
    return row;
}

static int lines_of(const said *s) {
    int n = 0;
    for (const char *p = s->out; (p = strchr(p, '\n')); p++) n++;
    return n;
}

TEST(help_version_and_overview) {
    arena *a = command_begin();
    said s = command_expect(a, 0, "--help");
    static const char *const commands[] = {"train",   "eval",   "predict", "embed", "tokenize", "vocab", "validate",
                                           "inspect", "export", "plan",    "bench",    "init"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        CHECK(strstr(s.out, arena_print(a, "\n  %-9s ", commands[i])));
        const said help = command_expect(a, 0, "%s --help", commands[i]);
        CHECK(!strncmp(help.out, arena_print(a, "hone %s ", commands[i]), 6 + strlen(commands[i])));
        CHECK_STR(help.err, "");
    }
    CHECK_STR(command_expect(a, 0, "help").out, s.out);
    s = command_expect(a, 0, "train --help");
    CHECK(!strncmp(
        s.out, "hone train JOB.json [--field value ...]\nFine-tune a model as a job file says.\n\n  --strict",
        85));
    CHECK(strstr(s.out, "learning_rate") && strstr(s.out, "5e-5") &&
          strstr(s.out, "per_device_train_batch_size"));
    const json *v = command_json(a, "--version --json");
    need(v, "version commit compiler build_type instruction_sets devices");
    need(member(v, "devices"), "ref cpu cuda emu");
    CHECK(!strncmp(command_expect(a, 0, "--version").out, arena_print(a, "hone %s (", text_of(v, "version")),
                   6));
    arena_free(a);
}

TEST(eval_and_predict_print_what_outputs_says) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *file = test_fixture("e2e/validation.csv");
    const json *e = command_json(a, "eval \"%s\" \"%s\" --json", model, file);
    need(e, "eval_loss eval_accuracy eval_f1 eval_precision eval_recall eval_f1_micro eval_f1_weighted "
            "eval_mcc eval_ece eval_top5_accuracy "
            "eval_samples eval_runtime eval_samples_per_second");
    CHECK_INT(number_of(e, "eval_samples"), 20);
    const said people = command_expect(a, 0, "eval \"%s\" \"%s\"", model, file);
    CHECK(strstr(people.out, "class    precision  recall     f1  samples\n") &&
          strstr(people.out, "most confused: label"));
    CHECK(!strstr(command_expect(a, 0, "eval \"%s\" \"%s\" --brief", model, file).out, "most confused"));

    const said s = command_expect(a, 0, "predict \"%s\" \"%s\" --top 2 --logits", model, file);
    CHECK_INT(lines_of(&s), 20);
    int right = 0, n = 0;
    const char *data = strchr(file_text(a, file), '\n') + 1;
    for (; n < 20; n++, data = strchr(data, '\n') + 1) {
        const json *row = line_of(a, &s, n), *top = member(row, "top"), *logits = member(row, "logits");
        CHECK_INT(number_of(row, "index"), n);
        CHECK_INT(top->n, 2);
        CHECK_INT(logits->n, 4);
        CHECK_STR(text_of(top->child, "label"), text_of(row, "label"));
        CHECK_NEAR(number_of(top->child, "score"), number_of(row, "score"), 0);
        const char *comma = strchr(data, ','), *end = strchr(data, '\n');
        right += (size_t)(end - comma - 1) == strlen(text_of(row, "label")) &&
                 !strncmp(comma + 1, text_of(row, "label"), (size_t)(end - comma - 1));
        double top_logit = -1e9;
        for (const json *x = logits->child; x; x = x->next) top_logit = fmax(top_logit, x->number);
        double sum = 0;
        for (const json *x = logits->child; x; x = x->next) sum += exp(x->number - top_logit);
        CHECK_NEAR(number_of(row, "score"), 1 / sum, 1e-6);
    }
    CHECK_NEAR(number_of(e, "eval_accuracy"), right / 20.0, 1e-9);
    /* to a file, from standard input, from plain lines, without top and logits */
    const char *out = here(a, "rows.jsonl");
    CHECK_STR(
        command_expect(a, 0, "predict \"%s\" \"%s\" --top 2 --logits --output \"%s\"", model, file, out).out,
        "");
    CHECK_STR(file_text(a, out), s.out);
    const char *lines = put_file(a, "lines.txt", "where is my parcel\nthank you, \"friend\"\n");
    const said plain = command_expect(a, 0, "predict \"%s\" \"%s\"", model, lines),
               piped = command_expect(a, 0, "predict \"%s\" - <\"%s\"", model, lines);
    CHECK_INT(lines_of(&plain), 2);
    CHECK_STR(piped.out, plain.out);
    CHECK_INT(line_of(a, &plain, 1)->n, 3); /* index, label, score */
    arena_free(a);
}

TEST(tokenize_and_back) {
    arena *a = command_begin();
    const char *model = test_fixture("e2e/model"),
               *lines = put_file(a, "lines.txt", "where is my parcel\nthank you\r\n\nthank\tyou\n");
    const said s = command_expect(a, 0, "tokenize \"%s\" \"%s\"", model, lines);
    CHECK_INT(lines_of(&s), 4);
    CHECK_INT(member(line_of(a, &s, 0), "ids")->n, 6);
    CHECK_INT(member(line_of(a, &s, 1), "ids")->n, 4);
    CHECK_INT(member(line_of(a, &s, 1), "type_ids")->n, 4);
    CHECK_INT(member(line_of(a, &s, 2), "ids")->n, 2);
    CHECK_STR(command_expect(a, 0, "tokenize \"%s\" - <\"%s\"", model, lines).out, s.out);
    const char *ids = put_file(a, "ids.jsonl", s.out);
    const said back = command_expect(a, 0, "tokenize \"%s\" \"%s\" --decode --skip-special", model, ids);
    CHECK_STR(back.out, "where is my parcel\nthank you\n\nthank you\n");
    const char *pairs = put_file(a, "pairs.txt", "where is\tmy parcel\n");
    const json *pair = line_of(
        a, &(said){.out = command_expect(a, 0, "tokenize \"%s\" \"%s\" --pair", model, pairs).out}, 0);
    CHECK_INT(member(pair, "ids")->n, 7);
    CHECK_INT(member(pair, "type_ids")->child->next->next->next->next->integer, 1);
    const char *strings = put_file(a, "strings.jsonl", "\"thank\\nyou\"\n");
    const said cut =
        command_expect(a, 0, "tokenize \"%s\" \"%s\" --json-strings --max_seq_length 3", model, strings);
    CHECK_INT(member(line_of(a, &cut, 0), "ids")->n, 3);
    command_refused(a, 3, "line 1: expected an array of ids", "tokenize \"%s\" \"%s\" --decode", model,
                    put_file(a, "bad.txt", "7\n"));
    command_refused(a, 3, "line 1 byte 3: invalid UTF-8", "tokenize \"%s\" \"%s\"", model,
                    put_file(a, "bad.txt", "ab\xff\nok\n"));
    arena_free(a);
}

TEST(vocab_trains_a_tokenizer_that_tokenize_loads) {
    arena *a = command_begin();
    const char *lines = put_file(a, "lines.txt", "where is my parcel\nwhere is my card\nmy parcel, my card\n");
    const char *folder = arena_print(a, "%s/made", test_folder());
    const said s = command_expect(a, 0, "vocab --type wordpiece --size 60 --output \"%s\" --json \"%s\" \"%s\"", folder,
                                  lines, lines);
    const json *report = line_of(a, &s, 0);
    CHECK_INT(member(report, "lines")->integer, 6);
    CHECK(member(report, "size")->integer > 20 && member(report, "size")->integer <= 60);
    CHECK(file_exists(arena_print(a, "%s/vocab.txt", folder)));
    const said t = command_expect(a, 0, "tokenize \"%s\" \"%s\" --offsets", folder, lines);
    const json *row = line_of(a, &t, 0);
    CHECK_INT(member(row, "ids")->n, 6); /* every word is a token by now */
    CHECK_INT(member(row, "offsets")->child->next->next->child->integer, 6);
    command_refused(a, 2, "--type", "vocab --size 60 --output \"%s\" \"%s\"", folder, lines);
    command_refused(a, 2, "--output: missing", "vocab --type bpe \"%s\"", lines);
    command_refused(a, 2, "wordpiece, bpe", "vocab --type wordpice --output \"%s\" \"%s\"", folder, lines);
    command_refused(a, 2, "--size 200", "vocab --type bpe --size 200 --output \"%s\" \"%s\"", folder, lines);
    command_refused(a, 3, "no.txt", "vocab --type bpe --output \"%s\" \"%s/no.txt\"", folder, test_folder());
    arena_free(a);
}

TEST(validate_counts_what_is_odd) {
    arena *a = command_begin();
    const char *train = put_file(a, "train.csv",
                                 "text,label\nthank you,praise\nthank you,praise\nmy bill,bill\nmy "
                                 "bill,account\nmy parcel \xe2\x98\x83,parcel\n,bill\n"
                                 "a a a a a a a a a a a a a a a a a a a a a a a a,bill\n");
    const char *validation =
        put_file(a, "validation.csv", "text,label\nthank you,praise\na new box,parcel\n");
    const char *job = tiny_job(
        a, "job.json", "out",
        arena_print(a, ",\"train_file\": \"%s\", \"validation_file\": \"%s\", \"max_seq_length\": 12", train,
                    validation));
    const json *v = command_json(a, "validate \"%s\" --json", job), *t = member(v, "train");
    CHECK_INT(number_of(t, "rows"), 7);
    CHECK_INT(member(t, "classes")->n, 4);
    CHECK_INT(number_of(member(t, "classes"), "bill"), 3);
    CHECK_INT(number_of(member(t, "duplicates"), "count"), 1);
    CHECK_INT(number_of(member(t, "contradictions"), "count"), 1);
    CHECK_INT(number_of(member(t, "empty"), "count"), 1);
    CHECK_INT(number_of(member(t, "unknown"), "count"), 1);
    CHECK_INT(number_of(member(member(v, "validation"), "overlap"), "count"), 1);
    CHECK(number_of(v, "warnings") >= 2);
    const said people = command_expect(a, 0, "validate \"%s\"", job);
    CHECK(strstr(people.out, "== train\n") && strstr(people.out, "== validation\n"));
    CHECK(!file_exists(here(a, "out"))); /* nothing is trained */
    command_refused(a, 3, "label \"nonsense\"", "validate \"%s\" --validation_file \"%s\"", job,
                    put_file(a, "bad.csv", "text,label\nx,nonsense\n"));
    arena_free(a);
}

TEST(plan_prints_bytes_and_steps) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", "");
    const json *p = command_json(a, "plan \"%s\" --json", job);
    need(p, "device dtype planned_device_bytes activation_bound_bytes slab_bytes rows gradient_slots steps "
            "parameters");
    need(member(p, "slab_bytes"), "param state grad act input const result work");
    const said s = command_expect(a, 0, "plan \"%s\" --steps", job);
    CHECK(strstr(s.out, "slab ") && strstr(s.out, "L1.attention"));
    CHECK(lines_of(&s) > (int)number_of(member(p, "steps"), "micro"));
    const json *large = command_json(a, "plan \"%s\" --json --tokens 4096", job); /* without reading data */
    CHECK(number_of(large, "planned_device_bytes") > number_of(p, "planned_device_bytes"));
    CHECK(!file_exists(here(a, "out")));
    arena_free(a);
}

TEST(inspect_knows_models_runs_and_checkpoints) {
    arena *a = command_begin();
    command_expect(
        a, 0, "train \"%s\" --quiet",
        tiny_job(a, "job.json", "out", ",\"max_steps\": 4, \"save_strategy\": \"steps\", \"save_steps\": 2"));
    const char *out = here(a, "out");
    const json *run = command_json(a, "inspect \"%s\" --json", out);
    CHECK_STR(text_of(run, "kind"), "run");
    CHECK_INT(number_of(run, "global_step"), 4);
    const json *c = command_json(a, "inspect \"%s/checkpoint-2\" --json", out);
    CHECK_STR(text_of(c, "kind"), "checkpoint");
    CHECK_INT(number_of(c, "step"), 2);
    command_expect(a, 0, "export \"%s\" \"%s\"", out, here(a, "plain"));
    const json *m = command_json(a, "inspect \"%s\" --json --tensors", here(a, "plain"));
    need(m, "kind architecture family parameters bytes dtype labels tokenizer tokenizer_size made_new "
            "ignored unexpected problem tensors");
    double parameters = 0;
    for (const json *t = member(m, "tensors")->child; t; t = t->next) {
        need(t, "name dtype shape bytes sha256");
        parameters += number_of(t, "bytes") / 4;
    }
    CHECK_INT(parameters, number_of(m, "parameters"));
    CHECK_STR(member(m, "labels")->child->string.p, "account");
    CHECK(strstr(command_expect(a, 0, "inspect \"%s\"", here(a, "plain")).out, "\nlabels        "));
    CHECK(strstr(command_expect(a, 0, "inspect \"%s\"", out).out, "every hash holds"));
    command_refused(a, 2, "not there", "inspect \"%s\"", here(a, "nothing"));
    arena_free(a);
}

TEST(export_copies_and_judges) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *copy = here(a, "copy"), *again = here(a, "again");
    CHECK_STR(command_expect(a, 0, "export \"%s\" \"%s\" --json", model, copy).out,
              arena_print(a, "{\"output_dir\":\"%s\"}\n", copy));
    CHECK(strstr(command_expect(a, 0, "export --check \"%s\"", copy).out, "9 findings, 0 failed"));
    CHECK_INT(number_of(command_json(a, "export --check \"%s\" --json", copy), "failed"), 0);
    static const char *const same[] = {"model.safetensors", "config.json",           "tokenizer.json",
                                       "vocab.txt",         "tokenizer_config.json", "README.md"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (system(arena_print(a, "cmp -s \"%s/%s\" \"%s/%s\"", model, same[i], copy, same[i])))
            test_fail(__FILE__, __LINE__, "%s differs", same[i]);
    command_refused(a, 2, "is there already", "export \"%s\" \"%s\"", model, copy);
    /* a folder without a card gets one */
    CHECK(!system(arena_print(a, "rm \"%s/README.md\"", copy)));
    command_expect(a, 0, "export \"%s\" \"%s\"", copy, again);
    command_expect(a, 0, "export --check \"%s\"", again);
    /* one thing broken: judged, listed, exit 7 */
    const char *config = path_join(a, again, "config.json");
    CHECK(!system(arena_print(a, "sed -i 's/\"vocab_size\": 229/\"vocab_size\": 228/' \"%s\"", config)));
    const said s = command_expect(a, 7, "export --check \"%s\"", again);
    CHECK(strstr(s.out, "FAILED") && strstr(s.err, "checks failed"));
    arena_free(a);
}

static const char *probe_finding(arena *a, int code, const char *folder) {
    const said s = command_expect(a, code, "export --check \"%s\"", folder);
    const char *line = strstr(s.out, " 9 probe ");
    if (!line) test_fail(__FILE__, __LINE__, "no finding 9 in: %.600s", s.out);
    while (line > s.out && line[-1] != '\n') line--;
    return line;
}

TEST(a_run_keeps_a_probe_that_its_folder_is_judged_by) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *copy = here(a, "copy"), *half = here(a, "half");
    command_expect(a, 0, "export \"%s\" \"%s\"", model, copy);
    CHECK(strstr(probe_finding(a, 0, copy), "4 stored rows give identical logits"));
    command_expect(a, 0, "train \"%s\" --bf16 --output_dir \"%s\"",
                   tiny_job(a, "half.json", "half", ",\"max_steps\": 2"), half);
    CHECK(strstr(probe_finding(a, 0, half), "4 stored rows give identical logits"));
    /* one weight of another value: every other item of the list passes */
    const char *weights = path_join(a, copy, "model.safetensors");
    const float other = 0.4f;
    patch_file(weights, tensor_offset(a, weights, "bert.encoder.layer.0.output.dense.bias") + 8, &other, 4);
    const char *line = probe_finding(a, 7, copy);
    CHECK(!strncmp(line, "FAILED", 6) &&
          strstr(line, "probe.json: the logits of its 4 rows differ by up to "));
    CHECK(strstr(line, "9 findings, 1 failed"));
    static const char *const hostile[][2] = {
        {"{\"rows\":[]}", "expected \"rows\" of 1 to 64 objects"},
        {"{\"rows\":[{\"ids\":[229],\"type_ids\":[0],\"logits\":[]}]}",
         "row 0: ids are none of this model's"},
        {"{\"rows\":[{\"ids\":[-1],\"type_ids\":[0],\"logits\":[]}]}", "row 0: ids are none of this model's"},
        {"{\"rows\":[{\"ids\":[1,2],\"type_ids\":[0],\"logits\":[]}]}",
         "row 0: type_ids are not one for each id"},
        {"{\"rows\":[{\"ids\":[1],\"type_ids\":[9],\"logits\":[]}]}",
         "row 0: type_ids are not one for each id"},
        {"{\"rows\":[{\"ids\":[1],\"type_ids\":[0],\"logits\":[1]}]}",
         "row 0: logits are not one for each label"},
        {"{\"rows\":[7]}", "row 0: ids are none of this model's"},
        {"{", "line 1 column 2"}};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        put_file(a, "copy/probe.json", hostile[i][0]);
        line = probe_finding(a, 7, copy);
        if (!strstr(line, hostile[i][1]))
            test_fail(__FILE__, __LINE__, "\"%s\" is not in: %s", hostile[i][1], line);
    }
    CHECK_OK(file_remove(path_join(a, copy, "probe.json"), err));
    CHECK(strstr(probe_finding(a, 0, copy), "no probe.json"));
    arena_free(a);
}

/* bf16 keeps three digits of a logit; anything else (half of the bytes, say) is another function. */
TEST(predictions_in_bf16_are_those_of_fp32_but_for_rounding) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *data = test_fixture("e2e/validation.csv");
    const char *how = "--text_column_names text --logits";
    const said whole = command_expect(a, 0, "predict \"%s\" \"%s\" %s", model, data, how),
               half = command_expect(a, 0, "predict \"%s\" \"%s\" %s --bf16", model, data, how);
    const char *x = whole.out, *y = half.out;
    int n = 0;
    while ((x = strstr(x, "\"logits\":[")) && (y = strstr(y, "\"logits\":["))) {
        x += 10, y += 10;
        for (int c = 0; c < 4; c++, n++) {
            char *next_x, *next_y;
            CHECK_NEAR(strtod(y, &next_y), strtod(x, &next_x), 0.01);
            x = next_x + 1, y = next_y + 1;
        }
    }
    CHECK(n >= 40);
    arena_free(a);
}

/* Predictions rest on these. */
TEST(every_figure_of_a_gpu_has_its_source) {
    static const char *const names[] = {"a100", "b200", "h100", "h200", "l4", "rtx4090"};
    arena *a = command_begin();
    for (int i = 0; i < 6; i++) {
        const char *path = test_source(arena_print(a, "configs/devices/%s.json", names[i]));
        const json *gpu;
        str s;
        CHECK_OK(file_read(&s, a, path, 1 << 16, HONE_EDATA, err));
        CHECK_OK(json_parse(&gpu, a, path, s.p, s.n, HONE_EDATA, err));
        const json *sources = member(gpu, "sources");
        for (const json *v = gpu->child; v; v = v->next) {
            int found = !strcmp(v->key.p, "name") || v == sources;
            for (const json *of = sources->child; of && !found; of = of->next) {
                const char *at = strstr(of->key.p, v->key.p); /* "memory_bytes" begins "memory_bytes_per_s" */
                while (at && at[v->key.n] && at[v->key.n] != ',') at = strstr(at + 1, v->key.p);
                found = at && of->kind == JSON_STRING && of->string.n > 10;
            }
            if (!found) test_fail(__FILE__, __LINE__, "%s: %s has no source", names[i], v->key.p);
        }
    }
    arena_free(a);
}

/* Every call lies in lane 0, without overlaps, and what threads did lies within calls; n_names: rows of the table. */
static void check_trace(arena *a, const char *path, int n_names) {
    const json *root;
    const char *file = file_text(a, path);
    double end = 0, at_work = 0, calls = 0;
    int n_calls = 0;
    CHECK_OK(json_parse(&root, a, path, file, strlen(file), HONE_EDATA, err));
    for (const json *e = member(root, "traceEvents")->child; e; e = e->next) {
        if (strcmp(text_of(e, "ph"), "X")) continue;
        const double from = number_of(e, "ts"), took = number_of(e, "dur");
        if (number_of(e, "tid") > 0) {
            at_work += took;
            continue;
        }
        CHECK(from >= end - 0.001);
        end = from + took, calls += took, n_calls++;
    }
    CHECK(n_calls >= 2 * n_names && at_work > 0 && at_work <= 2 * calls);
}

TEST(bench_times_steps_and_lists_cases) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *lengths = put_file(a, "lengths", "3\n9\n5\n");
    const json *b =
        command_json(a, "bench step --model \"%s\" --batch 6 --lengths \"%s\" --steps 5 --warmup 1 --json",
                     model, lengths);
    need(b, "median_s p10_s p90_s tokens_per_second model_flops flops_per_second phases peak_device_bytes "
            "device dtype threads");
    need(member(b, "phases"), "data forward backward reduce optimizer");
    CHECK_INT(number_of(b, "tokens"), 34);
    CHECK_INT(number_of(b, "steps"), 5);
    CHECK(number_of(b, "p10_s") > 0 && number_of(b, "p10_s") <= number_of(b, "median_s") &&
          number_of(b, "median_s") <= number_of(b, "p90_s"));
    CHECK_STR(
        text_of(command_json(a, "bench step --model \"%s\" --seq 8 --batch 2 --steps 2 --dtype bf16 --json",
                             model),
                "dtype"),
        "bf16");
    const char *trace = here(a, "trace.json");
    b = command_json(a, "bench step --model \"%s\" --seq 8 --batch 2 --steps 2 --threads 2 --trace \"%s\" --json", model, trace);
    need(b, "machine bare_products_s step_by_bare_products ops");
    CHECK(number_of(b, "bare_products_s") > 0 && number_of(member(b, "machine"), "flops_per_s") > 0);
    need(member(b, "ops")->child, "op calls seconds flops bytes share_of_machine threads_at_work");
    check_trace(a, trace, (int)member(b, "ops")->n);
    CHECK(strstr(command_expect(a, 0, "bench step --model \"%s\" --seq 8 --steps 1 --trace \"%s\"", model, trace).out,
                 "bare products "));
    const said list = command_expect(a, 0, "bench norm --list");
    CHECK(lines_of(&list) >= 2 && strstr(list.out, "NORM_FWD "));
    const said sweep = command_expect(a, 0, "bench softmax --sweep M=32:128 --list");
    CHECK(strstr(sweep.out, "M=32") && strstr(sweep.out, "M=64") && strstr(sweep.out, "M=128"));
    command_refused(a, 2, "expected LETTER=FROM:TO", "bench softmax --sweep M=32");
    const char *job = tiny_job(a, "job.json", "out", "");
    const said planned = command_expect(a, 0, "bench norm --shapes-from \"%s\" --list", job);
    CHECK(strstr(planned.out, "NORM_FWD D=") && strstr(planned.out, "NORM_BWD D=") && strstr(planned.out, "p_out="));
    const json *rows = member(command_json(a, "bench norm --shapes-from \"%s\" --seconds 1 --json", job), "rows");
    CHECK(rows && (int)rows->n == lines_of(&planned));
    const json *products =
        member(command_json(a, "bench linear --device cpu --shape N=8,I=8,O=8 --seconds 1 --json"), "rows");
    CHECK_INT(products->n, 12);
    for (const json *row = products->child; row; row = row->next) {
        need(row,
             "op case shape dtype device pass median_us p10_us p90_us cold_us gb_per_s tflops percent_of_copy "
             "percent_of_gemm peer peer_us ratio max_error error_bound bits");
        CHECK_NEAR(number_of(row, "percent_of_gemm"), 100 * number_of(row, "ratio"),
                   1e-5 * number_of(row, "percent_of_gemm"));
    }
    command_refused(a, 2, "tf32, but device ref has no TF32", "bench linear --device ref --dtype tf32");
    command_refused(a, 2, "expected fp32, bf16 or fp16", "bench norm --dtype tf32");
    command_refused(a, 2, "--nvtx, but device ref has no profiler", "bench norm --device ref --nvtx");
    command_refused(a, 2, "nvtx: true, but device ref has no profiler",
                    "bench step --model \"%s\" --seq 8 --device ref --nvtx", model);
    CHECK(strstr(command_expect(a, 0, "bench linear --dtype tf32 --dry-run").out, " tf32\n"));
    command_refused(a, 2, "expected", "bench nothing");
    command_refused(a, 3, "nothere: there is no such file",
                    "bench step --model \"%s\" --lengths nothere --steps 1", model);
    command_refused(a, 2, "--seq: 49 tokens, expected at most 48, the model's position rows",
                    "bench step --model \"%s\" --seq 49 --steps 1", model);
    arena_free(a);
}

TEST(init_writes_a_job_that_validates) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *job = here(a, "new.json");
    command_expect(a, 0, "init text-classification \"%s\" --model \"%s\" --train_file \"%s\"", job, model,
                   test_fixture("e2e/train.csv"));
    command_expect(a, 0, "validate \"%s\" --max_seq_length 48", job);
    command_refused(a, 2, "is there already", "init text-classification \"%s\"", job);
    const said s = command_expect(a, 0, "init");
    const json *tree;
    CHECK_OK(json_parse(&tree, a, "stdout", s.out, s.n_out, HONE_EDATA, err));
    command_refused(a, 2, "expected one of: text-classification", "init generation");
    CHECK(strstr(command_expect(a, 0, "init text-generation").out, "\"metric_for_best_model\": \"eval_loss\""));
    static const char *const tasks[][2] = {{"token-classification", "tags-train.conll"}, {"fill-mask", "train.csv"}};
    for (int i = 0; i < 2; i++) {
        job = here(a, tasks[i][0]);
        command_expect(a, 0, "init %s \"%s\" --model \"%s\" --train_file \"%s\"", tasks[i][0], job, model,
                       test_fixture(arena_print(a, "e2e/%s", tasks[i][1])));
        command_expect(a, 0, "plan \"%s\" --max_seq_length 16 --quiet", job);
    }
    arena_free(a);
}

TEST(without_json_progress_goes_to_stderr_and_the_result_to_stdout) {
    arena *a = command_begin();
    const said s = command_expect(a, 0, "train \"%s\"", tiny_job(a, "job.json", "out", ",\"max_steps\": 10"));
    CHECK(strstr(s.err, "80 samples, 4 labels, 10 steps; device cpu"));
    CHECK(strstr(s.err, "step 5/10 ") && strstr(s.err, "step 10/10 "));
    CHECK(!strstr(s.err, "\r") && !strstr(s.out, "step 5/10"));
    CHECK(strstr(s.out, arena_print(a, "model folder: %s\n", here(a, "out"))));
    const said quiet = command_expect(a, 0, "train \"%s\" --quiet --overwrite_output_dir",
                                      tiny_job(a, "job.json", "out", ",\"max_steps\": 10"));
    CHECK_STR(quiet.err, "");
    /* a result that cannot be written is an error of storage, not silence */
    if (file_exists("/dev/full")) {
        const said full = command_run(a, "--help 2>&1 >/dev/full | grep '^error: standard output: '");
        CHECK_INT(full.code, 0);
    }
    arena_free(a);
}
