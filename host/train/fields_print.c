/* fields_print.c - the table of job fields as help, JSON Schema, reference page, and a job's values as JSON.
 */
#include <string.h>

#include "train/generation.h"
#include "train/job.h"

static const char *kind_name(const field *f) {
    static const char *const names[] = {"text",       "texts",  "integer",          "number",
                                        "true|false", "choice", "choice or numbers", "object"};
    return names[f->kind];
}

void fields_print_help(text *out) {
    int n;
    const field *f = job_fields(&n);
    const char *group = "";
    for (int i = 0; i < n; i++) {
        if (f[i].later) continue;
        if (strcmp(group, f[i].group)) text_printf(out, "\n%s\n", group = f[i].group);
        text_printf(out, "  --%-30s %s", f[i].name,
                    f[i].choices[0] && f[i].kind != FIELD_INT ? f[i].choices : kind_name(&f[i]));
        if (f[i].unit[0]) text_printf(out, " (%s)", f[i].unit);
        if (f[i].preset[0]) text_printf(out, ", default %s", f[i].preset[0] == ' ' ? "a blank" : f[i].preset);
        text_printf(out, "\n      %s\n", f[i].help);
        if (f[i].aliases[0]) text_printf(out, "      also: %s\n", f[i].aliases);
    }
    text_str(out, "\nknown, not yet available:");
    for (int i = 0; i < n; i++)
        if (f[i].later) text_printf(out, " %s", f[i].name);
    text_str(out, "\n");
}

static void print_words(text *out, const char *words) {
    for (const char *p = words; *p;) {
        const size_t n = strcspn(p, " ");
        if (p != words) text_str(out, ", ");
        text_json(out, p, n);
        p += n;
        while (*p == ' ') p++;
    }
}

static void print_schema_type(text *out, const field *f) {
    switch (f->kind) {
    case FIELD_TEXT:
        text_str(out, f->preset[0] == 'f' ? "\"type\": [\"string\", \"boolean\", \"null\"]"
                                          : "\"type\": [\"string\", \"integer\", \"null\"]");
        break;
    case FIELD_TEXTS:
        text_str(out, "\"type\": [\"string\", \"integer\", \"array\", \"null\"], \"items\": {\"type\": "
                      "[\"string\", \"integer\"]}");
        break;
    case FIELD_BOOL:
        text_printf(out, "\"type\": [\"boolean\"%s, \"null\"]", f->choices[0] ? ", \"object\"" : "");
        break;
    case FIELD_CHOICE:
        text_str(out, "\"enum\": [");
        print_words(out, f->choices);
        text_str(out, "]");
        break;
    case FIELD_REALS:
        text_str(out, "\"anyOf\": [{\"enum\": [");
        print_words(out, f->choices);
        text_str(out, "]}, {\"type\": \"array\", \"items\": {\"type\": \"number\"}}]");
        break;
    case FIELD_GENERATION:
        generation_print_schema(out);
        break;
    default:
        text_printf(out, "\"type\": [\"%s\", \"string\"%s], \"%s\": %.9g",
                    f->kind == FIELD_INT ? "integer" : "number", f->choices[0] ? ", \"boolean\"" : "",
                    f->open_low ? "exclusiveMinimum" : "minimum", f->low);
        if (f->high < 9e15) text_printf(out, ", \"maximum\": %.9g", f->high);
        break;
    }
}

void fields_print_schema(text *out) {
    int n;
    const field *f = job_fields(&n);
    text_str(
        out,
        "{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n  \"title\": \"hone job\",\n  "
        "\"type\": \"object\",\n"
        "  \"additionalProperties\": false,\n  \"properties\": {\n    \"$schema\": {\"type\": \"string\"},\n"
        "    \"lr_scheduler_kwargs\": {\"type\": \"object\", \"description\": \"lr_end, power, num_cycles, "
        "timescale.\"}");
    for (int i = 0; i < n; i++) {
        if (f[i].later) continue;
        for (const char *p = f[i].name, *more = f[i].aliases; *p;) {
            const size_t len = strcspn(p, " ");
            text_str(out, ",\n    ");
            text_json(out, p, len);
            text_str(out, ": {");
            print_schema_type(out, &f[i]);
            text_str(out, ", \"description\": ");
            if (p == f[i].name) text_json(out, f[i].help, strlen(f[i].help));
            else {
                text also = {0};
                text_printf(&also, "Another name of %s.", f[i].name);
                text_json(out, also.p, also.n);
                text_free(&also);
            }
            text_str(out, "}");
            if (p == f[i].name) p = more;
            else
                for (p += len; *p == ' ';) p++;
        }
    }
    text_str(out, "\n  }\n}\n");
}

void fields_print_reference(text *out) {
    int n;
    const field *f = job_fields(&n);
    const char *group = "";
    text_str(out, "# Job fields\n\nMade by `hone train --reference` from host/train/fields.c.\n");
    for (int i = 0; i < n; i++) {
        if (f[i].later) continue;
        if (strcmp(group, f[i].group))
            text_printf(out,
                        "\n## %s\n\n| field | also | value | default | meaning |\n|---|---|---|---|---|\n",
                        group = f[i].group);
        text_printf(out, "| `%s` | %s | ", f[i].name, f[i].aliases);
        if (f[i].choices[0] && f[i].kind != FIELD_INT)
            for (const char *p = f[i].choices; *p; p++)
                text_add(out, *p == ' ' ? ", " : p, *p == ' ' ? 2 : 1);
        else text_str(out, kind_name(&f[i]));
        if (f[i].unit[0]) text_printf(out, " (%s)", f[i].unit);
        text_printf(out, " | %s | %s |\n", f[i].preset[0] == ' ' ? "a blank" : f[i].preset, f[i].help);
    }
    text_str(out, "\n## Known, not yet available\n\nGiven with anything but false, null, 0 or \"none\" these "
                  "are refused.\n\n| field | also | instead |\n|---|---|---|\n");
    for (int i = 0; i < n; i++)
        if (f[i].later) text_printf(out, "| `%s` | %s | %s |\n", f[i].name, f[i].aliases, f[i].later);
}

static void print_choice(text *out, const char *choices, int64_t index) {
    const char *p = choices;
    for (int64_t i = 0; i < index; i++) {
        p += strcspn(p, " ");
        while (*p == ' ') p++;
    }
    text_json(out, p, strcspn(p, " "));
}

static void print_value(const job *j, const field *f, text *out) {
    const void *at = (const char *)j + f->at;
    switch (f->kind) {
    case FIELD_TEXT: {
        const char *s = *(const char *const *)at;
        if (s) text_json(out, s, strlen(s));
        else text_str(out, "null");
        break;
    }
    case FIELD_TEXTS: {
        const texts *t = at;
        text_str(out, "[");
        for (int i = 0; i < t->n; i++) {
            if (i) text_str(out, ",");
            text_json(out, t->p[i], strlen(t->p[i]));
        }
        text_str(out, "]");
        break;
    }
    case FIELD_INT:
        text_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case FIELD_REAL:
        text_double(out, *(const double *)at);
        break;
    case FIELD_BOOL:
        text_str(out, *(const int *)at ? "true" : "false");
        break;
    case FIELD_REALS:
        if (j->class_weights == WEIGHTS_LIST) {
            text_str(out, "[");
            for (int i = 0; i < j->class_weight_list.n; i++) {
                if (i) text_str(out, ",");
                text_double(out, j->class_weight_list.p[i]);
            }
            text_str(out, "]");
            break;
        }
        print_choice(out, f->choices, *(const int64_t *)at);
        break;
    case FIELD_CHOICE:
        print_choice(out, f->choices, *(const int64_t *)at);
        break;
    case FIELD_GENERATION:
        text_str(out, j->generation ? j->generation : "null");
        break;
    }
}

void job_print_json(const job *j, text *out) {
    int n;
    const field *f = job_fields(&n);
    const char *comma = "{";
    for (int i = 0; i < n; i++) {
        if (f[i].later) continue;
        text_printf(out, "%s\"%s\":", comma, f[i].name);
        print_value(j, &f[i], out);
        comma = ",";
    }
    text_str(out, "}");
}
